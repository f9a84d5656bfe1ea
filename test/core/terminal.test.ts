// What a terminal can do: by its kind, and by whose turn it is on it.

import { describe, expect, it } from 'vitest';
import { canRedraw, isInForeground } from '../../src/core/terminal.ts';

describe('canRedraw', () => {
  it('needs a terminal of a kind that moves its cursor', () => {
    const terminal = { isTTY: true };
    expect(canRedraw(terminal, { TERM: 'xterm-256color' })).toBe(true);
    expect(canRedraw(terminal, { TERM: 'linux' })).toBe(true);
    expect(canRedraw(terminal, { TERM: 'dumb' })).toBe(false);
    expect(canRedraw(terminal, { TERM: '' })).toBe(false);
    expect(canRedraw(terminal, {})).toBe(false);
    expect(canRedraw({}, { TERM: 'xterm' })).toBe(false);
    // No colours is no reason to have no bars.
    expect(canRedraw(terminal, { TERM: 'xterm', NO_COLOR: '1' })).toBe(true);
  });
});

describe('isInForeground', () => {
  it('compares the group of the process with that of the terminal', () => {
    expect(isInForeground('77 (node) S 1 77 70 34816 77 4194304')).toBe(true);
    expect(isInForeground('77 (node) S 1 77 70 34816 70 4194304')).toBe(false);
    // The name may hold anything, and a system may tell nothing.
    expect(isInForeground('77 (a) b (c 1 2) S 1 77 70 34816 70 4194304')).toBe(false);
    expect(isInForeground('')).toBe(true);
  });
});
