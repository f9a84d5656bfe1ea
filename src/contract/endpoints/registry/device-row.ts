// A row of the registry as the factory sees it.

import { z } from 'zod';
import { serialText } from '../../fields.ts';

/** All fields except the hash of the secret, with which an attacker could log in as the device. */
export const deviceRow = z
  .object({
    hw_id: z.string(),
    serial: serialText,
    status: z.enum(['factory_only', 'active', 'revoked']),
    vin: z.string().nullable(),
    name: z.string().nullable(),
    hardware_id: z.string().nullable(),
    primary: z.boolean(),
    signing_key: z.string().nullable(),
    encryption_key: z.string().nullable(),
    has_device_secret: z.boolean(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Device' });
