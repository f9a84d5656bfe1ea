// GET /ota_download/:file: an image, once per nonce.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { imageFile, OCTETS_TYPE, vehicleId } from '../../fields.ts';
import { DEVICE_PROBLEMS } from '../../problem.ts';
import { nonceText } from './nonce.ts';

export const otaDownload = endpoint({
  id: 'otaDownload',
  method: 'GET',
  path: '/ota_download/:file',
  summary: 'An image, once per nonce; ranges are allowed with the same nonce until it expires.',
  request: {
    params: z.object({ file: imageFile }),
    query: z.object({ nonce: nonceText, vin: vehicleId.optional() }),
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
    ...DEVICE_PROBLEMS,
    'BAD_FIELD',
    'BAD_NAME',
    'ENCRYPTED_ONLY',
    'IMAGE_MISSING',
    'NONCE_EXPIRED',
    'NONCE_FOREIGN',
    'NONCE_MISSING',
    'NONCE_OTHER_FILE',
    'NONCE_UNKNOWN',
    'NONCE_USED',
    'NOT_FOUND',
    'RANGE',
    'UPSTREAM',
  ],
});
