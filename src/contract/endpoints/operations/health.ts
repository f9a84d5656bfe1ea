// GET /healthz: whether the server works, and what ends soon.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { timeText } from '../../fields.ts';

const ending = {
  expires: timeText,
  /** Whole days, negative afterwards. */
  daysLeft: z.number().int(),
  stage: z.enum(['valid', 'month', 'week', 'day', 'expired']),
};

export const health = endpoint({
  id: 'health',
  method: 'GET',
  path: '/healthz',
  summary: 'Whether the server works, and what ends soon.',
  response: {
    statuses: { 200: 'the server works', 503: 'the database does not answer' },
    body: z.object({
      status: z.enum(['ok', 'expiring', 'expired', 'failed']),
      version: z.string(),
      database: z.enum(['ok', 'failed']),
      uptimeSeconds: z.number().int(),
      /** Signed metadata. */
      metadata: z.array(
        z.object({ repository: z.string(), role: z.string(), version: z.number(), ...ending }),
      ),
      /** Vehicles that have checked in, and those of them that are silent for so long. */
      vehicles: z
        .object({ known: z.number(), day: z.number(), week: z.number(), month: z.number() })
        .nullable(),
      /** Tokens of tools that end soon. */
      tokens: z.array(z.object({ role: z.string(), ...ending })),
      /** What operators must know, a sentence each. */
      notices: z.array(z.string()),
    }),
  },
  problems: [],
});
