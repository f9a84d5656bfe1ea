// POST /auth/challenge: the first half of the log-in of a device.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { agreementKey, hardwareText, hexText, serialText } from '../../fields.ts';
import { BODY_PROBLEMS } from '../../problem.ts';

export const challenge = endpoint({
  id: 'challenge',
  method: 'POST',
  path: '/auth/challenge',
  summary: 'A challenge, with which the server proves that it knows the device.',
  request: {
    body: z.strictObject({
      serial: serialText,
      hw_id: hardwareText,
      clientNonce: hexText(16),
      /** With this key the exchange uses key pairs instead of the shared key. */
      clientKey: agreementKey.optional(),
    }),
  },
  response: {
    statuses: { 200: 'the challenge' },
    body: z.object({
      challenge: z.string().min(1).max(1024),
      serverNonce: z.string().regex(/^[0-9a-f]{16,128}$/),
      serverProof: z.string().max(256),
      /** Proof with the next key, to which the device may have changed. */
      nextProof: z.string().max(256).optional(),
      /** ISO 8601, for people: the server counts by its own clock. */
      expiresAt: z.string().max(64).optional(),
      serverKey: z.string().max(64).optional(),
      /** Signature of the role `time` over the exchange. */
      serverSignature: z.unknown().optional(),
    }),
  },
  problems: [...BODY_PROBLEMS, 'NO_KEY_PAIR', 'RATE_LIMITED'],
});
