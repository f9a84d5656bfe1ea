// The one word for a bus: what is accepted, what is refused and with which advice.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BusError } from '../../src/bus/can-bus.ts';
import { parseIpLink } from '../../src/bus/interface-facts.ts';
import { isInterfaceName } from '../../src/bus/interface-status.ts';
import { openBus, parseBusSpec } from '../../src/bus/open-bus.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';

const rates = (bitrate?: number, dataBitrate?: number): object => ({ bitrate, dataBitrate });

describe('the name of a bus', () => {
  it.each([
    ['vcan0', { kind: 'socketcan', interfaceName: 'vcan0' }],
    ['socketcan:can1', { kind: 'socketcan', interfaceName: 'can1' }],
    ['can-rear.1', { kind: 'socketcan', interfaceName: 'can-rear.1' }],
    ['local:bench', { kind: 'local', name: 'bench', ...rates() }],
    ['local:', { kind: 'local', name: 'bench', ...rates() }],
    ['local:x?bitrate=0', { kind: 'local', name: 'x', ...rates(0) }],
    ['local:?bitrate=125000', { kind: 'local', name: 'bench', ...rates(125_000) }],
    [
      'local:x?bitrate=500000&data-bitrate=5000000',
      { kind: 'local', name: 'x', ...rates(500_000, 5_000_000) },
    ],
  ])('%s', (text, spec) => {
    expect(parseBusSpec(text)).toEqual(spec);
  });

  it.each([
    ['', 'empty'],
    ['socketcan:', 'empty'],
    ['local', 'needs a name'],
    ['local:a/b', 'local name'],
    ['local:x?bitrate=fast', 'bitrate is "fast"'],
    ['local:x?bitrate=-1', 'bitrate is "-1"'],
    ['local:x?bitrate=5', 'from 10000 to 1000000'],
    ['local:x?bitrate=1e6', 'bitrate is "1e6"'],
    ['local:x?data-bitrate=0', 'data-bitrate is "0"'],
    ['local:x?bitrate=500000&bitrate=0', 'twice'],
    ['local:x?speed=1', '"speed" is unknown'],
    ['interface-with-a-long-name', '1 to 15 characters'],
    ['a b', '1 to 15 characters'],
    ['../x', '1 to 15 characters'],
    ['udp:1234', '1 to 15 characters'],
  ])('refuses "%s"', (text, part) => {
    let message = '';
    try {
      parseBusSpec(text);
    } catch (error) {
      expect(error).toBeInstanceOf(BusError);
      expect((error as BusError).code).toBe('BAD_SPEC');
      message = (error as BusError).message;
    }
    expect(message).toContain(part);
    expect(message).toContain('accepted are');
  });

  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `local:${text}`),
        ),
        (text) => {
          try {
            parseBusSpec(text);
          } catch (error) {
            expect(error).toBeInstanceOf(BusError);
          }
        },
      ),
    );
  });

  it('stays inside its folder of sysfs', () => {
    expect(['.', '..', 'a/b', ''].map(isInterfaceName)).toEqual([false, false, false, false]);
  });
});

describe('interfaces that cannot be used', () => {
  const options = { clock: systemClock, logger: silentLogger };

  it('says what to do about a missing one', async () => {
    await expect(openBus('vcan97', options)).rejects.toMatchObject({
      code: 'NO_INTERFACE',
      message: expect.stringMatching(/vcan-setup\.sh vcan97.*local:bench/),
    });
    await expect(openBus('can97', options)).rejects.toMatchObject({
      code: 'NO_INTERFACE',
      message: expect.stringContaining('adapter'),
    });
  });

  it('says that one is no CAN interface', async () => {
    await expect(openBus('lo', options)).rejects.toMatchObject({
      code: 'NO_INTERFACE',
      message: expect.stringContaining('lo is no CAN interface'),
    });
  });
});

describe('what ip says of a controller', () => {
  it('gives bit rates and state', () => {
    const text = JSON.stringify([
      {
        ifname: 'can0',
        mtu: 72,
        linkinfo: {
          info_kind: 'can',
          info_data: {
            state: 'ERROR-PASSIVE',
            bittiming: { bitrate: 500000, sample_point: '0.875' },
            data_bittiming: { bitrate: 2000000 },
            berr_counter: { tx: 128, rx: 3 },
          },
        },
      },
    ]);
    expect(parseIpLink(text)).toEqual({
      driver: 'can',
      bitrate: 500_000,
      dataBitrate: 2_000_000,
      state: 'passive',
      errorCounters: { transmit: 128, receive: 3 },
    });
  });

  it('gives nothing for what it does not understand', () => {
    for (const text of ['', '[]', '{}', '[{"linkinfo":3}]', 'Object "-j" is unknown']) {
      expect(parseIpLink(text)).toEqual({
        driver: undefined,
        bitrate: undefined,
        dataBitrate: undefined,
        state: undefined,
        errorCounters: undefined,
      });
    }
  });
});
