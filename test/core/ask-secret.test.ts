// A password on a terminal: nothing is shown, nothing moves, and the terminal is left as it was.

import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askSecret } from '../../src/core/ask-secret.ts';

function open() {
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on),
  });
  let text = '';
  const output = {
    write: (part: string): void => {
      text += part;
    },
  };
  return { input, output, raw, written: () => text };
}

describe('askSecret', () => {
  it('takes a line and shows none of it', async () => {
    const terminal = open();
    const asked = askSecret('Passphrase', terminal);
    for (const keys of ['sec', 'rez', '\x7f', 't \u00e4\u{1f511}', '\x1b[D', '\r']) {
      terminal.input.write(keys);
    }
    expect(await asked).toBe('secret \u00e4\u{1f511}');
    expect(terminal.written()).toBe('Passphrase: \n');
    expect(terminal.raw).toEqual([true, false]);
  });

  it('shows the question only when no typed key is shown any more', async () => {
    const terminal = open();
    const shown: [string, number][] = [];
    const output = { write: (text: string) => shown.push([text, terminal.raw.length]) };
    const asked = askSecret('Password', { ...terminal, output });
    terminal.input.write('secret\r');
    await asked;
    expect(shown).toEqual([
      ['Password: ', 1],
      ['\n', 2],
    ]);
  });

  it('reads a letter whose bytes come apart', async () => {
    const terminal = open();
    const asked = askSecret('Password', terminal);
    const bytes = Buffer.from('\u00e4\n');
    terminal.input.write(bytes.subarray(0, 1));
    terminal.input.write(bytes.subarray(1));
    expect(await asked).toBe('\u00e4');
  });

  it('keeps what was typed ahead for the next question', async () => {
    const terminal = open();
    terminal.input.write('first\rsecond\rrest');
    expect(await askSecret('Password', terminal)).toBe('first');
    expect(await askSecret('Once more', terminal)).toBe('second');
    expect(terminal.written()).toBe('Password: \nOnce more: \n');
  });

  it('begins again after Control-U', async () => {
    const terminal = open();
    terminal.input.write('wrong\x15right\n');
    expect(await askSecret('Password', terminal)).toBe('right');
  });

  it.each(['\x03', 'half\x03', '\x04'])('is given up with %j', async (keys) => {
    const terminal = open();
    terminal.input.write(keys);
    expect(await askSecret('Password', terminal)).toBeUndefined();
    expect(terminal.raw).toEqual([true, false]);
  });

  it('is given up when the terminal is gone', async () => {
    const terminal = open();
    terminal.input.end('half');
    expect(await askSecret('Password', terminal)).toBeUndefined();
  });
});
