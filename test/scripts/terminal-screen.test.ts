// The screen that pictures of the console are made of.

import { describe, expect, it } from 'vitest';
import { TerminalScreen } from '../../scripts/pictures/terminal-screen.ts';

function shown(...written: readonly string[]): TerminalScreen {
  const screen = new TerminalScreen(10, 3);
  for (const text of written) screen.write(text);
  return screen;
}

describe('a terminal screen', () => {
  it('writes lines, and moves them up at its end', () => {
    expect(shown('one\r\ntwo\r\nthree\r\nfour').lines).toEqual(['two', 'three', 'four']);
  });

  it('goes on in the next row at the right edge', () => {
    expect(shown('0123456789ab').lines).toEqual(['0123456789', 'ab', '']);
  });

  it('paints over what is there, and clears the rest', () => {
    expect(shown('aaaa\r\nbbbb\r\ncccc', '\x1b[Hx\x1b[K\r\ny\x1b[J').lines).toEqual(['x', 'y', '']);
    expect(shown('bar 1\r\nbar 2\r\n', '\x1b[2A\r\x1b[Jline\r\nbar 3').lines).toEqual([
      ...['line', 'bar 3', ''],
    ]);
  });

  it('shows a second screen, and the first one behind it again', () => {
    const screen = shown('first\x1b[?1049h\x1b[?25l\x1b[Hsecond');
    expect(screen.lines[0]).toBe('second');
    screen.write('\x1b[?25h\x1b[?1049l');
    expect(screen.lines[0]).toBe('first');
  });

  it('waits for the end of a sequence that was cut', () => {
    expect(shown('a\x1b', '[1', 'mb').html()).toBe('a<span class="bold">b</span>');
  });

  it('makes HTML of colours, without blank rows', () => {
    const screen = shown('\x1b[32m<ok>\x1b[39m \x1b[1;31mno\x1b[0m &\r\n');
    expect(screen.html()).toBe(
      '<span class="c2">&lt;ok></span> <span class="bold c1">no</span> &amp;',
    );
  });
});
