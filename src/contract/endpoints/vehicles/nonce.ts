// GET and POST /get_nonce: a nonce for one download.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { vehicleId } from '../../fields.ts';
import { DEVICE_PROBLEMS } from '../../problem.ts';

/** A nonce of 128 bits. */
export const nonceText = z.string().regex(/^[0-9a-f]{32}$/i, 'expected 32 hexadecimal digits');

const nonce = {
  path: '/get_nonce',
  summary: 'A nonce for one download: single use, valid for five minutes, bound to the caller.',
  request: {
    query: z.object({ vin: vehicleId.optional() }),
    headers: { 'X-Vehicle-VIN': 'the VIN, where the query does not name it' },
  },
  response: {
    statuses: { 200: 'the nonce' },
    /** This server gives 32 hexadecimal digits; a client takes any token of this form. */
    body: z.object({
      nonce: z.string().regex(/^[0-9A-Za-z_-]{16,128}$/),
      expiresInSeconds: z.number().int().min(1).optional(),
    }),
  },
  problems: [...DEVICE_PROBLEMS, 'BAD_FIELD', 'NONCE_LIMIT'],
} as const;

export const getNonce = endpoint({ ...nonce, id: 'getNonce', method: 'GET' });

/** The same for clients that do not repeat a GET. */
export const postNonce = endpoint({ ...nonce, id: 'postNonce', method: 'POST' });
