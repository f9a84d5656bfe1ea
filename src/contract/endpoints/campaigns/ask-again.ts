// POST /vehicles/:vin/ask-again: asks the driver again about a campaign that the driver has refused.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { timeText, vehiclePath } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { orderReason } from './cancel.ts';

export const askAgain = endpoint({
  id: 'askAgain',
  method: 'POST',
  path: '/vehicles/:vin/ask-again',
  summary: 'Asks the driver again about the campaign that was refused last.',
  request: {
    params: vehiclePath,
    body: orderReason,
    form: orderReason.extend({ _csrf: z.string() }),
  },
  response: {
    statuses: { 200: 'there is such an order already', 202: 'the order is given' },
    body: z.object({
      vin: z.string(),
      campaign: z.string(),
      by: z.string(),
      reason: z.string(),
      orderedAt: timeText,
      created: z.boolean(),
    }),
  },
  problems: [...CHANGER_PROBLEMS, ...BODY_PROBLEMS, 'NO_REFUSAL'],
});
