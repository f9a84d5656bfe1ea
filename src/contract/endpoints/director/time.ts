// POST /vehicle/time: a time attestation of the Director.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { signedJson } from '../../fields.ts';
import { BODY_PROBLEMS, DEVICE_PROBLEMS } from '../../problem.ts';
import { timeNonces } from './checkin.ts';

export const vehicleTime = endpoint({
  id: 'vehicleTime',
  method: 'POST',
  path: '/vehicle/time',
  summary: 'The time, signed by the role time together with the nonces of the request.',
  request: { body: z.strictObject({ nonces: timeNonces }) },
  response: {
    statuses: { 200: 'the attestation' },
    body: z.object({
      /** Time attestation; null when the server gives none. */
      time: signedJson.nullable(),
    }),
  },
  problems: [...DEVICE_PROBLEMS, ...BODY_PROBLEMS, 'NO_TRUST'],
});
