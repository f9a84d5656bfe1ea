// POST /ota/verify: the digest of the image that a small device has stored.

import { verifyAnswer, verifyRequest } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';

export const otaVerify = endpoint({
  id: 'otaVerify',
  method: 'POST',
  path: '/ota/verify',
  summary: 'The device reports the digest of the stored image.',
  sealed: true,
  request: { body: verifyRequest },
  response: { statuses: { 200: 'install or discard' }, body: verifyAnswer },
  problems: [...SEALED_PROBLEMS, 'PACKAGE_WITHDRAWN', 'TRANSFER_ENDED', 'TRANSFER_UNKNOWN'],
});
