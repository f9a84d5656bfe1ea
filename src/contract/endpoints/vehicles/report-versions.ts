// POST /report_versions: the outcome of a campaign, and the version of each ECU.

import { z } from 'zod';
import { ecuName } from '../../../core/names.ts';
import { lineText } from '../../../core/text.ts';
import { endpoint } from '../../endpoint.ts';
import { optionalText, vehicleId } from '../../fields.ts';
import { BODY_PROBLEMS, DEVICE_PROBLEMS } from '../../problem.ts';

export const versionReport = z
  .object({
    vin: vehicleId,
    outcome: z
      .string()
      .regex(/^[A-Z][A-Z_]{0,39}$/, 'expected an outcome such as SUCCESS or ROLLBACK_COMPLETED'),
    code: optionalText(lineText(64)),
    campaign: optionalText(lineText(128)),
    reason: optionalText(lineText(2000)),
    warnings: z.array(lineText(1000)).max(64).default([]),
    ecus: z
      .array(
        z.object({
          name: ecuName,
          hardwareId: optionalText(lineText(64)),
          from: optionalText(lineText(64)),
          version: optionalText(lineText(64)),
          sha256: optionalText(
            z.string().regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits'),
          ),
          error: optionalText(lineText(1000)),
        }),
      )
      .max(64),
  })
  .meta({ id: 'CampaignReport' });

export const reportVersions = endpoint({
  id: 'reportVersions',
  method: 'POST',
  path: '/report_versions',
  summary:
    'The outcome of a campaign. The header X-Checksum-SHA256 of the answer is the SHA-256 of the body.',
  request: { body: versionReport },
  response: { statuses: { 204: 'the report is stored' } },
  problems: [...DEVICE_PROBLEMS, ...BODY_PROBLEMS],
});
