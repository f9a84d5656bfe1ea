// POST /ota/check: a small device asks for an update.

import { checkAnswer, checkRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaCheck = endpoint({
  id: 'otaCheck',
  method: 'POST',
  path: '/ota/check',
  summary: 'A small device asks for an update; begins or resumes a transfer.',
  sealed: true,
  request: { body: checkRequest },
  response: { statuses: { 200: 'a transfer, or why there is none' }, body: checkAnswer },
  problems: [
    ...SEALED_PROBLEMS,
    'BAD_NAME',
    'DEVICE_INCOMPLETE',
    'ENCRYPTED_ONLY',
    'MODEL_MISMATCH',
    'NOT_FOUND',
    'TRANSFER_ENDED',
    'UPSTREAM',
  ],
});
