// GET /targets/:file: an image of the image repository.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { OCTETS_TYPE } from '../../fields.ts';
import { TOKEN_PROBLEMS } from '../../problem.ts';

export const target = endpoint({
  id: 'target',
  method: 'GET',
  path: '/targets/:file',
  summary: 'A target of the image repository, with or without its SHA-256 in front of its name.',
  request: {
    params: z.object({ file: z.string() }),
    headers: { Range: 'bytes=FROM- resumes a download that was cut' },
  },
  response: {
    statuses: {
      200: 'the image',
      206: 'a part of the image',
      304: 'the image with this tag is known',
    },
    types: [OCTETS_TYPE],
  },
  problems: [
    ...TOKEN_PROBLEMS,
    'ENCRYPTED_ONLY',
    'IMAGE_MISSING',
    'NOT_FOUND',
    'RANGE',
    'UPSTREAM',
  ],
});
