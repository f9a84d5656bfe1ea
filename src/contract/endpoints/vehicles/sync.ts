// POST /vehicle/sync: one contact of a vehicle about its configuration and its commands.

import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';
import { syncAnswer, syncRequest } from '../../sync.ts';

/** Sixteen reports, one of a configuration, and what the ECUs of a large vehicle can be told to do. */
const MAX_SYNC_BYTES = 128 * 1024;

export const vehicleSync = endpoint({
  id: 'vehicleSync',
  method: 'POST',
  path: '/vehicle/sync',
  summary: 'A vehicle tells what it has done, and gets the configuration and the commands for it.',
  sealed: true,
  request: { body: syncRequest, maxBytes: MAX_SYNC_BYTES },
  response: { statuses: { 200: 'what is wanted of the vehicle' }, body: syncAnswer },
  problems: SEALED_PROBLEMS,
});
