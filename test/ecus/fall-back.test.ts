// Nobody is there any more to confirm: an ECU falls back by itself, whatever became of the others.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { EcuBench, imageOf } from '../support/ecu-bench.ts';

const image = imageOf(4000);
const TRIAL_MS = 600_000;

/** On trial, with a higher counter, and nobody on the bus from now on. */
async function onTrial(name: 'EDT' | 'CGW', faults: EcuFaults = {}): Promise<EcuBench> {
  const bench = await EcuBench.start({ name, faults });
  await bench.program(image, '2.0.0', name, 4);
  await bench.expectOrder('activate');
  await bench.reset();
  expect(await bench.text('F195')).toBe('2.0.0');
  return bench;
}

/** The other ECU of the campaign had been confirmed when TMU and CGW were lost for good. */
async function confirmedElsewhere(): Promise<EcuBench> {
  const other = await onTrial('CGW');
  await other.prepare('CGW');
  await other.expectOrder('confirm');
  return other;
}

describe('a trial that nobody confirms', () => {
  it('ends by time; what is confirmed elsewhere stays, and its way back stays open', async () => {
    const [alone, other] = [await onTrial('EDT'), await confirmedElsewhere()];
    await alone.clock.advance(TRIAL_MS + 1000);
    await other.clock.advance(10 * TRIAL_MS);
    expect(await alone.text('F195')).toBe('1.0.0');
    expect(alone.events).toContainEqual({ kind: 'reset', reason: 'trial-expired' });
    expect(await other.text('F195')).toBe('2.0.0');
    // Whoever comes back later can still take the other one back, too: no boot has raised its counter.
    await other.reset();
    await other.prepare('CGW');
    expect(await other.order('rollback-confirmed')).toBe('7101021200');
    await other.reset();
    expect(await other.text('F195')).toBe('1.0.0');
  });

  it('ends by power cuts; what is confirmed elsewhere outlives them', async () => {
    let alone = await onTrial('EDT');
    let other = await confirmedElsewhere();
    for (const version of ['2.0.0', '2.0.0', '1.0.0', '1.0.0']) {
      alone = await EcuBench.start({ storage: alone.storage.afterPowerCut() });
      other = await EcuBench.start({ name: 'CGW', storage: other.storage.afterPowerCut() });
      expect(await alone.text('F195')).toBe(version);
      expect(await other.text('F195')).toBe('2.0.0');
    }
    // Ready for the next one.
    await alone.program(imageOf(3000, 3), '3.0.0', 'EDT', 4);
    await alone.expectOrder('activate');
    await alone.reset();
    expect(await alone.text('F195')).toBe('3.0.0');
  });

  it('ends by both: time does not begin anew with every power cut for ever', async () => {
    let alone = await onTrial('EDT');
    let runs = 0;
    for (let start = 0; start < 6; start++) {
      await alone.clock.advance(TRIAL_MS - 10_000);
      if ((await alone.text('F195')) === '2.0.0') runs++;
      alone = await EcuBench.start({ storage: alone.storage.afterPowerCut() });
    }
    expect(runs).toBe(3);
    expect(await alone.text('F195')).toBe('1.0.0');
  });

  it('ends by time in an ECU that hangs', async () => {
    const faults: EcuFaults = {};
    const alone = await onTrial('EDT', faults);
    faults.stuckAfter = 0;
    expect(await alone.ask('3E00')).toBe('silent');
    await alone.clock.advance(TRIAL_MS + 1000);
    expect(await alone.text('F195')).toBe('1.0.0');
  });

  it('ends by the resets of an image that cannot stay up', async () => {
    const faults: EcuFaults = {};
    const alone = await onTrial('EDT', faults);
    faults.resetLoop = { times: 10, everyMs: 2000 };
    await alone.ask('3E00');
    await alone.clock.advance(60_000);
    expect(await alone.text('F195')).toBe('1.0.0');
    expect(alone.events.filter(({ kind }) => kind === 'reset')).toHaveLength(11);
  });
});
