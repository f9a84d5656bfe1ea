// POST /vehicle/campaign: a vehicle reports the state of its campaign and gets the orders of operators.

import { z } from 'zod';
import { lineText } from '../../../core/text.ts';
import { endpoint } from '../../endpoint.ts';
import { unsaid, vehicleId } from '../../fields.ts';
import { BODY_PROBLEMS, DEVICE_PROBLEMS } from '../../problem.ts';

/** The state that a vehicle reports for a campaign that its driver has refused. */
export const REFUSED_STATE = 'refused';

export const campaignStatus = endpoint({
  id: 'campaignStatus',
  method: 'POST',
  path: '/vehicle/campaign',
  summary: 'A vehicle reports the state of its campaign and gets the orders of operators.',
  request: {
    body: z.object({
      vin: vehicleId,
      campaign: lineText(128).refine((text) => text !== '', 'expected the id of the campaign'),
      state: z
        .string()
        .regex(/^[a-z][a-z-]{0,39}$/, 'expected a state such as staging or safe-state'),
      /** The vehicle's answer to an order to cancel. */
      answer: unsaid(
        z.object({ order: z.string().max(64), accepted: z.boolean(), reason: lineText(1000) }),
      ),
    }),
  },
  response: {
    statuses: { 200: 'the orders' },
    body: z.object({
      cancel: z
        .object({
          /** Identifies the order; the answer names it. */
          order: z.string().min(1).max(128),
          by: z.string().max(256),
          reason: z.string().max(2000),
        })
        .nullable(),
      /** Order to ask the driver again about a campaign that the driver has refused. */
      askAgain: z
        .object({ by: z.string().max(256), reason: z.string().max(2000) })
        .nullish()
        .transform((order) => order ?? null),
    }),
  },
  problems: [...DEVICE_PROBLEMS, ...BODY_PROBLEMS],
});
