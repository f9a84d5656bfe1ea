// GET /static/:name: style sheets, scripts and pictures of the pages.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';

export const staticFile = endpoint({
  id: 'staticFile',
  method: 'GET',
  path: '/static/:name',
  summary: 'A file of the pages.',
  request: {
    params: z.object({ name: z.string() }),
    query: z.object({
      /** Hash of the file, with which a browser may cache the file without a limit. */
      v: z.string().optional(),
    }),
  },
  response: {
    statuses: { 200: 'the file', 304: 'the file with this tag is known' },
    types: ['text/css', 'text/javascript', 'image/svg+xml'],
  },
  problems: ['NOT_FOUND'],
});
