// POST /upload: an image of an ECU.

import { z } from 'zod';
import { ecuName } from '../../../core/names.ts';
import { endpoint } from '../../endpoint.ts';
import { notesText, releaseVersion, SEE_OTHER } from '../../fields.ts';
import { CHANGER_PROBLEMS } from '../../problem.ts';

/** Fields before the file, which is in the field `file`: Intel HEX, S-records, ELF, VBF or raw data. */
export const uploadFields = z.object({
  ecu: ecuName,
  version: releaseVersion,
  notes: notesText.default(''),
  /** `yes`: the bytes are stored as they are, whatever they look like. */
  raw: z.enum(['yes', '']).default(''),
});

export const uploadImage = endpoint({
  id: 'uploadImage',
  method: 'POST',
  path: '/upload',
  summary: 'Releases an image of an ECU.',
  request: {
    multipart: uploadFields.extend({ file: z.file() }),
    headers: { 'X-CSRF-Token': 'of a person, where the form has no field _csrf before the file' },
  },
  response: {
    statuses: {
      200: 'the image was released before',
      201: 'the image is released',
      303: SEE_OTHER,
    },
    body: z.object({
      ecu: z.string(),
      version: z.string(),
      file: z.string(),
      size: z.number(),
      sha256: z.string(),
      notes: z.string(),
      /** False when the server already had these bytes for this ECU and version. */
      created: z.boolean(),
    }),
  },
  problems: [
    ...CHANGER_PROBLEMS,
    'BAD_FIELD',
    'BODY_INCOMPLETE',
    'IMAGE_EMPTY',
    'IMAGE_FORMAT',
    'IMAGE_TOO_LARGE',
    'RELEASE_CONFLICT',
    'UNSUPPORTED_MEDIA_TYPE',
  ],
});
