// The key of command: what the program is handed, and what is said when it gives no key.

import { expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import type { KeyProgram } from '../../../src/vehicle/security/algorithm.ts';
import { command } from '../../../src/vehicle/security/command.ts';

const SEED = fromHex('00ff');
const FIELDS = { command: './key', level: 1 };

it('hands over the seed as digits and reads the key from the line', async () => {
  const calls: [KeyProgram, string][] = [];
  const made = await command.keyFromSeed(FIELDS, SEED, {
    runCommand: async (...args) => {
      calls.push(args);
      return ' a1b2\n';
    },
  });
  expect(calls).toEqual([[{ kind: 'command', file: './key' }, '00ff']]);
  expect(made.key && toHex(made.key)).toBe('a1b2');
});

it('says why there is no key', async () => {
  expect(await command.keyFromSeed(FIELDS, SEED, {})).toEqual({
    reason: 'security.algorithm is "command", and this process may not run programs',
  });
  const empty = { runCommand: async () => '\n' };
  expect(await command.keyFromSeed(FIELDS, SEED, empty)).toEqual({
    reason: './key gave no key',
  });
  const words = { runCommand: async () => 'no such seed\n' };
  expect(await command.keyFromSeed(FIELDS, SEED, words)).toEqual({
    reason: expect.stringContaining('expected the key as hexadecimal digits on one line'),
  });
  const broken = { runCommand: () => Promise.reject(new Error('exit code 3')) };
  expect(await command.keyFromSeed(FIELDS, SEED, broken)).toEqual({
    reason: expect.stringContaining('./key gave no key: exit code 3'),
  });
});

it('cannot be simulated', () => {
  expect(command).not.toHaveProperty('simulated');
});
