// POST /provision: the factory registers a device.

import { z } from 'zod';
import { ecuName } from '../../../core/names.ts';
import { endpoint } from '../../endpoint.ts';
import { agreementKey, hardwareText, hexText, unsaid, vehicleId } from '../../fields.ts';
import { BODY_PROBLEMS, TOKEN_PROBLEMS } from '../../problem.ts';
import { deviceRow } from './device-row.ts';

export const provision = endpoint({
  id: 'provision',
  method: 'POST',
  path: '/provision',
  summary: 'Registers a device, or changes its row; missing fields stay unchanged.',
  request: {
    body: z.strictObject({
      hw_id: hardwareText,
      vin: unsaid(vehicleId),
      name: unsaid(ecuName),
      hardware_id: unsaid(hardwareText),
      primary: unsaid(z.boolean()),
      signing_key: unsaid(hexText(32)),
      encryption_key: unsaid(agreementKey),
      device_secret_hash: unsaid(hexText(32)),
    }),
  },
  response: {
    statuses: { 200: 'the device was registered before', 201: 'the device is registered' },
    body: deviceRow,
  },
  problems: [
    ...TOKEN_PROBLEMS,
    ...BODY_PROBLEMS,
    'DEVICE_ACTIVE',
    'DEVICE_REVOKED',
    'DEVICE_TAKEN',
  ],
});
