// A cryptographic library that throws: node:crypto is replaced in this file, which therefore has a process of its own.

import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { expect, it, vi } from 'vitest';
import { RULES } from '../../../src/trust/profile.ts';
import { readKeys } from '../../../src/trust/public-key.ts';
import type { JsonObject } from '../../../src/trust/strict-json.ts';

vi.mock('node:crypto', { spy: true });

it('a signature whose check throws is no signature', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const value = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('hex');
  const json = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: value } };
  const id = createHash('sha256').update(canonicalize(json)).digest('hex');
  const read = readKeys({ [id]: json } as JsonObject, RULES.strict, 'root');
  if (!read.ok) throw new Error(read.reason);
  const [key] = [...read.value.values()];
  const message = new TextEncoder().encode('{"a":1}');
  const signature = sign(null, message, privateKey).toString('hex');
  expect(key?.verify(message, signature)).toBe(true);
  vi.mocked(verify).mockImplementationOnce(() => {
    throw new Error('error:1C880004:Provider routines::RSA lib');
  });
  expect(key?.verify(message, signature)).toBe(false);
});
