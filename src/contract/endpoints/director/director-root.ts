// GET /director/metadata/:file: the Roots of the Director, which are the same for all vehicles.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { signedJson } from '../../fields.ts';
import { TOKEN_PROBLEMS } from '../../problem.ts';

export const directorRoot = endpoint({
  id: 'directorRoot',
  method: 'GET',
  path: '/director/metadata/:file',
  summary: 'A Root of the Director: root.json, 2.root.json.',
  request: {
    params: z.object({ file: z.string() }),
    headers: { 'If-None-Match': 'the ETag of an earlier answer' },
  },
  response: {
    statuses: { 200: 'the file', 304: 'the file with this tag is known' },
    body: signedJson,
  },
  problems: [...TOKEN_PROBLEMS, 'NOT_FOUND'],
});
