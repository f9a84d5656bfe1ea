// POST /provision/activate: activates a device after its provisioning.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { hardwareText } from '../../fields.ts';
import { BODY_PROBLEMS, TOKEN_PROBLEMS } from '../../problem.ts';
import { deviceRow } from './device-row.ts';

export const activate = endpoint({
  id: 'activateDevice',
  method: 'POST',
  path: '/provision/activate',
  summary: 'Activates a device after its provisioning: from now on it may open sessions.',
  request: { body: z.strictObject({ hw_id: hardwareText }) },
  response: { statuses: { 200: 'the device is active' }, body: deviceRow },
  problems: [
    ...TOKEN_PROBLEMS,
    ...BODY_PROBLEMS,
    'DEVICE_INCOMPLETE',
    'DEVICE_REVOKED',
    'DEVICE_TAKEN',
    'DEVICE_UNKNOWN',
  ],
});
