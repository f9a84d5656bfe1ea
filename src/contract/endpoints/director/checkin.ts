// POST /vehicle/checkin: the vehicle version manifest (Uptane 5.4.2).

import { z } from 'zod';
import { MAX_TIME_NONCES } from '../../../trust/time-attestation.ts';
import { checkinTelemetry } from '../../checkin-telemetry.ts';
import { endpoint } from '../../endpoint.ts';
import { hexText, signedJson, vehicleId } from '../../fields.ts';
import { BODY_PROBLEMS, DEVICE_PROBLEMS } from '../../problem.ts';
import { vehicleState } from '../vehicles/vehicle-checkin.ts';

/** Largest check-in in bytes: a manifest of 64 ECUs with their signatures. */
const MAX_CHECKIN_BYTES = 256 * 1024;

/** Nonces for the time attestation, 16 bytes each. */
export const timeNonces = z.array(hexText(16)).max(MAX_TIME_NONCES).default([]);

const version = z.number().int().min(0);

export const checkin = endpoint({
  id: 'checkin',
  method: 'POST',
  path: '/vehicle/checkin',
  summary: 'A vehicle reports what its ECUs run; the Director decides what they shall run.',
  request: {
    body: z.strictObject({
      vin: vehicleId,
      /** Manifest, signed by the Primary; a missing or invalid one is refused with MANIFEST_*. */
      manifest: z.unknown(),
      telemetry: checkinTelemetry.optional(),
      nonces: timeNonces,
    }),
    maxBytes: MAX_CHECKIN_BYTES,
  },
  response: {
    statuses: { 200: 'the versions of the metadata for the vehicle' },
    body: z.object({
      /** Time attestation; null when the server gives none. */
      time: signedJson.nullable(),
      /** Versions of the vehicle's metadata; only the signed metadata is authoritative. */
      director: z
        .object({ root: version, timestamp: version, snapshot: version, targets: version })
        .optional(),
      status: vehicleState.optional(),
    }),
  },
  problems: [
    ...DEVICE_PROBLEMS,
    ...BODY_PROBLEMS,
    'BACKEND_BEHIND',
    'MANIFEST_INCOMPLETE',
    'MANIFEST_MALFORMED',
    'MANIFEST_MISSING',
    'MANIFEST_REPLAYED',
    'MANIFEST_TIME',
    'MANIFEST_UNKNOWN_ECU',
    'MANIFEST_UNSIGNED',
    'MANIFEST_VEHICLE',
    'NO_TRUST',
  ],
});
