// GET /metadata/:file: a metadata file of the image repository.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { signedJson } from '../../fields.ts';
import { TOKEN_PROBLEMS } from '../../problem.ts';

export const imageMetadata = endpoint({
  id: 'imageMetadata',
  method: 'GET',
  path: '/metadata/:file',
  summary: 'A metadata file of the image repository: timestamp.json, 3.targets.json.',
  request: {
    params: z.object({ file: z.string() }),
    headers: { 'If-None-Match': 'the ETag of an earlier answer' },
  },
  response: {
    statuses: { 200: 'the file', 304: 'the file with this tag is known' },
    body: signedJson,
  },
  problems: [...TOKEN_PROBLEMS, 'NOT_FOUND', 'NO_TRUST'],
});
