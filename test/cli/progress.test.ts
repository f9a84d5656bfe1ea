// Progress of flash and tmu: bars on a terminal, quarters where none can be drawn, nothing in a log.

import { describe, expect, it } from 'vitest';
import { FlashProgress } from '../../src/cli/flash/progress.ts';
import { openTmuView } from '../../src/cli/tmu/terminal-view.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Screen } from '../support/screen.ts';

const XTERM = { TERM: 'xterm' };
const DUMB = { TERM: 'dumb' };
const silence = (): (() => void) => () => {};
const clock = new VirtualClock();
const progress = (sent: number) =>
  ({ kind: 'ecu-progress', ecu: 'EDT', sent, total: 1000 }) as const;

class Log {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

describe('the TMU', () => {
  it.each([200, 80, 40])('has a bar below its lines on %i columns', (columns) => {
    const screen = new Screen(columns);
    const view = openTmuView({ terminal: screen, environment: XTERM, clock, silence });
    view.show({ kind: 'state', state: 'staging' }, 'staging');
    view.show(progress(0), undefined);
    view.show(progress(500), undefined);
    expect(screen.rows).toEqual(['staging', expect.stringMatching(/^EDT program .* 50 %/), '']);
    for (const row of screen.rows) expect(row.length).toBeLessThan(columns);
    view.show(progress(1000), 'EDT: 1000 B transferred');
    expect(screen.rows).toEqual(['staging', 'EDT: 1000 B transferred', '']);
    view.show({ ...progress(100), ecu: 'INV' }, undefined);
    view.show(
      { kind: 'ecu-step', ecu: 'INV', step: 'stage', status: 'failed', reason: 'silent' },
      'INV: stage failed: silent',
    );
    expect(screen.rows.slice(2)).toEqual(['INV: stage failed: silent', '']);
    view.show(progress(100), undefined);
    view.close();
    expect(screen.rows).toHaveLength(4);
  });

  it('tells quarters on a terminal that cannot draw, and moves no cursor', () => {
    const screen = new Screen(80);
    const view = openTmuView({ terminal: screen, environment: DUMB, clock, silence });
    for (const sent of [0, 100, 250, 400, 800]) view.show(progress(sent), undefined);
    view.show(progress(1000), 'EDT: 1000 B transferred');
    view.close();
    expect(screen.rows).toEqual([
      ...['EDT program: 0 %', 'EDT program: 25 %', 'EDT program: 75 %'],
      ...['EDT: 1000 B transferred', ''],
    ]);
    expect(screen.text).not.toContain('\x1b');
  });

  it('has its lines alone in a log', () => {
    const log = new Log();
    const view = openTmuView({ terminal: log, environment: XTERM, clock, silence });
    for (const sent of [0, 500, 1000]) view.show(progress(sent), undefined);
    view.show({ kind: 'state', state: 'idle' }, 'idle');
    view.close();
    expect(log.text).toBe('idle\n');
  });
});

describe('flash', () => {
  const emitted: unknown[] = [];
  const context = { json: false, emit: (value: unknown) => void emitted.push(value) };

  it('has a bar that goes when it pauses', () => {
    const screen = new Screen(80);
    const options = { terminal: screen, environment: XTERM, clock, silence };
    const bar = new FlashProgress('EDT', context, options);
    bar.update({ sent: 0, total: 1000 });
    bar.update({ sent: 500, total: 1000 });
    expect(screen.rows).toEqual([expect.stringMatching(/^EDT program .* 50 %/), '']);
    bar.pause();
    expect(screen.rows).toEqual(['']);
    bar.pause();
  });

  it('tells quarters on a terminal that cannot draw, and nothing in a log', () => {
    const screen = new Screen(80);
    const log = new Log();
    const plain = new FlashProgress('EDT', context, { terminal: screen, environment: DUMB, clock });
    const quiet = new FlashProgress('EDT', context, { terminal: log, environment: XTERM, clock });
    for (const sent of [0, 400, 1000]) {
      plain.update({ sent, total: 1000 });
      quiet.update({ sent, total: 1000 });
    }
    plain.pause();
    expect(screen.text).toBe('EDT: 0 % programmed\nEDT: 25 % programmed\nEDT: 100 % programmed\n');
    expect(log.text).toBe('');
  });

  it('writes for machines as often as they need it', async () => {
    const own = new VirtualClock();
    emitted.length = 0;
    const log = new Log();
    const lines = new FlashProgress(
      'EDT',
      { ...context, json: true },
      { terminal: log, clock: own },
    );
    for (const sent of [0, 10, 20]) lines.update({ sent, total: 100 });
    await own.advance(500);
    lines.update({ sent: 30, total: 100 });
    lines.update({ sent: 100, total: 100 });
    expect(emitted).toEqual(
      [0, 30, 100].map((sent) => ({ kind: 'progress', ecu: 'EDT', sent, total: 100 })),
    );
    expect(log.text).toBe('');
  });
});
