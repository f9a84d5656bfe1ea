// POST /vehicles/:vin/cancel: an operator ends the campaign of a vehicle.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { reasonText, SEE_OTHER, vehiclePath } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { cancelOrder } from './cancel-order.ts';

/** The driver reads the reason. */
export const orderReason = z.object({ reason: reasonText('say why: the driver is told') });

export const cancelCampaign = endpoint({
  id: 'cancelCampaign',
  method: 'POST',
  path: '/vehicles/:vin/cancel',
  summary: 'Orders the end of the campaign that is under way.',
  request: {
    params: vehiclePath,
    body: orderReason,
    form: orderReason.extend({ _csrf: z.string() }),
  },
  response: {
    statuses: { 200: 'there is such an order already', 202: 'the order is given', 303: SEE_OTHER },
    body: cancelOrder.extend({ created: z.boolean() }),
  },
  problems: [...CHANGER_PROBLEMS, ...BODY_PROBLEMS, 'NO_CAMPAIGN'],
});
