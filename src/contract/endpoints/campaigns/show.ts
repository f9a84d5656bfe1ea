// GET /vehicles/:vin/campaign: the last campaign of a vehicle, and the orders about it.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { READER_PROBLEMS } from '../../problem.ts';
import { cancelOrder } from './cancel-order.ts';

export const showCampaign = endpoint({
  id: 'showCampaign',
  method: 'GET',
  path: '/vehicles/:vin/campaign',
  summary: 'The last campaign of a vehicle, and the orders to cancel, the newest first.',
  request: { params: vehiclePath },
  response: {
    statuses: { 200: 'campaign and orders' },
    body: z.object({
      vin: z.string(),
      campaign: z
        .object({
          vin: z.string(),
          campaign: z.string(),
          /** Last reported state: `staging`, `safe-state`. */
          state: z.string(),
          startedAt: timeText,
          heardAt: timeText,
          endedAt: timeText.optional(),
        })
        .nullable(),
      orders: z.array(cancelOrder),
    }),
  },
  problems: [...READER_PROBLEMS, 'BAD_FIELD'],
});
