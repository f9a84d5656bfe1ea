// Bars as text: what they say, and that they fit.

import { describe, expect, it } from 'vitest';
import { QuarterLines } from '../../src/core/quarter-lines.ts';
import { barRow, TransferBars } from '../../src/core/transfer-bars.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

describe('TransferBars', () => {
  it('tell rate and time left once they have been measured', async () => {
    const clock = new VirtualClock();
    const bars = new TransferBars(clock);
    bars.update('EDT program', 0, 100_000);
    expect(bars.rows(79)).toEqual([
      expect.stringMatching(/^EDT program {3}░+ {3}0 % {2}97\.7 KiB$/),
    ]);
    await clock.advance(2000);
    bars.update('EDT program', 20_000, 100_000);
    expect(bars.rows(79)[0]).toMatch(/ 20 % {2}10\.0 kB\/s, 8 s left$/);
  });

  it('measure a resumed transfer from where it was found, and begin again with another', async () => {
    const clock = new VirtualClock();
    const bars = new TransferBars(clock);
    bars.update('EDT program', 80_000, 100_000);
    await clock.advance(1000);
    bars.update('EDT program', 90_000, 100_000);
    expect(bars.rows(79)[0]).toMatch(/ 90 % {2}10\.0 kB\/s, 1 s left$/);
    bars.update('EDT program', 0, 50_000);
    expect(bars.rows(79)[0]).toMatch(/ 0 % {2}48\.8 KiB$/);
    bars.end('EDT program');
    expect(bars.labels).toEqual([]);
  });

  it.each([200, 80, 60, 40, 20, 5])('fit %i columns', (columns) => {
    const row = barRow('INV download', 0.5, '29.2 kB/s, 120 s left', columns);
    expect(row.length).toBeLessThanOrEqual(columns);
    if (columns >= 40) expect(row).toContain('50 %');
  });

  it('keep a name of sixteen letters apart from its bar', () => {
    expect(barRow('ABCDEFGHIJKLMNOP program', 0.5, 'x', 79)).toMatch(/^ABCDEFGHIJKLMNOP program █/);
  });
});

describe('QuarterLines', () => {
  it('tell each quarter once, and a transfer that begins again', () => {
    const quarters = new QuarterLines();
    const told = [0, 1, 24, 25, 26, 74, 99, 100, 100, 3].map((done) =>
      quarters.update('EDT', done, 100),
    );
    const nothing = undefined;
    expect(told).toEqual([0, nothing, nothing, 25, nothing, 50, 75, 100, nothing, 0]);
    expect(quarters.update('INV', 5, 10)).toBe(50);
  });
});
