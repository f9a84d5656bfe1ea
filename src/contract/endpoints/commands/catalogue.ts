// GET /commands/:vin/catalogue: the commands that the ECUs of a vehicle offer.

import { z } from 'zod';
import { catalogue } from '../../command.ts';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

export const showCatalogue = endpoint({
  id: 'showCatalogue',
  method: 'GET',
  path: '/commands/:vin/catalogue',
  summary: 'The commands that the ECUs of a vehicle offer, as the vehicle reported them.',
  request: { params: vehiclePath },
  response: {
    statuses: { 200: 'actions by ECU' },
    body: z.object({ vin: z.string(), catalogue, digest: z.string(), toldAt: timeText }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'NO_CATALOGUE', 'VEHICLE_UNKNOWN'],
});
