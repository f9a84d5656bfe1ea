// GET /healthz: whether the server works, and what expires soon.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { timeText } from '../../fields.ts';

const ending = {
  expires: timeText,
  /** Whole days until the end; negative afterwards. */
  daysLeft: z.number().int(),
  stage: z.enum(['valid', 'month', 'week', 'day', 'expired']),
};

export const health = endpoint({
  id: 'health',
  method: 'GET',
  path: '/healthz',
  summary: 'Whether the server works, and what expires soon.',
  response: {
    statuses: { 200: 'the server works', 503: 'the database does not answer' },
    body: z.object({
      status: z.enum(['ok', 'expiring', 'expired', 'failed']),
      version: z.string(),
      database: z.enum(['ok', 'failed']),
      uptimeSeconds: z.number().int(),
      /** Signed metadata that expires soon. */
      metadata: z.array(
        z.object({ repository: z.string(), role: z.string(), version: z.number(), ...ending }),
      ),
      /** Number of vehicles that have checked in, and of those that are silent. */
      vehicles: z
        .object({ known: z.number(), day: z.number(), week: z.number(), month: z.number() })
        .nullable(),
      /** Tokens of tools that expire soon. */
      tokens: z.array(z.object({ role: z.string(), ...ending })),
      /** Notices for operators, one sentence each. */
      notices: z.array(z.string()),
    }),
  },
  problems: [],
});
