// The key of xor, with constants shorter and longer than the seed.

import { expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { securitySchema, usesProvisionedKey } from '../../../src/vehicle/security/all.ts';
import { xor } from '../../../src/vehicle/security/xor.ts';

it.each([
  ['00112233', 'ff', 'ffeeddcc'],
  ['00112233', 'a55a', 'a54b8769'],
  ['0011', 'a55a3cc3', 'a54b'],
])('seed %s with constant %s is %s', async (seed, constant, key) => {
  const made = await xor.keyFromSeed({ constant, level: 1 }, fromHex(seed), {});
  expect(made.key && toHex(made.key)).toBe(key);
});

it('has its constant in the vehicle file, never from the provisioning', () => {
  const security = securitySchema.parse({ algorithm: 'xor', level: '0x11', constant: 'a55a' });
  expect(security).toEqual({ algorithm: 'xor', level: 0x11, constant: 'a55a' });
  expect(usesProvisionedKey(security)).toBe(false);
  expect(securitySchema.safeParse({ algorithm: 'xor', constant: '' }).success).toBe(false);
  expect(securitySchema.safeParse({ algorithm: 'xor' }).success).toBe(false);
});
