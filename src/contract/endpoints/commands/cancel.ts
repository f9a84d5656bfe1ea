// DELETE /commands/:vin/:id, and POST /commands/:vin/:id/cancel for the form of the page: cancels a command.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { SEE_OTHER } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { commandPath, commandRow } from './command-row.ts';

const problems = [
  ...CHANGER_PROBLEMS,
  'BAD_FIELD',
  'COMMAND_OVER',
  'NOT_FOUND',
  'VEHICLE_UNKNOWN',
] as const;

const statuses = {
  200: 'the command is cancelled',
  202: 'the vehicle may have it, and answers whether this was in time',
} as const;

export const cancelCommand = endpoint({
  id: 'cancelCommand',
  method: 'DELETE',
  path: '/commands/:vin/:id',
  summary: 'Cancels a command.',
  request: { params: commandPath },
  response: { statuses, body: commandRow },
  problems,
});

/** The same for a form, because a browser cannot send DELETE without a script. */
export const submitCancel = endpoint({
  id: 'submitCancel',
  method: 'POST',
  path: '/commands/:vin/:id/cancel',
  summary: 'The same for the form of the page.',
  request: { params: commandPath, form: z.object({ _csrf: z.string().optional() }) },
  response: { statuses: { ...statuses, 303: SEE_OTHER }, body: commandRow },
  problems: [...problems, ...BODY_PROBLEMS],
});
