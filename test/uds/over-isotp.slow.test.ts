// Client and server over real ISO-TP channels on a simulated 500 kbit/s wire.

import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { normalAddress, reverseAddress, testerAddresses } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { expectPositive } from '../../src/uds/error.ts';
import { UdsServer } from '../../src/uds/server.ts';
import * as transferData from '../../src/uds/services/transfer-data.ts';

const addresses = testerAddresses({
  mode: 'normal',
  request: 0x7e0,
  response: 0x7e8,
  functional: 0x7df,
  extended: false,
});

function bench(clock: VirtualClock) {
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  const tester = wire.attach('tester');
  const ecu = wire.attach('ecu');
  const all = addresses.functional ?? normalAddress(addresses.physical.tx, addresses.physical.rx);
  const received: number[] = [];
  const server = new UdsServer({
    physical: new IsoTpChannel({ bus: ecu, clock, address: reverseAddress(addresses.physical) }),
    functional: new IsoTpChannel({
      bus: ecu,
      clock,
      address: reverseAddress(all),
      kind: 'functional',
    }),
    clock,
    handlers: {
      34: {
        minLength: 3,
        handle: () => ({ positive: fromHex(`62f190${'57'.repeat(2000)}`) }),
      },
      54: {
        minLength: 2,
        handle: (request) => {
          received.push(request.length);
          return { positive: transferData.encodeResponse(request[1]!) };
        },
      },
    },
  });
  const client = new UdsClient({
    connection: new IsoTpChannel({ bus: tester, clock, address: addresses.physical }),
    functional: new IsoTpChannel({ bus: tester, clock, address: all, kind: 'functional' }),
    clock,
    timing: { p2Ms: 60, p2StarMs: 5000, pendingLimitMs: 20_000 },
  });
  return { wire, server, client, received };
}

test('blocks of 4095 bytes, answers longer than P2, sessions kept', async () => {
  const clock = new VirtualClock();
  const { server, client, received } = bench(clock);
  const ask = async (request: Uint8Array): Promise<Uint8Array> =>
    expectPositive(await clock.within(10_000, client.request(request)), toHex(request));

  expect(toHex(await ask(fromHex('1003')))).toBe('5003003201f4');
  client.keepAlive('all-ecus');
  for (let counter = 1; counter <= 30; counter++) {
    const answer = await ask(transferData.encodeRequest(counter, new Uint8Array(4093)));
    expect(toHex(answer)).toBe(toHex(transferData.encodeResponse(counter)));
  }
  expect(received).toEqual(Array(30).fill(4095));
  const startMs = clock.nowMs();
  expect((await ask(fromHex('22f190'))).length).toBe(2003);
  expect(clock.nowMs() - startMs).toBeGreaterThan(60);
  await clock.within(100, client.broadcast(fromHex('8502')));
  await clock.advance(20_000);
  expect([server.session, server.dtcSetting]).toEqual([3, false]);
});

test('a silent ECU costs P2, not N_Bs, for a short request', async () => {
  const clock = new VirtualClock();
  const { client, wire } = bench(clock);
  wire.filter = (_frame, from) => (from === 'ecu' ? 'drop' : 'pass');
  const reply = await clock.within(1000, client.request(fromHex('3e00')));
  expect(reply).toMatchObject({ kind: 'silent', timer: 'P2' });
});
