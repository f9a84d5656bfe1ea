// POST /telemetry: one batch of measured data.

import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';
import { batch, batchAnswer } from '../../telemetry.ts';

/** Largest batch in bytes, compressed with gzip. */
const MAX_BATCH_BYTES = 256 * 1024;

export const telemetryUpload = endpoint({
  id: 'telemetryUpload',
  method: 'POST',
  path: '/telemetry',
  summary: 'One batch of measured data; the content of the sealed message is the JSON in gzip.',
  sealed: true,
  request: { body: batch, maxBytes: MAX_BATCH_BYTES },
  response: {
    statuses: { 200: 'the number up to which all batches are stored' },
    body: batchAnswer,
  },
  problems: SEALED_PROBLEMS,
});
