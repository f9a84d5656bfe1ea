// GET /latest_version: the newest release of each ECU.

import { z } from 'zod';
import { ecuName, sha256Hex, versionText } from '../../../core/names.ts';
import { endpoint } from '../../endpoint.ts';
import { imageSize, vehicleId } from '../../fields.ts';
import { DEVICE_PROBLEMS } from '../../problem.ts';

const LONGEST_NOTES = 4096;

const offeredRelease = z
  .object({
    ecu: ecuName,
    version: versionText,
    /** File name: one segment of a path, without separators, and not `.` or `..`. */
    file: z.string().regex(/^(?!\.{1,2}$)[^/\\\p{Cc}]{1,255}$/u),
    size: imageSize,
    sha256: sha256Hex,
    notes: z
      .string()
      .max(100_000)
      .nullish()
      .transform((notes) => (notes ?? '').slice(0, LONGEST_NOTES)),
    /** Path of the image; the download needs a nonce. Clients can also derive the path. */
    url: z.string().max(1000).optional(),
  })
  .meta({ id: 'OfferedRelease' });

export const latestVersion = endpoint({
  id: 'latestVersion',
  method: 'GET',
  path: '/latest_version',
  summary: 'The newest release of each ECU, or of the requested ECUs.',
  request: {
    query: z.object({
      vin: vehicleId.optional(),
      ecu: z.union([ecuName.transform((name) => [name]), z.array(ecuName).max(64)]).default([]),
    }),
    headers: {
      'If-None-Match': 'the ETag of an earlier answer',
      'X-Vehicle-VIN': 'the VIN, where the query does not name it',
    },
  },
  response: {
    statuses: { 200: 'the releases', 304: 'nothing has changed since the answer with this tag' },
    body: z.object({
      /** Null where the request names no vehicle. */
      vin: z.string().nullish(),
      releases: z.array(offeredRelease).max(1000),
    }),
  },
  problems: [...DEVICE_PROBLEMS, 'BAD_FIELD'],
});
