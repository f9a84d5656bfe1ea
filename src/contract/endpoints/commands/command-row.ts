// A command as operators see it.

import { z } from 'zod';
import { COMMAND_STATES } from '../../command.ts';
import { timeText, vehiclePath } from '../../fields.ts';

export const commandRow = z
  .object({
    id: z.string(),
    vin: z.string(),
    ecu: z.string(),
    action: z.string(),
    arguments: z.record(z.string(), z.union([z.number(), z.string()])),
    priority: z.number(),
    expiresAt: timeText,
    key: z.string().optional(),
    createdBy: z.string(),
    createdAt: timeText,
    state: z.enum(COMMAND_STATES),
    handedOutAt: timeText.optional(),
    deliveredAt: timeText.optional(),
    executingAt: timeText.optional(),
    endedAt: timeText.optional(),
    /** Time of the last report, by the vehicle's clock. */
    vehicleAt: timeText.optional(),
    cancelledBy: z.string().optional(),
    cancelledAt: timeText.optional(),
    code: z.string().optional(),
    reason: z.string().optional(),
    /** Negative response code of the ECU. */
    nrc: z.number().optional(),
    result: z.string().optional(),
    /** How often the ECU has run the command, as the vehicle reported. */
    runs: z.number(),
  })
  .meta({ id: 'Command' });

export const commandPath = vehiclePath.extend({ id: z.string() });
