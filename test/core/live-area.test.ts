// Rows that are drawn again below lines that stay: what is typed, narrow windows, and the echo of the terminal.

import { describe, expect, it } from 'vitest';
import { LiveArea } from '../../src/core/live-area.ts';
import { Screen } from '../support/screen.ts';

function open(columns = 40) {
  const screen = new Screen(columns);
  const echo: string[] = [];
  const silence = (): (() => void) => {
    echo.push('off');
    return () => echo.push('on');
  };
  return { screen, echo, area: new LiveArea(screen, { silence }) };
}

describe('LiveArea', () => {
  it('keeps lines, draws rows again, and leaves nothing behind', () => {
    const { screen, area } = open();
    area.paint(['one'], { rows: ['bar 1', 'bar 2'] });
    expect(screen.rows).toEqual(['one', 'bar 1', 'bar 2', '']);
    area.paint(['two', 'three'], { rows: ['bar 1'] });
    expect(screen.rows).toEqual(['one', 'two', 'three', 'bar 1', '']);
    area.insert('four');
    expect(screen.rows).toEqual(['one', 'two', 'three', 'four', 'bar 1', '']);
    area.paint([], { rows: [] });
    expect(screen.rows).toEqual(['one', 'two', 'three', 'four', '']);
  });

  it('keeps what is typed behind the rows, however often they are drawn', () => {
    const { screen, area } = open();
    for (const typed of ['> ', '> a', '> ap', '> app']) {
      area.paint([], { rows: ['bar'], typed });
      expect(screen.rows).toEqual(['bar', typed]);
    }
    area.paint(['line'], { rows: ['bar', 'bus'], typed: '> app' });
    expect(screen.rows).toEqual(['line', 'bar', 'bus', '> app']);
    area.paint(['> approve'], { rows: [], typed: '> ' });
    expect(screen.rows).toEqual(['line', '> approve', '> ']);
    area.paint([], { rows: [] });
    expect(screen.rows).toEqual(['line', '> approve', '']);
  });

  it('draws no row that wraps, and shows the end of a long line', () => {
    const { screen, area } = open(20);
    area.paint([], { rows: ['x'.repeat(50)], typed: `> ${'0123456789'.repeat(5)}` });
    expect(screen.rows).toEqual([`${'x'.repeat(18)}…`, '…234567890123456789'.slice(0, 19)]);
    for (const row of screen.rows) expect(row.length).toBeLessThan(20);
    area.paint([], { rows: [] });
    expect(screen.rows).toEqual(['']);
  });

  it('finds its rows in a window that became narrower', () => {
    const { screen, area } = open(40);
    area.paint(['line'], { rows: ['r'.repeat(30), 's'.repeat(10)], typed: `> ${'t'.repeat(20)}` });
    screen.resize(20);
    expect(screen.rows).toHaveLength(1 + 2 + 1 + 2);
    area.paint([], { rows: ['bar'] });
    expect(screen.rows).toEqual(['line', 'bar', '']);
  });

  it('has the echo of the terminal off while it has rows', () => {
    const { echo, area } = open();
    area.paint(['line'], { rows: [] });
    expect(echo).toEqual([]);
    area.paint([], { rows: ['bar'] });
    area.paint([], { rows: ['bar'] });
    expect(echo).toEqual(['off']);
    area.paint([], { rows: [] });
    area.paint([], { rows: [] });
    expect(echo).toEqual(['off', 'on']);
    area.paint([], { rows: ['bar'] });
    expect(echo).toEqual(['off', 'on', 'off']);
  });

  it('takes a terminal without a size for one of 80 columns', () => {
    expect(open(0).area.columns).toBe(80);
  });
});
