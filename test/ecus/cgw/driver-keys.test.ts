// One vocabulary for the driver: keys, words, help and documentation are the same table.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  allWords,
  answerOfKey,
  answerOfLine,
  confirmsDeny,
  DRIVER_KEYS,
  keysHelp,
} from '../../../ecus/cgw/driver-keys.ts';
import { createProgram } from '../../../src/cli/program.ts';

const root = path.resolve(import.meta.dirname, '../../..');

describe('the answers of the driver', () => {
  it('have one key and one word each', () => {
    for (const field of ['key', 'word'] as const) {
      const all = DRIVER_KEYS.map((row) => row[field]);
      expect(new Set(all).size).toBe(all.length);
    }
    expect(allWords()).toBe('approve, later [minutes], later ignition, deny, withdraw or now');
  });

  it.each(DRIVER_KEYS)('$word is understood as key and as word, in either case', (row) => {
    for (const line of [row.word, row.word.toUpperCase(), row.key, ` ${row.key.toUpperCase()} `]) {
      expect(answerOfLine(line)).toEqual(row.answer);
    }
    expect(answerOfKey(row.key)).toEqual(row.answer);
    expect(answerOfKey(row.key.toUpperCase())).toEqual(row.answer);
  });

  it('take minutes with the word and with the key', () => {
    expect(answerOfLine('later 5')).toEqual({ kind: 'later', minutes: 5 });
    expect(answerOfLine('l 5')).toEqual({ kind: 'later', minutes: 5 });
    expect(answerOfLine('l 0')).toBeUndefined();
    expect(answerOfLine('d 5')).toBeUndefined();
  });

  it('need more than one key to deny', () => {
    expect(['deny', 'D', 'yes', 'Y'].every(confirmsDeny)).toBe(true);
    expect(['b', 'a', 'approve', ''].some(confirmsDeny)).toBe(false);
  });

  it.each(['bench', 'cgw'])('stand in the help of %s', (name) => {
    const command = createProgram().commands.find((known) => known.name() === name);
    let help = '';
    command?.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command?.outputHelp();
    expect(help).toContain(keysHelp());
    for (const { key, word, label } of DRIVER_KEYS) {
      expect(help).toMatch(
        new RegExp(`^ {2}${key} {2}${word}.*${label.replaceAll(/[()]/g, '.')}$`, 'm'),
      );
    }
  });

  it('are those of the tutorial', () => {
    const page = readFileSync(path.join(root, 'docs', 'tutorial.md'), 'utf8');
    const named = [...page.matchAll(/`([a-z])` (?:twice )?\((\w+)\)/g)];
    expect(named.length).toBeGreaterThanOrEqual(2);
    for (const [text, key, word] of named) {
      const row = DRIVER_KEYS.find((known) => known.key === key);
      expect(row?.word, text).toBe(word);
    }
  });
});
