// What a tester may tell an application: the inverter's power limit, fan and calibration, and when it refuses.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { profileOf } from '../../ecus/profiles.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { benchVehicle, EcuBench, SECRET } from '../support/ecu-bench.ts';
import type { FaultStorage } from '../support/fault-storage.ts';

const vehicle = vehicleSchema.parse({
  ...benchVehicle,
  ecus: [
    {
      name: 'INV',
      hardwareId: 'INV-HW1',
      address: { mode: 'normal', request: 0x7e2, response: 0x7ea, functional: 0x7df },
      memory: { bankSize: 64 * 1024 },
      security: { algorithm: 'hmac-sha256', secret: SECRET },
    },
  ],
  approval: undefined,
});

const inverter = (given: { storage?: FaultStorage; faults?: EcuFaults } = {}) =>
  EcuBench.start({ ...given, name: 'INV', options: { vehicle } });
const display = (storage?: FaultStorage) =>
  EcuBench.start(storage === undefined ? {} : { storage });

async function ready(bench: EcuBench): Promise<void> {
  await bench.expect('1003');
  await bench.unlock();
}

/** The unsigned number in a DID. */
async function value(bench: EcuBench, did: string): Promise<number> {
  return Number.parseInt((await bench.expect(`22${did}`)).slice(6), 16);
}

describe('a value that is written', () => {
  it('is answered when it is durable, and outlives a reset and a power cut', async () => {
    const bench = await inverter();
    expect(await bench.ask('22FD50')).toBe('62FD5004B0');
    await ready(bench);
    expect(await bench.secured('2EFD500258')).toBe('6EFD50');
    expect(await bench.ask('22FD50')).toBe('62FD500258');
    await bench.reset();
    expect(await bench.ask('22FD50')).toBe('62FD500258');
    const again = await inverter({ storage: bench.storage.afterPowerCut() });
    expect(await again.ask('22FD50')).toBe('62FD500258');
    // The rest of the non-volatile data is what it was.
    expect(await again.text('F18C')).toBe(await bench.text('F18C'));
  });

  it.each([
    ['before', '62FD5004B0'],
    ['after', '62FD500064'],
  ] as const)('is whole when the power is lost %s it is stored', async (when, left) => {
    const bench = await inverter();
    await ready(bench);
    bench.storage.cut = { at: bench.storage.operations + 1, when };
    expect(await bench.secured('2EFD500064')).toBe('7F2E72');
    const again = await inverter({ storage: bench.storage.afterPowerCut() });
    expect(await again.ask('22FD50')).toBe(left);
  });

  it('stays the old one when the memory does not take it', async () => {
    const bench = await inverter();
    await ready(bench);
    bench.storage.failing = 'NO_SPACE';
    expect(await bench.secured('2EFD500064')).toBe('7F2E72');
    expect(await bench.ask('22FD50')).toBe('62FD5004B0');
    bench.storage.failing = undefined;
    // Something else is stored: the refused value does not come along.
    await bench.expect('14FFFFFF');
    await bench.reset();
    expect(await bench.ask('22FD50')).toBe('62FD5004B0');
  });

  it('limits the power that is measured, and the one in the torque frame', async () => {
    const bench = await inverter();
    await bench.clock.advance(5000); // the crest of the wave
    expect(await value(bench, 'FD40')).toBeGreaterThan(190);
    await ready(bench);
    await bench.expectSecured('2EFD500032');
    expect(await value(bench, 'FD40')).toBe(50);
    const state = { upMs: 5000, hot: false, value: () => 50 };
    const [frame] = profileOf('INV').traffic;
    expect([...frame!.data(5000, 3, state).subarray(0, 2)]).toEqual([0, 50]);
  });

  it('is the brightness of the display', async () => {
    const bench = await display();
    expect(await bench.ask('22FD31')).toBe('62FD3146');
    await ready(bench);
    expect(await bench.secured('2EFD3128')).toBe('6EFD31');
    expect(await bench.secured('2EFD3104')).toBe('7F2E31');
    await bench.reset();
    expect(await bench.ask('22FD31')).toBe('62FD3128');
  });
});

