// POST /ota/chunk: some numbered chunks of an image.

import { chunkRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { OCTETS_TYPE } from '../../fields.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaChunk = endpoint({
  id: 'otaChunk',
  method: 'POST',
  path: '/ota/chunk',
  summary: 'Some numbered chunks of an image: records that are authenticated one by one.',
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
