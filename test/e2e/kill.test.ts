// SIGKILL at random moments of campaigns on the local bus: the disks never hold a mixture. `CAN_OTA_KILLS=100` for the long run.

import { describe, expect } from 'vitest';
import { tell, underFire } from './support/kill-campaign.ts';
import { freshBus, scenario } from './support/processes.ts';

/** Number of kills, shared by the vehicles, which run at the same time because they wait more than they work. */
const KILLS = Number(process.env.CAN_OTA_KILLS ?? 30);
const VEHICLES = 6;

describe('kill -9', () => {
  scenario(`${KILLS} kills of ${VEHICLES} vehicles`, async () => {
    const shots = { left: KILLS };
    const reports = await Promise.all(
      Array.from({ length: VEHICLES }, async (_, index) => {
        const report = await underFire({
          seed: `kill ${index + 1}`,
          shots,
          perCampaign: 8,
          imageBytes: 8 * 1024,
          glanceMs: 100,
          bus: freshBus('bitrate=500000'),
        });
        tell(`vehicle ${index + 1}`, report);
        return report;
      }),
    );
    expect(reports.flatMap(({ violations }) => violations)).toEqual([]);
    const killed = reports.flatMap(({ kills }) => Object.values(kills));
    expect(killed.reduce((sum, count) => sum + count, 0)).toBe(KILLS);
  });
});
