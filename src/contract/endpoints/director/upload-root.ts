// POST /director/metadata/root: the next Root of the Director, signed offline.

import { endpoint } from '../../endpoint.ts';
import { signedJson } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { MAX_METADATA_BYTES, publishedMetadata } from '../releases/upload-metadata.ts';

export const uploadDirectorRoot = endpoint({
  id: 'uploadDirectorRoot',
  method: 'POST',
  path: '/director/metadata/root',
  summary: 'The next Root of the Director, signed offline.',
  request: { body: signedJson, maxBytes: MAX_METADATA_BYTES },
  response: {
    statuses: { 200: 'the server has this Root already', 201: 'the Root is published' },
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
