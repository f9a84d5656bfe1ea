// hmac-sha256: the key is the first 16 bytes of HMAC-SHA256(secret, seed).

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex } from '../../core/bytes.ts';
import { hexSecret } from '../field-schema.ts';
import { securityAlgorithm } from './algorithm.ts';

const KEY_BYTES = 16;

export const hmacSha256 = securityAlgorithm({
  name: 'hmac-sha256',
  fields: {
    /** Missing: the key from the provisioning of the ECU. */
    secret: hexSecret.optional(),
  },
  summary: 'first 16 bytes of HMAC-SHA256(secret, seed)',
  texts: {
    secret:
      'the key, 16 to 64 bytes as hexadecimal digits. Missing: the one that provisioning made.',
  },
  decisive: 'security.secret',
  provisioned: true,
  simulated: () => ({ seedBytes: 16, keyBytes: KEY_BYTES }),
  keyFromSeed({ secret }, seed, { provisioned }) {
    const counts = secret ?? provisioned;
    if (counts === undefined) return { reason: undefined };
    return { key: hmac(sha256, fromHex(counts), seed).slice(0, KEY_BYTES) };
  },
});
