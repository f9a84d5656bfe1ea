// The campaign of a vehicle with an OpenBLT board on a real vcan0.

import { existsSync } from 'node:fs';
import { describe } from 'vitest';
import { boardCampaign } from './support/board-campaign.ts';
import { scenario } from './support/processes.ts';

describe.runIf(existsSync('/sys/class/net/vcan0'))('an OpenBLT board on vcan0', () => {
  scenario('is updated in one campaign, and flashed back when another ECU fails', () =>
    boardCampaign('vcan0'),
  );
});
