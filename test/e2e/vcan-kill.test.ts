// SIGKILL at random moments of campaigns on a real vcan0; `CAN_OTA_KILLS=100` for the long run.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { tell, underFire } from './support/kill-campaign.ts';
import { root, scenario } from './support/processes.ts';

const KILLS = Number(process.env.CAN_OTA_KILLS ?? 2);
const vcan = existsSync('/sys/class/net/vcan0');

beforeAll(() => {
  process.env.CAN_OTA_CLI = path.join(root, 'dist/src/cli/main.js');
});

describe.runIf(vcan)('kill -9 on vcan0', () => {
  scenario(
    `${KILLS} kills`,
    async () => {
      const report = await underFire({
        seed: 'kill vcan0',
        shots: { left: KILLS },
        perCampaign: 8,
        imageBytes: 4 * 1024,
        glanceMs: 250,
        bus: 'vcan0',
      });
      tell('vcan0', report);
      expect(report.violations).toEqual([]);
      expect(Object.values(report.kills).reduce((sum, count) => sum + count, 0)).toBe(KILLS);
    },
    // Keys, factory and first boots before the first kill, a campaign without any after the last.
    600_000 + 240_000 * KILLS,
  );
});
