// The key of arithmetic, step by step, against numbers worked out by hand.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { securitySchema } from '../../../src/vehicle/security/all.ts';
import { arithmetic } from '../../../src/vehicle/security/arithmetic.ts';

async function keyOf(seed: string, ...steps: string[]): Promise<string | undefined> {
  const fields = { steps, seedBytes: seed.length / 2, level: 1 };
  const made = await arithmetic.keyFromSeed(fields, fromHex(seed), {});
  return made.key === undefined ? made.reason : toHex(made.key);
}

describe('a step', () => {
  it.each([
    ['fffffffe', 'add 0x3', '00000001'],
    ['00000001', 'sub 3', 'fffffffe'],
    ['12345678', 'xor 0xFFFF0000', 'edcb5678'],
    ['12345678', 'and 0xFF', '00000078'],
    ['12340000', 'or 0x5678', '12345678'],
    ['80000001', 'mul 2', '00000002'],
    ['80000001', 'rotl 1', '00000003'],
    ['80000001', 'rotr 4', '18000000'],
    ['80000001', 'rotl 32', '80000001'],
    ['80000001', 'shl 1', '00000002'],
    ['80000001', 'shr 4', '08000000'],
    ['80000001', 'shl 40', '00000000'],
    ['00ff00ff', 'not', 'ff00ff00'],
    ['01020304', 'swap', '04030201'],
    ['8001', 'rotl 1', '0003'],
    ['ffffffffffffffff', 'add 0x1', '0000000000000000'],
    ['0102030405060708', 'swap', '0807060504030201'],
  ])('%s %s is %s', async (seed, step, key) => {
    expect(await keyOf(seed, step)).toBe(key);
  });

  it('follows the one before', async () => {
    expect(await keyOf('00000001', 'rotl 4', 'add 0x0F', 'xor 0xFF')).toBe('000000e0');
  });
});

it('says which length of the seed it expected', async () => {
  const fields = { steps: ['not'], seedBytes: 4, level: 1 };
  const made = await arithmetic.keyFromSeed(fields, fromHex('0102'), {});
  expect(made).toEqual({
    reason: 'its seed has 2 bytes, security.seedBytes says 4: correct the vehicle file',
  });
});

it.each(['add', 'rotl 100', 'add 0x', 'turn 3', 'add -1', 'not 3', 'add 0x12345678123456789'])(
  'refuses the step %s',
  (step) => {
    const parsed = securitySchema.safeParse({ algorithm: 'arithmetic', steps: [step] });
    expect(parsed.error?.issues[0]?.message).toContain('expected add, sub, xor');
  },
);
