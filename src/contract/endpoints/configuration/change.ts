// PUT /config/:vin, and POST /config/:vin for the form of the page: changes the wanted configuration.

import { z } from 'zod';
import { wantedParameters } from '../../configuration.ts';
import { endpoint } from '../../endpoint.ts';
import { notesText, SEE_OTHER, vehiclePath } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';

const comment = notesText
  .nullish()
  .transform((text) => (text == null || text === '' ? undefined : text));

/** The answer. Invalid parameters are stored, too: the vehicle refuses them and reports why. */
const changed = z
  .object({
    vin: z.string(),
    version: z.number(),
    /** False when the same configuration was wanted before. */
    changed: z.boolean(),
    /** Parameters that the vehicle will refuse, as far as the common schema shows. */
    warnings: z.array(z.object({ parameter: z.string(), code: z.string(), reason: z.string() })),
  })
  .meta({ id: 'ConfigurationChange' });

const problems = [
  ...CHANGER_PROBLEMS,
  ...BODY_PROBLEMS,
  'CONFIGURATION_CHANGED',
  'VEHICLE_UNKNOWN',
] as const;

export const changeConfiguration = endpoint({
  id: 'changeConfiguration',
  method: 'PUT',
  path: '/config/:vin',
  summary: 'Changes the configuration that a vehicle shall apply.',
  request: {
    params: vehiclePath,
    headers: { 'If-Match': 'the version that is wanted now, 0 for none' },
    body: z.strictObject({ parameters: wantedParameters, comment }),
  },
  response: { statuses: { 200: 'the version of the configuration' }, body: changed },
  problems,
});

/** The same for a form, because a browser cannot send PUT without a script. */
export const submitConfiguration = endpoint({
  id: 'submitConfiguration',
  method: 'POST',
  path: '/config/:vin',
  summary: 'The same for the form of the page.',
  request: {
    params: vehiclePath,
    form: z.object({
      /** Parameters as JSON. */
      parameters: z.string().max(20_000),
      comment,
      version: z.coerce.number().int().min(0).optional(),
      _csrf: z.string().optional(),
    }),
  },
  response: {
    statuses: { 200: 'the version of the configuration', 303: SEE_OTHER },
    body: changed,
  },
  problems,
});
