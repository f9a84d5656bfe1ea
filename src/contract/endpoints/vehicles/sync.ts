// POST /vehicle/sync: a vehicle exchanges configuration and commands with the backend.

import { endpoint } from '../../endpoint.ts';
import { SEALED_PROBLEMS } from '../../problem.ts';
import { syncAnswer, syncRequest } from '../../sync.ts';

/** Largest request in bytes: sixteen command reports, one configuration report, the catalogue of a large vehicle. */
const MAX_SYNC_BYTES = 128 * 1024;

export const vehicleSync = endpoint({
  id: 'vehicleSync',
  method: 'POST',
  path: '/vehicle/sync',
  summary: 'A vehicle reports what it has done, and gets its configuration and its commands.',
  sealed: true,
  request: { body: syncRequest, maxBytes: MAX_SYNC_BYTES },
  response: { statuses: { 200: 'the wanted configuration and the commands' }, body: syncAnswer },
  problems: SEALED_PROBLEMS,
});
