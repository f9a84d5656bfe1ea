// GET /ota/transfers: chunked downloads, the newest first.

import { z } from 'zod';
import { TRANSFER_STATES } from '../../chunked/protocol.ts';
import { endpoint } from '../../endpoint.ts';
import { serialText, timeText } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

export const listTransfers = endpoint({
  id: 'listTransfers',
  method: 'GET',
  path: '/ota/transfers',
  summary: 'Chunked downloads of all devices, or of one, the newest first.',
  request: { query: z.object({ serial: serialText.optional() }) },
  response: {
    statuses: { 200: 'the transfers' },
    body: z.object({
      transfers: z.array(
        z.object({
          id: z.string(),
          serial: z.string(),
          /** Id of the package; missing for a file of a vehicle. */
          packageId: z.string().optional(),
          /** `MODEL VERSION`, or the name of the file. */
          what: z.string(),
          /** SHA-256 of the transferred image, as announced to the device. */
          image: z.string(),
          /** SHA-256 of the stored file. */
          content: z.string(),
          /** Length in bytes. */
          length: z.number(),
          chunkBytes: z.number(),
          state: z.enum(TRANSFER_STATES),
          /** Highest requested chunk, plus one. */
          asked: z.number(),
          version: z.string().optional(),
          code: z.string().optional(),
          reason: z.string().optional(),
          diagnostics: z.record(z.string(), z.unknown()).optional(),
          startedAt: timeText,
          changedAt: timeText,
        }),
      ),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD'],
});
