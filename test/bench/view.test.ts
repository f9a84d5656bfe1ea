// What a person sees of a bench on a terminal: bars below the lines, and never a line that wraps.

import { describe, expect, it } from 'vitest';
import { type BenchRow, benchTable } from '../../src/bench/table.ts';
import { BarView, LineView } from '../../src/bench/view.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Screen } from '../support/screen.ts';

const meter = { load: 0.96, frames: 12_345 };
const open = (terminal: Screen, clock = new VirtualClock()): BarView =>
  new BarView(meter, { terminal, clock, silence: () => () => {} });
const progress = (ecu: string, sent: number) =>
  ({ kind: 'ecu-progress', ecu, sent, total: 1000 }) as const;

describe('BarView', () => {
  it.each([40, 80, 200])('keeps lines above and bars below on %i columns', (columns) => {
    const screen = new Screen(columns);
    const view = open(screen);
    view.line('bench on local:bench');
    view.tmu(progress('EDT', 0));
    view.tmu(progress('EDT', 500));
    view.tmu(progress('INV', 100));
    expect(screen.rows).toEqual([
      'bench on local:bench',
      expect.stringMatching(/^EDT program {3}█+░+ {2}50 %/),
      expect.stringMatching(/^INV program {3}█+░+ {2}10 %/),
      expect.stringMatching(/^bus load {6}█+░* {2}96 %/),
      '',
    ]);
    for (const row of screen.rows) expect(row.length).toBeLessThan(columns);
    view.tmu({ kind: 'ecu-step', ecu: 'EDT', step: 'stage', status: 'done' });
    expect(screen.rows).toEqual([
      'bench on local:bench',
      'TMU  EDT: programmed',
      expect.stringMatching(/^INV program/),
      expect.stringMatching(/^bus load/),
      '',
    ]);
    view.close();
    expect(screen.rows).toEqual(['bench on local:bench', 'TMU  EDT: programmed', '']);
  });

  it('tells what was verified, and what was refused', () => {
    const screen = new Screen(200);
    const view = open(screen);
    const versions = (targets: number) => ({ root: 1, timestamp: 4, snapshot: 4, targets });
    view.tmu({ kind: 'verified', director: versions(2), images: versions(7) });
    view.tmu({ kind: 'attack', code: 'FREEZE', where: 'time', reason: 'no nonce' });
    expect(screen.rows).toEqual([
      'TMU  both repositories verified: director targets 2, images targets 7',
      'TMU  FREEZE: time: no nonce',
      '',
    ]);
  });

  it('leaves the screen to the driver while he is asked', () => {
    const screen = new Screen(80);
    const view = open(screen);
    view.tmu({ kind: 'download-progress', ecu: 'EDT', file: 'f', received: 10, total: 100 });
    expect(screen.rows).toHaveLength(2);
    view.tmu({ kind: 'approval', status: 'asking', phase: 'install' });
    view.line('CGW  approve?');
    screen.write('approve\n'); // the echo of what he types
    view.tmu({ kind: 'approval', status: 'approved', phase: 'install' });
    expect(screen.rows.slice(0, 4)).toEqual([
      'TMU  driver: asking',
      'CGW  approve?',
      'approve',
      'TMU  driver: approved',
    ]);
  });
});

describe('what is being done', () => {
  it('is one row with its seconds, until there is news of a transfer', async () => {
    const clock = new VirtualClock();
    const screen = new Screen(80);
    const view = open(screen, clock);
    view.phase('key ceremony');
    expect(screen.rows).toEqual(['key ceremony ...', '']);
    await clock.advance(3000);
    expect(screen.rows).toEqual(['key ceremony ... 3 s', '']);
    view.line('backend on http://127.0.0.1:1');
    view.phase('EDT is provisioned');
    expect(screen.rows).toEqual(['backend on http://127.0.0.1:1', 'EDT is provisioned ...', '']);
    view.tmu(progress('EDT', 500));
    expect(screen.rows[1]).toMatch(/^EDT program/);
    view.close();
    expect(screen.rows).toEqual(['backend on http://127.0.0.1:1', '']);
    expect(clock.pending()).toEqual([]);
  });

  it('is a line on standard error where no row can be drawn', () => {
    const [output, notes] = [new Screen(80), new Screen(80)];
    const view = new LineView(output, notes);
    view.phase('key ceremony');
    view.line('backend');
    view.phase('EDT is provisioned');
    expect(notes.text).toBe('key ceremony ...\nEDT is provisioned ...\n');
    expect(output.text).toBe('backend\n');
    expect(output.text + notes.text).not.toContain('\x1b');
  });
});

describe('what is typed', () => {
  it('has a row of its own below the bars, which stays whatever comes', () => {
    const screen = new Screen(80);
    const view = open(screen);
    view.typed('');
    view.tmu(progress('EDT', 500));
    expect(screen.rows.at(-1)).toBe('');
    view.typed('app');
    view.tmu(progress('EDT', 600));
    view.line('TMU  something');
    expect(screen.rows).toEqual([
      'TMU  something',
      expect.stringMatching(/^EDT program.* 60 %/),
      expect.stringMatching(/^bus load/),
      '> app',
    ]);
    view.tmu({ kind: 'approval', status: 'asking', phase: 'install' });
    expect(screen.rows).toEqual(['TMU  something', 'TMU  driver: asking', '> app']);
    view.typed('');
    expect(screen.rows.at(-1)).toBe('> ');
    view.close();
    expect(screen.rows).toEqual(['TMU  something', 'TMU  driver: asking', '']);
  });
});

describe('benchTable', () => {
  const row: BenchRow = {
    name: 'EDT',
    from: '1.0.0',
    to: '2.0.0',
    reported: '2.0.0',
    sha256: '8a96aa0d332219777df8e91c23d668dec04914e78bb1abc1ae885e538d738ef9',
    bytes: 16_777_216,
    seconds: 561.2,
    limitShare: 0.971,
  };

  it('fits 80 columns, and says more where there is room', () => {
    const narrow = benchTable([row], 80).split('\n');
    for (const line of narrow) expect(line.length).toBeLessThanOrEqual(80);
    expect(narrow.join('\n')).toContain('8a96aa0d');
    // A list has everything that the table has, on half of the columns.
    const list = benchTable([row], 40);
    for (const line of list.split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    for (const text of ['EDT', '1.0.0', '2.0.0', '16777216', '561.20', '97.1 %', '8a96aa0d']) {
      expect(list).toContain(text);
    }
    // Long versions make the table wider than its headings.
    const long = { ...row, from: '1.0.0-alpha.20260101+build.77', to: '2.0.0-beta.20260102+build' };
    for (const line of benchTable([{ ...long, reported: long.to }], 80).split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
    }
    const wide = benchTable([row], 120);
    expect(wide).toContain('SHA-256 computed by the ECU');
    expect(wide).toContain('97.1 %');
  });
});
