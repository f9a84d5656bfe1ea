// An order to cancel a campaign, and the answer of the vehicle.

import { z } from 'zod';
import { timeText } from '../../fields.ts';

export const cancelOrder = z
  .object({
    vin: z.string(),
    campaign: z.string(),
    order: z.string(),
    by: z.string(),
    reason: z.string(),
    orderedAt: timeText,
    state: z.enum(['open', 'accepted', 'refused']),
    /** The vehicle's reason. */
    answer: z
      .string()
      .nullish()
      .transform((answer) => answer ?? null),
    answeredAt: timeText.optional(),
  })
  .meta({ id: 'CancelOrder' });
