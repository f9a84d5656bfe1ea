// Who restarts an ECU, and when: a moving vehicle and a trial are not restarted by anybody.

import { describe, expect, it } from 'vitest';
import { EcuBench } from '../support/ecu-bench.ts';
import { image } from './durable-effects-support.ts';

describe('11 of anybody to an ECU on trial', () => {
  const onTrial = async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0', 'EDT', 5);
    await bench.expectOrder('activate');
    await bench.expect('1101');
    // Until it has booted: no later than the next millisecond.
    while (bench.ecu.running === undefined) await bench.clock.advance(1);
    return { bench, sinceMs: bench.ecu.running.sinceMs };
  };
  const at = async (bench: EcuBench, atMs: number) => {
    await bench.clock.advance(atMs - bench.clock.nowMs());
    return bench.ask('1101', { limitMs: 5 });
  };

  it('is refused for 10 s after a restart that was asked for', async () => {
    const { bench, sinceMs } = await onTrial();
    expect(await at(bench, sinceMs + 9999)).toBe('7F1122');
    expect(await at(bench, sinceMs + 10_000)).toBe('5101');
  });

  it('is taken after a crash, which somebody must be able to look into', async () => {
    const { bench } = await onTrial();
    bench.ecu.reset('fault');
    while (bench.ecu.running === undefined) await bench.clock.advance(1);
    expect(await bench.ask('1101', { limitMs: 5 })).toBe('5101');
  });
});

describe('11 in a vehicle that moves', () => {
  const moving = (isMoving: boolean) =>
    EcuBench.start({ options: { motion: { isMoving: () => isMoving, close: () => {} } } });

  it('is refused to anybody, and taken from its own TMU', async () => {
    expect(await (await moving(false)).ask('1101')).toBe('5101');
    const bench = await moving(true);
    for (const type of ['1101', '1102', '1103']) {
      expect(await bench.ask(type)).toBe('7F1122');
    }
    expect(await bench.ask('1104')).toBe('7F1112');
    expect(await bench.secured('1101')).toBe('5101');
  });
});

describe('a reset of an ECU', () => {
  const resets = (bench: EcuBench) => bench.events.filter(({ kind }) => kind === 'reset').length;

  it('that boots already is none, and does not prolong its boot', async () => {
    const bench = await EcuBench.start();
    bench.ecu.reset('fault');
    expect(bench.ecu.running).toBeUndefined();
    bench.ecu.reset('request');
    expect(resets(bench)).toBe(1);
    await bench.clock.advance(5000);
    expect(bench.events.filter(({ kind }) => kind === 'boot')).toHaveLength(2);
  });

  it('that is no more is none', async () => {
    const bench = await EcuBench.start();
    await bench.ecu.close();
    bench.ecu.reset('fault');
    expect(resets(bench)).toBe(0);
    expect(await bench.ecu.stopped).toBe('closed');
  });

  it('that is closed while it boots ends its boot', async () => {
    const bench = await EcuBench.start();
    bench.ecu.reset('fault');
    await bench.ecu.close();
    await bench.clock.advance(5000);
    expect(bench.ecu.running).toBeUndefined();
    expect(bench.events.filter(({ kind }) => kind === 'boot')).toHaveLength(1);
  });
});
