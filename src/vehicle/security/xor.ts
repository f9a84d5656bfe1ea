// xor: every byte of the seed xor the bytes of a constant, repeated. Found in many older ECUs.

import { z } from 'zod';
import { byteAt, fromHex } from '../../core/bytes.ts';
import { securityAlgorithm } from './algorithm.ts';

export const xor = securityAlgorithm({
  name: 'xor',
  fields: {
    constant: z.string().regex(/^(?:[0-9a-fA-F]{2}){1,64}$/),
  },
  summary: 'seed xor constant',
  texts: { constant: 'the bytes, repeated over the seed, as hexadecimal digits.' },
  decisive: 'security.constant',
  simulated: () => ({ seedBytes: 16, keyBytes: 16 }),
  keyFromSeed({ constant }, seed) {
    const bytes = fromHex(constant);
    return { key: seed.map((byte, index) => byte ^ byteAt(bytes, index % bytes.length)) };
  },
});
