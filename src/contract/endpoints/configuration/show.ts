// GET /config/:vin: what a vehicle shall be configured as, and what it said about it.

import { z } from 'zod';
import { parameterResult } from '../../configuration.ts';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

/** Fifty configurations with their reports. */
const MAX_BYTES = 16 * 1024 * 1024;

const json = z.unknown();
const configurationVersion = z
  .object({
    version: z.number(),
    parameters: z.record(z.string(), json),
    changedBy: z.string(),
    changedAt: timeText,
    comment: z.string().optional(),
    /** Missing until the vehicle has told. */
    report: z
      .object({
        results: z.array(parameterResult),
        inForce: z.record(z.string(), json),
        /** By the clock of the vehicle, and by that of the server. */
        judgedAt: timeText,
        reportedAt: timeText,
      })
      .optional(),
  })
  .meta({ id: 'ConfigurationVersion' });

export const showConfiguration = endpoint({
  id: 'showConfiguration',
  method: 'GET',
  path: '/config/:vin',
  summary: 'What a vehicle shall be configured as, and what it said about it.',
  request: { params: vehiclePath },
  response: {
    statuses: { 200: 'the configuration' },
    maxBytes: MAX_BYTES,
    body: z.object({
      vin: z.string(),
      wanted: configurationVersion.optional(),
      /** The version that the vehicle reported last. */
      reported: configurationVersion.optional(),
      /** Of the last report. */
      inForce: z.record(z.string(), json).optional(),
      /** The vehicle has not reported the version that is wanted. */
      pending: z.boolean(),
      parameters: z.array(
        z.object({
          parameter: z.string(),
          title: z.string(),
          unit: z.string(),
          wanted: json.optional(),
          inForce: json.optional(),
          state: z.enum(['pending', 'set', 'default', 'rejected', 'differs']),
          code: z.string().optional(),
          reason: z.string().optional(),
        }),
      ),
      /** The newest first. */
      history: z.array(configurationVersion),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'VEHICLE_UNKNOWN'],
});
