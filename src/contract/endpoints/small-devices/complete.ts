// POST /ota/complete: the outcome of an update of a small device.

import { completeAnswer, completeRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaComplete = endpoint({
  id: 'otaComplete',
  method: 'POST',
  path: '/ota/complete',
  summary: 'The outcome of the update, reported after the boot.',
  sealed: true,
  request: { body: completeRequest },
  response: { statuses: { 200: 'the outcome is recorded' }, body: completeAnswer },
  problems: [...SEALED_PROBLEMS, 'TRANSFER_UNKNOWN'],
});
