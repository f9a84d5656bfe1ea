// The campaign of a vehicle with an OpenBLT board on a real vcan0.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe } from 'vitest';
import { boardCampaign } from './support/board-campaign.ts';
import { root, scenario } from './support/processes.ts';

beforeAll(() => {
  process.env.CAN_OTA_CLI = path.join(root, 'dist/src/cli/main.js');
});

describe.runIf(existsSync('/sys/class/net/vcan0'))('an OpenBLT board on vcan0', () => {
  scenario('is updated in one campaign, and flashed back when another ECU fails', () =>
    boardCampaign('vcan0'),
  );
});
