// POST /ota/chunk: numbered chunks of an image.

import { chunkRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { OCTETS_TYPE } from '../../fields.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaChunk = endpoint({
  id: 'otaChunk',
  method: 'POST',
  path: '/ota/chunk',
  summary: 'Numbered chunks of an image, as records that are each authenticated.',
  sealed: true,
  request: { body: chunkRequest },
  response: { statuses: { 200: 'the records' }, types: [OCTETS_TYPE] },
  problems: [
    ...SEALED_PROBLEMS,
    'CHUNK_RANGE',
    'PACKAGE_WITHDRAWN',
    'TRANSFER_ENDED',
    'TRANSFER_UNKNOWN',
  ],
});
