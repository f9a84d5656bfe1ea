// GET /telemetry/:vin: what a vehicle has measured, the newest first.

import { z } from 'zod';
import { didName } from '../../configuration.ts';
import { endpoint } from '../../endpoint.ts';
import { JSON_TYPE, rowLimit, timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

const SAMPLES_SHOWN = 1000;
const MOST_SAMPLES = 20_000;
/** Largest answer in bytes: twenty thousand samples. */
const MAX_BYTES = 16 * 1024 * 1024;

const count = z.number();

export const listSamples = endpoint({
  id: 'listSamples',
  method: 'GET',
  path: '/telemetry/:vin',
  summary: 'What a vehicle has measured, the newest first.',
  request: {
    params: vehiclePath,
    query: z.object({
      did: didName.optional(),
      since: z.iso
        .datetime({ offset: true, error: 'expected a time such as 2026-01-31T12:00:00Z' })
        .transform((text) => new Date(text).toISOString())
        .optional(),
      limit: rowLimit(SAMPLES_SHOWN, MOST_SAMPLES),
      /** Format for links, which cannot set the header Accept. */
      format: z.enum(['json', 'csv'], 'expected json or csv').optional(),
    }),
  },
  response: {
    statuses: { 200: 'the samples' },
    types: [JSON_TYPE, 'text/csv'],
    maxBytes: MAX_BYTES,
    body: z.object({
      vin: z.string(),
      /** Counts over all known senders of the vehicle. */
      counts: z.object({
        batches: count,
        samples: count,
        /** Batches that came twice. */
        duplicates: count,
        /** Batches that never came. */
        lost: count,
        /** Samples that the vehicle dropped because its store was full. */
        dropped: count,
      }),
      samples: z.array(
        z.object({
          did: z.string(),
          at: timeText,
          count,
          mean: z.number().optional(),
          min: z.number().optional(),
          max: z.number().optional(),
          unit: z.string().optional(),
          raw: z.string().optional(),
          receivedAt: timeText,
        }),
      ),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'VEHICLE_UNKNOWN'],
});
