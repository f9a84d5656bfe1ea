// GET /openapi.json: this interface in OpenAPI 3.1.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';

export const openApi = endpoint({
  id: 'openApi',
  method: 'GET',
  path: '/openapi.json',
  summary: 'The interface of this server in OpenAPI 3.1.',
  request: { headers: { 'If-None-Match': 'the ETag of an earlier answer' } },
  response: {
    statuses: { 200: 'the document', 304: 'the document with this tag is known' },
    body: z.looseObject({ openapi: z.literal('3.1.1') }),
  },
  problems: [],
});
