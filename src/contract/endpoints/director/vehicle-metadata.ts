// GET /director/:vin/metadata/:file: a metadata file of one vehicle.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { signedJson, vehicleId } from '../../fields.ts';
import { DEVICE_PROBLEMS } from '../../problem.ts';

export const vehicleMetadata = endpoint({
  id: 'vehicleMetadata',
  method: 'GET',
  path: '/director/:vin/metadata/:file',
  summary: 'A metadata file of the Director for one vehicle: timestamp.json, 7.targets.json.',
  request: {
    params: z.object({ vin: vehicleId, file: z.string().max(100) }),
    headers: { 'If-None-Match': 'the ETag of an earlier answer' },
  },
  response: {
    statuses: { 200: 'the file', 304: 'the file with this tag is known' },
    body: signedJson,
  },
  problems: [...DEVICE_PROBLEMS, 'BAD_FIELD', 'NOT_FOUND', 'NO_TRUST'],
});