describe('an output that is taken over', () => {
  const held = async (): Promise<EcuBench> => {
    const bench = await inverter();
    await ready(bench);
    expect(await bench.secured('2FFD520350')).toBe('6FFD520350');
    expect(await value(bench, 'FD52')).toBe(0x50);
    return bench;
  };

  it('comes back by 2F 00', async () => {
    const bench = await held();
    const answer = await bench.secured('2FFD5200');
    expect(answer).toMatch(/^6FFD5200..$/);
    expect(answer.slice(8)).not.toBe('50');
    expect(await value(bench, 'FD52')).not.toBe(0x50);
  });

  it('comes back when the session ends: asked for, by S3, or into the programming session', async () => {
    for (const end of [
      (bench: EcuBench) => bench.expect('1001'),
      (bench: EcuBench) => bench.expect('1002'),
      (bench: EcuBench) => bench.clock.advance(5100),
      (bench: EcuBench) => bench.reset(),
    ]) {
      const bench = await held();
      await end(bench);
      expect(await value(bench, 'FD52')).not.toBe(0x50);
    }
  });

  it('stays as long as the tester shows that he is there', async () => {
    const bench = await held();
    for (let round = 0; round < 10; round++) {
      await bench.clock.advance(4000);
      await bench.ask('3E80', { limitMs: 10 });
    }
    expect(await value(bench, 'FD52')).toBe(0x50);
  });

  it('is frozen as it is, and reset to what is usual', async () => {
    const bench = await inverter();
    await ready(bench);
    await bench.clock.advance(4000);
    const now = await value(bench, 'FD52');
    const hex = now.toString(16).toUpperCase().padStart(2, '0');
    expect(await bench.secured('2FFD5202')).toBe(`6FFD5202${hex}`);
    await bench.clock.advance(4000);
    expect(await value(bench, 'FD52')).toBe(now);
    expect(await bench.secured('2FFD5201')).toBe('6FFD520132');
    expect(await value(bench, 'FD52')).toBe(50);
  });

  it('is taken back by an ECU that gets too hot', async () => {
    const faults: EcuFaults = {};
    const bench = await inverter({ faults });
    await ready(bench);
    await bench.expectSecured('2FFD52030A');
    faults.hot = true;
    expect(await value(bench, 'FD52')).toBe(100);
  });
});

describe('a routine of the application', () => {
  it('takes its time, tells what it found, and counts its runs over resets', async () => {
    const bench = await inverter();
    await ready(bench);
    expect(await bench.ask('31030230')).toBe('710302300100000000');
    bench.sent.length = 0;
    const first = await bench.secured('31010230');
    expect(first).toMatch(/^710102300000000001....$/);
    expect(bench.sent).toContain('7F8478');
    expect(await bench.ask('31030230')).toBe(`7103${first.slice(4)}`);
    await bench.reset();
    await ready(bench);
    expect(await bench.ask('31030230')).toBe('710302300100000001');
    expect(await bench.secured('31010230')).toMatch(/^710102300000000002....$/);
  });

  it('is counted before it begins: a reset in the middle leaves it counted and without findings', async () => {
    const bench = await inverter();
    await ready(bench);
    expect(await bench.ask(await bench.seal('31010230'), { limitMs: 400 })).toBe('silent');
    bench.ecu.reset('fault');
    await bench.clock.advance(5000);
    await ready(bench);
    expect(await bench.ask('31030230')).toBe('710302300100000001');
  });

  it('does not run when it cannot be counted', async () => {
    const bench = await inverter();
    await ready(bench);
    bench.storage.failing = 'NO_SPACE';
    expect(await bench.secured('31010230')).toBe('7F3172');
    expect(await bench.ask('31030230')).toBe('710302300100000000');
  });
});

