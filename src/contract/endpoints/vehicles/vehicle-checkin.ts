// GET /vehicles/:vin/checkin: the last check-in of a vehicle.

import { z } from 'zod';
import { checkinTelemetry } from '../../checkin-telemetry.ts';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';

const VEHICLE_STATES = ['new', 'pending', 'up-to-date', 'needs-attention'] as const;
export const vehicleState = z.enum(VEHICLE_STATES);

export const vehicleCheckin = endpoint({
  id: 'vehicleCheckin',
  method: 'GET',
  path: '/vehicles/:vin/checkin',
  summary: 'The state and telemetry of the last check-in of a vehicle.',
  request: { params: vehiclePath },
  response: {
    statuses: { 200: 'state and telemetry' },
    body: z.object({
      vin: z.string(),
      state: vehicleState,
      reason: z.string(),
      checkedInAt: timeText.nullable(),
      telemetryAt: timeText.nullable(),
      telemetry: checkinTelemetry.nullable(),
      /** The summary, one sentence an entry. */
      summary: z.array(z.string()),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD', 'VEHICLE_UNKNOWN'],
});
