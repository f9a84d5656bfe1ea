// Data identifiers read from real ECUs, and what a vehicle file offers to the services.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { UdsEcuServices } from '../../src/drivers/ecu-services.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { numberIn, start, vehicleOf, type World } from './services-bench.ts';

describe('reading', () => {
  const read = (world: World, ...dids: number[]) =>
    world.within((signal) => world.services.read('INV', dids, signal));

  it('brings values with their units, alone first and together from then on', async () => {
    const world = await start();
    const first = await read(world, 0xfd40, 0xfd41, 0xfd50);
    expect(first).toMatchObject({
      ok: true,
      readings: [
        { did: 'INV.FD40', value: expect.any(Number), unit: 'kW' },
        { did: 'INV.FD41', value: expect.any(Number), unit: 'degC' },
        { did: 'INV.FD50', value: 120, unit: 'kW', raw: Uint8Array.of(0x04, 0xb0) },
      ],
    });
    expect(world.link.requests).toEqual(['22FD40', '22FD41', '22FD50']);
    world.link.requests.length = 0;
    expect(await read(world, 0xfd40, 0xfd41, 0xfd50)).toMatchObject({
      readings: [{ did: 'INV.FD40' }, { did: 'INV.FD41' }, { did: 'INV.FD50', value: 120 }],
    });
    expect(world.link.requests).toEqual(['22FD40FD41FD50']);
  });

  it('leaves out what the ECU does not know, and fails when it knows nothing of it', async () => {
    const world = await start();
    expect(await read(world, 0xfd40, 0xabcd)).toMatchObject({
      ok: true,
      readings: [{ did: 'INV.FD40' }],
    });
    expect(await read(world, 0xabcd)).toMatchObject({
      ok: false,
      code: 'REFUSED',
      reason: expect.stringContaining('requestOutOfRange'),
    });
    expect(await world.within((signal) => world.services.read('XYZ', [1], signal))).toMatchObject({
      ok: false,
      code: 'UNKNOWN_ECU',
      reason: 'XYZ is not in the vehicle file, which has CGW, EDT, INV, BMS',
    });
  });

  it('fails when the ECU is silent, and forgives one lost request', async () => {
    const world = await start();
    let left = 1;
    world.link.loses = () => left-- > 0;
    expect(await read(world, 0xfd40)).toMatchObject({ ok: true });
    world.link.loses = () => true;
    expect(await read(world, 0xfd40)).toMatchObject({ ok: false, code: 'SILENT' });
  });

  it('notices that a text has grown: data is never cut in the wrong place', async () => {
    const world = await start({ ecu: 'EDT' });
    const both = async () => {
      const { services, within } = world;
      const done = await within((signal) => services.read('EDT', [0xfd30, 0xfd31], signal));
      return done.ok ? done.readings.map(({ raw }) => toHex(raw)) : [];
    };
    const ascii = (text: string): string => Buffer.from(text).toString('hex');
    let text = '9 km/h';
    world.link.changes = (answer) => {
      const bytes = toHex(answer);
      const shown = bytes.replace(/fd30.*?5245414459/, `fd30${ascii(text)}`);
      return Uint8Array.from(Buffer.from(shown, 'hex'));
    };
    expect(await both()).toEqual([ascii('9 km/h'), '46']);
    expect(await both()).toEqual([ascii('9 km/h'), '46']);
    expect(world.link.requests.at(-1)).toBe('22FD30FD31');
    text = '10 km/h';
    expect(await both()).toEqual([ascii('10 km/h'), '46']);
    expect(world.link.requests.slice(-3)).toEqual(['22FD30FD31', '22FD30', '22FD31']);
    expect(await both()).toEqual([ascii('10 km/h'), '46']);
    expect(world.link.requests.at(-1)).toBe('22FD30FD31');
  });

  it('does not disturb the fan that is held', async () => {
    const world = await start();
    await world.run('setFan', { duty: 80 });
    for (let round = 0; round < 5; round++) {
      await world.clock.advance(4000);
      expect(await numberIn(world, 0xfd52)).toBe(80);
    }
  });
});

describe('what the vehicle offers', () => {
  const services = new UdsEcuServices({
    vehicle: vehicleOf([
      'power: { length: 2, scale: 0.1, unit: kW, min: 0, max: 120 }',
      'power: { length: 2, values: { 0: off, 300: eco } }',
    ]),
    requesterFor: () => {
      throw new Error('nobody is asked');
    },
    clock: new VirtualClock(),
  });

  it('is a catalogue', () => {
    expect(services.catalogue).toEqual({
      EDT: {
        setBrightness: {
          title: 'set the brightness of the display',
          arguments: { brightness: { type: 'number', unit: '%', min: 5, max: 100 } },
        },
      },
      INV: {
        setPowerLimit: {
          title: 'limit the power; kept over resets',
          arguments: { power: { type: 'choice', choices: ['off', 'eco'] } },
        },
        setFan: {
          title: expect.stringContaining('releaseFan'),
          arguments: { duty: { type: 'number', unit: '%', min: 0, max: 100 } },
        },
        releaseFan: { title: 'give the cooling fan back to the inverter', arguments: {} },
        calibrate: { title: 'calibrate the current sensors', arguments: {} },
      },
    });
  });

  it.each([
    ['INV.FD40', 'known'],
    ['INV.FD52', 'known'],
    ['INV.F195', 'known'],
    ['INV.FD13', 'unknown-did'],
    ['INV.1234', 'unknown-did'],
    // Of the gateway the file describes signals only.
    ['CGW.FD40', 'known'],
    ['CGW.FD41', 'unknown-did'],
    ['XYZ.FD40', 'unknown-ecu'],
  ] as const)('%s is %s', (did, known) => {
    expect(services.knows(did)).toBe(known);
  });
});
