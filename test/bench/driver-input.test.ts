// The keys of a driver whose terminal the bars share: lines, corrections, signals, and a terminal left as it was.

import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { KeyInput } from '../../src/bench/driver-input.ts';
import { TypedLine } from '../../src/bench/typed-line.ts';

class Keys extends EventEmitter {
  raw: boolean[] = [];
  setRawMode(on: boolean): void {
    this.raw.push(on);
  }
  resume(): void {}
  pause(): void {}
  type(text: string | Buffer): void {
    this.emit('data', Buffer.from(text));
  }
}

function open() {
  const keys = new Keys();
  const lines: string[] = [];
  const typed: string[] = [];
  const signals: string[] = [];
  const view = {
    line: (text: string) => void lines.push(text),
    typed: (text: string) => void typed.push(text),
  };
  const input = new KeyInput(view, keys, (name) => void signals.push(name));
  const received = (): string => String(input.lines.read() ?? '');
  return { keys, lines, typed, signals, input, received };
}

describe('KeyInput', () => {
  it('shows each key and hands whole lines on', () => {
    const { keys, lines, typed, input, received } = open();
    for (const key of 'appp\x7frove') keys.type(key);
    expect(typed.at(-1)).toBe('approve');
    expect(received()).toBe('');
    keys.type('\r');
    expect(typed.at(-1)).toBe('');
    expect(lines).toEqual(['> approve']);
    expect(received()).toBe('approve\n');
    keys.type('deny\rdeny\rhalf');
    expect(received()).toBe('deny\ndeny\n');
    input.close();
    // What was not sent stays on the screen.
    expect(lines.at(-1)).toBe('> half');
    expect(keys.raw).toEqual([true, false]);
    expect(keys.listenerCount('data')).toBe(0);
  });

  it('passes on what a terminal makes of its control keys', () => {
    const { keys, signals, input } = open();
    keys.type('a\x03\x1c');
    expect(signals).toEqual(['SIGINT', 'SIGQUIT']);
    const listeners = process.listenerCount('SIGCONT');
    keys.type('\x1a');
    expect(signals.at(-1)).toBe('SIGTSTP');
    expect(keys.raw).toEqual([true, false]);
    process.emit('SIGCONT');
    expect(keys.raw).toEqual([true, false, true]);
    input.close();
    expect(process.listenerCount('SIGCONT')).toBe(listeners - 1);
  });

  it('ends its lines with Control-D on an empty line only', () => {
    const { keys, input, received } = open();
    keys.type('a\x04b\r');
    expect(received()).toBe('ab\n');
    keys.type('\x04');
    expect(input.lines.read()).toBeNull();
    expect(input.lines.readableEnded || input.lines.readableLength === 0).toBe(true);
    input.close();
  });
});

describe('TypedLine', () => {
  it('takes no keys that are no letters, and no endless line', () => {
    const line = new TypedLine();
    expect(line.feed('\x1b[A')).toEqual([]);
    expect(line.feed('\x00\x07x\ty')).toEqual([]);
    expect(line.text).toBe('xy');
    line.feed('\x15');
    expect(line.text).toBe('');
    line.feed('z'.repeat(100_000));
    expect(line.text.length).toBeLessThanOrEqual(200);
    expect(line.feed('\r\n')).toHaveLength(1);
  });
});
