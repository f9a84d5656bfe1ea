// POST /ota/status: the last transfer of a small device, as the server knows it.

import { statusAnswer, statusRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaStatus = endpoint({
  id: 'otaStatus',
  method: 'POST',
  path: '/ota/status',
  summary: 'The last transfer of the device.',
  sealed: true,
  request: { body: statusRequest },
  response: { statuses: { 200: 'the transfer' }, body: statusAnswer },
  problems: [...SEALED_PROBLEMS, 'TRANSFER_ENDED'],
});
