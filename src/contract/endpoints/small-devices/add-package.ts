// POST /ota/packages: a package for small devices.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { TOKEN_PROBLEMS } from '../../problem.ts';
import { releasedPackage } from './released-package.ts';

/** Fields before the file, which is in the field `file`. */
export const packageFields = z.object({
  manifest: z.string('is missing: expected the signed manifest as JSON').max(4096),
  public_key: z.string('is missing: expected the public key as PEM').max(2048),
});

export const addPackage = endpoint({
  id: 'addPackage',
  method: 'POST',
  path: '/ota/packages',
  summary: 'Releases a signed package for small devices.',
  request: { multipart: packageFields.extend({ file: z.file() }) },
  response: {
    statuses: { 200: 'the package was released before', 201: 'the package is released' },
    body: releasedPackage.extend({ created: z.boolean() }),
  },
  problems: [
    ...TOKEN_PROBLEMS,
    'BAD_FIELD',
    'BAD_JSON',
    'BODY_INCOMPLETE',
    'IMAGE_EMPTY',
    'IMAGE_TOO_LARGE',
    'PACKAGE_CONFLICT',
    'PACKAGE_KEY',
    'PACKAGE_REFUSED',
    'PACKAGE_WITHDRAWN',
    'UNSUPPORTED_MEDIA_TYPE',
  ],
});
