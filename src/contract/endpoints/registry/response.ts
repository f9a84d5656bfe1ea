// POST /auth/response: the second half of the log-in of a device; a session with a token, or a sealed session.

import { z } from 'zod';
import { SUITES } from '../../../trust/sealed-session.ts';
import { endpoint } from '../../endpoint.ts';
import { timeText } from '../../fields.ts';
import { BODY_PROBLEMS } from '../../problem.ts';

/** The answer without `sealed` in the request. */
export const tokenSession = z.object({ token: z.string().max(256), expiresAt: timeText });

/** The answer with `sealed` in the request. */
export const sealedSession = z.object({
  expiresAt: timeText,
  /** The last counter that the server has stored. */
  counter: z.number().int().min(0),
  proof: z.string().max(128),
});

export const answerChallenge = endpoint({
  id: 'answerChallenge',
  method: 'POST',
  path: '/auth/response',
  summary: 'The answer to a challenge opens a session: with a token, or sealed.',
  request: {
    body: z.strictObject({
      challenge: z.string().max(500),
      clientProof: z.string().max(128),
      clientSignature: z.string().max(256).optional(),
      sealed: z
        .strictObject({
          suite: z.enum(SUITES),
          counter: z
            .number()
            .int()
            .min(1)
            .max(2 ** 48),
        })
        .optional(),
    }),
  },
  response: { statuses: { 200: 'the session' }, body: z.union([tokenSession, sealedSession]) },
  problems: [...BODY_PROBLEMS, 'DEVICE_REFUSED', 'OTHER_CHIP', 'RATE_LIMITED', 'SUITE_REFUSED'],
});