describe('what the inverter refuses', () => {
  const nothing = async (): Promise<void> => {};
  const extended = (bench: EcuBench) => bench.expect('1003');
  const programming = async (bench: EcuBench) => {
    await bench.expect('1002');
    await bench.unlock();
  };

  it.each([
    ['a limit above what it is built for', nothing, '2EFD5004B1', '7F2E31'],
    ['a limit of one byte', nothing, '2EFD5058', '7F2E13'],
    ['a limit of three bytes', nothing, '2EFD50025800', '7F2E13'],
    ['writing what it measures', nothing, '2EFD400000', '7F2E31'],
    ['writing what is controlled', nothing, '2EFD5250', '7F2E31'],
    ['a fan above 100 %', ready, '2FFD520365', '7F2F31'],
    ['a fan without a duty', ready, '2FFD5203', '7F2F13'],
    ['a fan with a mask', ready, '2FFD520350FF', '7F2F13'],
    ['a release with a state', ready, '2FFD520050', '7F2F13'],
    ['a reserved control parameter', ready, '2FFD5204', '7F2F31'],
    ['control of what is written', ready, '2FFD50030258', '7F2F31'],
    ['control without a parameter', ready, '2FFD52', '7F2F13'],
    // The end of the extended session gives the output back: outside of it nothing would.
    ['control in the default session', nothing, '2FFD520350', '7F2F22'],
    ['control in the programming session', programming, '2FFD520350', '7F2F22'],
    ['a calibration with an option', nothing, '3101023000', '7F3113'],
    ['results with an option', nothing, '3103023000', '7F3113'],
    ['stopping a calibration', nothing, '31020230', '7F3112'],
  ] as const)('%s, in an order', async (_what, prepare, inner, answer) => {
    const bench = await inverter();
    await prepare(bench);
    expect(await bench.secured(inner)).toBe(answer);
    expect(await bench.ask('22FD50')).toBe('62FD5004B0');
  });

  it.each([
    ['writing by an open level alone', ready, '2EFD500258', '7F2E38'],
    ['writing too much by an open level alone', ready, '2EFD5004B1', '7F2E38'],
    ['control by an open level alone', ready, '2FFD520350', '7F2F38'],
    ['giving back by an open level alone', ready, '2FFD5200', '7F2F38'],
    ['a calibration by an open level alone', ready, '31010230', '7F3138'],
    ['stopping a calibration by an open level alone', ready, '31020230', '7F3138'],
    ['writing what it measures', ready, '2EFD400000', '7F2E31'],
    ['writing without security access', extended, '2EFD500258', '7F2E33'],
    ['writing in the default session', nothing, '2EFD500258', '7F2E7F'],
    ['writing in the programming session', programming, '2EFD500258', '7F2E38'],
    ['control without a parameter', ready, '2FFD52', '7F2F13'],
    ['control without security access', extended, '2FFD520350', '7F2F33'],
    ['control in the default session', nothing, '2FFD520350', '7F2F7F'],
    ['control in the programming session', programming, '2FFD520350', '7F2F7F'],
    ['a calibration with an option by an open level alone', ready, '3101023000', '7F3138'],
    ['results with an option, asked plainly', ready, '3103023000', '7F3113'],
    ['a calibration without security access', extended, '31010230', '7F3138'],
    ['a calibration in the default session', nothing, '31010230', '7F3131'],
    ['a calibration in the programming session', programming, '31010230', '7F3131'],
  ] as const)('%s', async (_what, prepare, request, answer) => {
    const bench = await inverter();
    await prepare(bench);
    expect(await bench.ask(request)).toBe(answer);
    expect(await bench.ask('22FD50')).toBe('62FD5004B0');
  });

  it.each([
    ['2EFD50012D', '7F2E86'],
    ['2EFD50012C', '6EFD50'],
    // Out of range whatever the temperature is.
    ['2EFD5004B1', '7F2E31'],
    ['2FFD520363', '7F2F86'],
    ['2FFD520364', '6FFD520364'],
    ['31010230', '7F3186'],
  ])('while it is too hot: %s gets %s', async (request, answer) => {
    const bench = await inverter({ faults: { hot: true } });
    expect(await value(bench, 'FD41')).toBeGreaterThan(95 + 40);
    await ready(bench);
    expect(await bench.secured(request)).toBe(answer);
  });

  it('everything, without an application', async () => {
    const bench = await inverter();
    bench.storage.corrupt('bank-a.bin', 100);
    await bench.reset();
    expect(bench.ecu.running?.bank).toBe('recovery');
    await ready(bench);
    expect(await bench.ask('2EFD500258')).toBe('7F2E7F');
    expect(await bench.ask('2FFD520350')).toBe('7F2F11');
    expect(await bench.ask('31010230')).toBe('7F3131');
    expect(await bench.secured('2EFD500258')).toBe('7F2E31');
    expect(await bench.secured('2FFD520350')).toBe('7F2F11');
    expect(await bench.secured('31010230')).toBe('7F3131');
    for (const did of ['FD40', 'FD41', 'FD50', 'FD52']) {
      expect(await bench.ask(`22${did}`)).toBe('7F2231');
    }
  });
});
