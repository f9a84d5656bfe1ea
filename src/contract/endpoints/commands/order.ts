// POST /commands/:vin: orders a command to an ECU.

import { z } from 'zod';
import { commandRequest, LONGEST_EXPIRY_S } from '../../command.ts';
import { endpoint } from '../../endpoint.ts';
import { SEE_OTHER, vehiclePath } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { commandRow } from './command-row.ts';

const expiresInS = z.coerce
  .number('expected seconds')
  .int('expected whole seconds')
  .min(1)
  .max(LONGEST_EXPIRY_S);

export const orderCommand = endpoint({
  id: 'orderCommand',
  method: 'POST',
  path: '/commands/:vin',
  summary: 'Orders a command; a repeated request with the same key is the same command.',
  request: {
    params: vehiclePath,
    body: commandRequest
      .extend({ expiresInS: expiresInS.optional() })
      .refine(
        (body) => body.expiresAt === undefined || body.expiresInS === undefined,
        'expected expiresAt or expiresInS, not both',
      ),
    /** Fields named `argument.NAME` are the arguments. */
    form: z.looseObject({
      /** ECU and action: `ECU.action`. */
      command: z.string().max(64),
      expiresInS,
      priority: z.coerce.number(),
      key: z.string().max(64),
    }),
  },
  response: {
    statuses: { 200: 'it was ordered before', 201: 'it is ordered', 303: SEE_OTHER },
    body: commandRow.extend({ created: z.boolean() }),
  },
  problems: [
    ...CHANGER_PROBLEMS,
    ...BODY_PROBLEMS,
    'BAD_ARGUMENT',
    'COMMAND_LIMIT',
    'KEY_REUSED',
    'NO_CATALOGUE',
    'UNKNOWN_ACTION',
    'UNKNOWN_ECU',
    'VEHICLE_UNKNOWN',
  ],
});
