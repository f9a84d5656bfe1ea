// GET /commands/:vin: the commands of a vehicle, the newest first.

import { z } from 'zod';
import { COMMAND_STATES } from '../../command.ts';
import { endpoint } from '../../endpoint.ts';
import { rowLimit, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';
import { commandRow } from './command-row.ts';

const COMMANDS_SHOWN = 100;
const MOST_COMMANDS = 500;
/** Largest answer in bytes: five hundred commands. */
const MAX_BYTES = 16 * 1024 * 1024;

export const listCommands = endpoint({
  id: 'listCommands',
  method: 'GET',
  path: '/commands/:vin',
  summary: 'The commands of a vehicle, the newest first.',
  request: {
    params: vehiclePath,
    query: z.object({
      state: z.enum(COMMAND_STATES, `expected one of ${COMMAND_STATES.join(', ')}`).optional(),
      limit: rowLimit(COMMANDS_SHOWN, MOST_COMMANDS),
    }),
  },
  response: {
    statuses: { 200: 'the commands' },
    body: z.object({ vin: z.string(), commands: z.array(commandRow) }),
    maxBytes: MAX_BYTES,
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'VEHICLE_UNKNOWN'],
});
