// What somebody without authority can do to an ECU for good: nothing, and no wear of its flash either.

import { describe, expect, it } from 'vitest';
import { EcuBench } from '../support/ecu-bench.ts';
import { onTrial, repeat, writes } from './durable-effects-support.ts';

describe('the flash is written', () => {
  it('never by clearing trouble codes where there are none', async () => {
    const bench = await EcuBench.start();
    expect(await writes(bench, () => bench.expect('14FFFFFF'))).toBeGreaterThan(0);
    for (const functional of [false, true]) {
      const clear = () => bench.ask('14FFFFFF', { functional });
      expect(await writes(bench, () => repeat(500, clear))).toBe(0);
    }
    expect(await writes(bench, () => repeat(100, () => bench.ask('14934200')))).toBe(0);
  });

  it('a few times by 27 wrong keys', async () => {
    const bench = await EcuBench.start();
    await bench.expect('1003');
    const wrong = `2702${'11'.repeat(16)}`;
    const attempts = () =>
      repeat(27, async () => {
        if ((await bench.ask('2701')).startsWith('6701')) await bench.ask(wrong);
        else await bench.clock.advance(10_001);
        await bench.ask('1003');
      });
    expect(await writes(bench, attempts)).toBeLessThanOrEqual(3);
    // Resets in between are no way around it.
    const withResets = () =>
      repeat(9, async () => {
        await bench.reset();
        await bench.clock.advance(10_001);
        await bench.ask('1003');
        if ((await bench.ask('2701')).startsWith('6701')) await bench.ask(wrong);
      });
    expect(await writes(bench, withResets)).toBeLessThanOrEqual(1);
  });

  it('never by challenges, nonces, questions and refused orders', async () => {
    const bench = await onTrial();
    await bench.expect('22FD22');
    await bench.prepare();
    const requests = [
      ...['22FD24', '22FD21', '22FD20', '22FD25', '22FD00', '22FD01', '31030211', '1902FF'],
      ...['31010210', '31010211', '31010212', '31010213', `2EFD23${'00'.repeat(7)}01`],
      ...[`2EFD16${'40'.repeat(32)}`, `2EF190${'41'.repeat(17)}`, '2EFD3128', '8400690100100001'],
      ...['1003', '1002', '2701', '3E00', '8502', '280301'],
    ];
    const all = async () => {
      for (const request of requests) await bench.ask(request);
    };
    expect(await writes(bench, () => repeat(20, all))).toBe(0);
  });
});

describe('a trial', () => {
  it('outlives the resets of anybody and none of its crashes', async () => {
    const bench = await onTrial();
    const versions: string[] = [];
    for (const crash of [false, false, false, true, false, true, false, true]) {
      if (crash) await bench.crash();
      else await bench.reset();
      versions.push(await bench.text('F195'));
    }
    expect(versions).toEqual([...Array.from({ length: 7 }, () => '2.0.0'), '1.0.0']);
  });

  it('is restarted by the TMU whenever it wants, by nobody else all the time', async () => {
    const bench = await onTrial();
    expect(await bench.ask('1101')).toBe('7F1122'); // 5 s after the restart that was asked for
    await bench.clock.advance(6000);
    expect(await bench.ask('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.ask('1101')).toBe('7F1122');
    expect(await bench.ask('1103')).toBe('7F1122');
    expect(await bench.secured('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.secured('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.order('confirm')).toBe('7101021100');
    expect(await bench.ask('1101')).toBe('5101'); // nothing is on trial any more
  });
});
