// Programs that make keys, run as they are in the vehicle: a command, and a module of the integrator.

import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { runKeyCommand } from '../../src/onboard/key-command.ts';
import { keyFromSeed, securitySchema } from '../../src/vehicle/security/all.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'can-ota-key-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function keyOf(fields: Record<string, unknown>): Promise<string | undefined> {
  const security = securitySchema.parse(fields);
  if (security.algorithm === 'none') throw new Error('it asks for a key');
  const made = await keyFromSeed(security, fromHex('0102'), { runCommand: runKeyCommand });
  return made.key === undefined ? made.reason : toHex(made.key);
}

async function moduleOf(name: string, text: string) {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return { algorithm: 'module', module: file, level: 3 };
}

it('a module makes the key', async () => {
  const text = 'export default ({ seed, level }) => Uint8Array.of(level, ...seed);';
  expect(await keyOf(await moduleOf('sync.mjs', text))).toBe('030102');
  const later = 'export default async ({ seed }) => seed.reverse();';
  expect(await keyOf(await moduleOf('later.mjs', later))).toBe('0201');
});

it.each([
  ['no-default.mjs', 'export const key = 1;', 'its default export is no function'],
  ['text.mjs', 'export default () => "00";', 'its default export returned no Uint8Array'],
  ['throws.mjs', 'export default () => { throw new Error("no licence"); };', 'no licence'],
])('%s gives no key, and the reason is told', async (name, text, reason) => {
  expect(await keyOf(await moduleOf(name, text))).toContain(reason);
});

it('a command makes the key', async () => {
  const file = path.join(folder, 'key.sh');
  await writeFile(file, '#!/bin/sh\necho $1ff\n');
  await chmod(file, 0o700);
  expect(await keyOf({ algorithm: 'command', command: file })).toBe('0102ff');
});
