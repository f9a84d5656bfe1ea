// GET /config/schema: the parameters, for programs that fill them in.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { READER_PROBLEMS } from '../../problem.ts';

export const describeConfiguration = endpoint({
  id: 'describeConfiguration',
  method: 'GET',
  path: '/config/schema',
  summary: 'Each parameter with its JSON schema, default, unit and meaning.',
  response: {
    statuses: { 200: 'the parameters by name' },
    body: z.record(
      z.string(),
      z.object({
        title: z.string(),
        unit: z.string(),
        default: z.unknown(),
        schema: z.record(z.string(), z.unknown()),
      }),
    ),
  },
  problems: READER_PROBLEMS,
});
