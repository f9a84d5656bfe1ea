// Length and every hash that was named are compared.

import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { checkFileHashes } from '../../../src/trust/file-hash.ts';

const BYTES = new TextEncoder().encode('metadata');
const hash = (name: string) => createHash(name).update(BYTES).digest('hex');

it.each([
  ['nothing named', {}, true],
  ['the length', { length: 8 }, true],
  ['another length', { length: 9 }, false],
  ['another length and the right hash', { length: 9, hashes: { sha256: hash('sha256') } }, false],
  ['one hash', { hashes: { sha256: hash('sha256') } }, true],
  ['all hashes', { hashes: { sha256: hash('sha256'), sha512: hash('sha512') } }, true],
  ['one wrong of two', { hashes: { sha256: hash('sha256'), sha512: hash('sha256') } }, false],
  ['a hash in capitals', { hashes: { sha256: hash('sha256').toUpperCase() } }, false],
  ['an unknown hash beside a known one', { hashes: { sha256: hash('sha256'), x: '' } }, true],
  ['unknown hashes only', { hashes: { md5: hash('md5') } }, false],
  ['no hash in an empty list', { hashes: {} }, true],
])('%s', (_, named, right) => {
  const verdict = checkFileHashes(BYTES, named, 'snapshot');
  expect(verdict.ok).toBe(right);
  if (!right) expect(verdict).toMatchObject({ code: 'MIX_AND_MATCH', where: 'snapshot' });
});
