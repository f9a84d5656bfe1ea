// POST /metadata/:role: metadata of the image repository that was signed offline.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { signedJson } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';

/** Largest metadata file in bytes; targets of ten thousand images have about 6 MiB. */
export const MAX_METADATA_BYTES = 16 * 1024 * 1024;

export const publishedMetadata = z
  .object({
    /** Role such as `images targets` or `director root`. */
    role: z.string(),
    version: z.number(),
    /** False when the server already had this file. */
    created: z.boolean(),
  })
  .meta({ id: 'PublishedMetadata' });

export const uploadMetadata = endpoint({
  id: 'uploadMetadata',
  method: 'POST',
  path: '/metadata/:role',
  summary:
    'A metadata file of the image repository that was signed offline: root, targets, or a delegated role.',
  request: {
    params: z.object({
      role: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected 1 to 64 letters, digits, _ -'),
    }),
    body: signedJson,
    maxBytes: MAX_METADATA_BYTES,
  },
  response: {
    statuses: { 200: 'the server has this file already', 201: 'the file is published' },
    body: publishedMetadata,
  },
  problems: [
    ...CHANGER_PROBLEMS,
    ...BODY_PROBLEMS,
    'METADATA_KEYS',
    'METADATA_REFUSED',
    'NO_REPOSITORY',
  ],
});
