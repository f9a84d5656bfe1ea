// GET /upload/:file: an uploaded image, for administrators.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { imageFile, OCTETS_TYPE } from '../../fields.ts';
import { PERSON_PROBLEMS } from '../../problem.ts';

export const uploadedImage = endpoint({
  id: 'uploadedImage',
  method: 'GET',
  path: '/upload/:file',
  summary: 'An uploaded image, for administrators.',
  request: { params: z.object({ file: imageFile }) },
  response: {
    statuses: {
      200: 'the image',
      206: 'a part of the image',
      304: 'the image with this tag is known',
    },
    types: [OCTETS_TYPE],
  },
  problems: [...PERSON_PROBLEMS, 'BAD_NAME', 'IMAGE_MISSING', 'NOT_FOUND', 'RANGE'],
});
