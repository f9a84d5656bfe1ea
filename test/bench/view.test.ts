// What a person sees of a bench on a terminal: bars below the lines, and never a line that wraps.

import { describe, expect, it } from 'vitest';
import { BarView, type BenchRow, benchTable } from '../../src/bench/view.ts';

/** As much of a terminal as the view uses: lines, cursor up, clear to the end. */
class Screen {
  readonly columns: number;
  rows: string[] = [''];

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    for (const part of text.replaceAll('\x1b', 'ESC').split(/(ESC\[\d*[AJ]|\r|\n)/)) {
      const up = /^ESC\[(\d+)A$/.exec(part);
      if (up !== null) this.rows = this.rows.slice(0, this.rows.length - Number(up[1]));
      else if (part === 'ESC[J') this.rows[this.rows.length - 1] = '';
      else if (part === '\n') this.rows.push('');
      else if (part !== '\r') this.rows[this.rows.length - 1] += part;
    }
  }
}

const meter = { load: 0.96, frames: 12_345 };
const progress = (ecu: string, sent: number) =>
  ({ kind: 'ecu-progress', ecu, sent, total: 1000 }) as const;

describe('BarView', () => {
  it.each([40, 80, 200])('keeps lines above and bars below on %i columns', (columns) => {
    const screen = new Screen(columns);
    const view = new BarView(meter, screen);
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
    const view = new BarView(meter, screen);
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
    const view = new BarView(meter, screen);
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
    const wide = benchTable([row], 120);
    expect(wide).toContain('SHA-256 computed by the ECU');
    expect(wide).toContain('97.1 %');
  });
});
