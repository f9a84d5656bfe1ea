// POST /auth/rotate: a device changes its key.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { agreementKey } from '../../fields.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const rotate = endpoint({
  id: 'rotateKey',
  method: 'POST',
  path: '/auth/rotate',
  summary:
    'Both sides agree on the next key of the device; the next session makes it the only one.',
  sealed: true,
  request: { body: z.strictObject({ clientKey: agreementKey }) },
  response: {
    statuses: { 200: 'the key share of the server' },
    body: z.object({ serverKey: z.string().regex(/^[0-9a-f]{64}$/) }),
  },
  problems: SEALED_PROBLEMS,
});
