// The key of hmac-sha256: RFC 4231 test case 1 cut to 16 bytes, and which secret counts.

import { expect, it } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import {
  keyFromSeed,
  securitySchema,
  usesProvisionedKey,
} from '../../../src/vehicle/security/all.ts';
import { hmacSha256 } from '../../../src/vehicle/security/hmac-sha256.ts';

/** 20 bytes of 0B over "Hi There". */
const SECRET = '0b'.repeat(20);
const SEED = new TextEncoder().encode('Hi There');
const KEY = 'b0344c61d8db38535ca8afceaf0bf12b';

it('is the first half of the HMAC', async () => {
  const made = await hmacSha256.keyFromSeed({ secret: SECRET, level: 1 }, SEED, {});
  expect(made.key && toHex(made.key)).toBe(KEY);
});

it('takes the provisioned key where the vehicle file has none, and only there', async () => {
  const without = securitySchema.parse({ algorithm: 'hmac-sha256' });
  expect(usesProvisionedKey(without)).toBe(true);
  expect(without).toEqual({ algorithm: 'hmac-sha256', level: 1 });
  if (without.algorithm === 'none') throw new Error('it asks for a key');
  const made = await keyFromSeed(without, SEED, { provisioned: SECRET });
  expect(made.key && toHex(made.key)).toBe(KEY);
  expect(await keyFromSeed(without, SEED, {})).toEqual({ reason: undefined });
  const own = await hmacSha256.keyFromSeed({ secret: SECRET, level: 1 }, SEED, {
    provisioned: 'ff'.repeat(16),
  });
  expect(own.key && toHex(own.key)).toBe(KEY);
});

it('wants a secret of 16 to 64 bytes', () => {
  for (const bytes of [15, 65]) {
    const secret = '0b'.repeat(bytes);
    expect(securitySchema.safeParse({ algorithm: 'hmac-sha256', secret }).success).toBe(false);
  }
  expect(fromHex(SECRET)).toHaveLength(20);
});
