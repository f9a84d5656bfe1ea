// GET /config/:vin: the configuration that a vehicle shall apply, and its reports.

import { z } from 'zod';
import { parameterResult } from '../../configuration.ts';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

/** Largest answer in bytes: fifty configurations with their reports. */
const MAX_BYTES = 16 * 1024 * 1024;

const json = z.unknown();
const configurationVersion = z
  .object({
    version: z.number(),
    parameters: z.record(z.string(), json),
    changedBy: z.string(),
    changedAt: timeText,
    comment: z.string().optional(),
    /** The vehicle's report; missing until it has reported. */
    report: z
      .object({
        results: z.array(parameterResult),
        inForce: z.record(z.string(), json),
        /** Time by the vehicle's clock; `reportedAt` by the server's. */
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
  summary: 'The configuration that a vehicle shall apply, and its reports about it.',
  request: { params: vehiclePath },
  response: {
    statuses: { 200: 'the configuration' },
    maxBytes: MAX_BYTES,
    body: z.object({
      vin: z.string(),
      wanted: configurationVersion.optional(),
      /** The version that the vehicle reported last. */
      reported: configurationVersion.optional(),
      /** Parameters in force at the last report. */
      inForce: z.record(z.string(), json).optional(),
      /** True while the vehicle has not reported the wanted version. */
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
      /** Earlier versions, the newest first. */
      history: z.array(configurationVersion),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'VEHICLE_UNKNOWN'],
});
