// GET /commands/:vin/:id: one command.

import { endpoint } from '../../endpoint.ts';
import { READER_PROBLEMS } from '../../problem.ts';
import { commandPath, commandRow } from './command-row.ts';

export const showCommand = endpoint({
  id: 'showCommand',
  method: 'GET',
  path: '/commands/:vin/:id',
  summary: 'One command and its state.',
  request: { params: commandPath },
  response: { statuses: { 200: 'the command' }, body: commandRow },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'NOT_FOUND', 'VEHICLE_UNKNOWN'],
});
