// What is kept of a campaign that has ended: the report for the backend, and the image of each ECU.

import type { PlanItem } from '../campaign/plan.ts';
import type { VersionReport } from '../campaign/ports.ts';
import type { CampaignResult } from '../campaign/state.ts';
import type { MemoryContent } from './memory.ts';

/** The last good image of an ECU, for the way back of a later campaign. */
export function keptImage({ to, download, encryption }: PlanItem): MemoryContent['images'][string] {
  const { file, size, sha256 } = download;
  return {
    sha256: to.sha256,
    version: to.version,
    size: to.size,
    download,
    encryption: encryption === null ? null : { file, length: size, sha256, method: encryption },
  };
}

/** What the backend learns of a campaign; texts have the lengths that it takes. */
export function reportOf(result: CampaignResult, vin: string): VersionReport {
  return {
    vin,
    outcome: result.outcome,
    ...(result.code === undefined ? {} : { code: result.code }),
    campaign: result.id,
    ...(result.reason === undefined ? {} : { reason: result.reason.slice(0, 2000) }),
    ecus: result.ecus.map((ecu) => ({
      name: ecu.name,
      hardwareId: ecu.hardwareId,
      from: ecu.from,
      version: ecu.reported ?? ecu.from,
      ...(ecu.sha256 === null ? {} : { sha256: ecu.sha256 }),
      ...(ecu.error === undefined ? {} : { error: ecu.error.slice(0, 1000) }),
    })),
  };
}
