// What happens next, in one sentence, for every state.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { nextStep } from '../../src/campaign/next.ts';
import {
  activated,
  answered,
  committed,
  confirmed,
  downloads,
  failedStep,
  HAPPY,
  NAMES,
  offered,
  offeredWith,
  play,
  resumed,
  rolledBack,
  SAFE,
  staged,
  UNTIL_ACTIVATING,
  UNTIL_COMMITTING,
  UNTIL_CONFIRMED,
  UNTIL_STAGED,
  UNTIL_STAGING,
  UNTIL_VERIFYING,
  verified,
} from './support.ts';

const two = offeredWith({ only: ['EDT', 'INV'], ranks: [0, 0, 0] });
const TWO: CampaignEvent[] = [two, ...downloads.slice(0, 2), ...UNTIL_STAGING.slice(5)];

const rows: [CampaignEvent[], string][] = [
  [[], 'asks the backend for news at the next poll'],
  [[{ kind: 'poll' }], 'verifies what the backend offers and decides whether an update begins'],
  [
    [offered, downloads[0]!],
    'fetches the image for INV (1 of 3 images are there), then asks for the approval of the installation; a restart checks the offer again first',
  ],
  [
    [offeredWith({ asks: ['download'] })],
    'waits for the approval of the download, then fetches the images for EDT, INV and BMS',
  ],
  [
    [offered, ...downloads],
    'waits for the approval of the installation, then stages EDT, INV and BMS',
  ],
  [
    UNTIL_STAGING.slice(0, -1),
    'checks the conditions of the vehicle and the approval, then stages EDT, INV and BMS',
  ],
  [
    [...TWO, staged('EDT'), resumed],
    'checks once more the conditions of the vehicle and the approval, then stages INV next (EDT is done), then activates both',
  ],
  [[...TWO, staged('EDT')], 'stages INV next (EDT is done), then activates both'],
  [
    [offeredWith({ asks: ['activate'] }), ...UNTIL_STAGING.slice(2)],
    'stages EDT next, then asks for the approval of the activation',
  ],
  [
    [offeredWith({ asks: ['activate'] }), ...UNTIL_STAGING.slice(2), ...NAMES.map(staged)],
    'waits for the approval of the activation, then activates EDT, INV and BMS',
  ],
  [
    UNTIL_STAGED,
    'checks the conditions and the approval for the last time, then activates EDT, INV and BMS: from there on it is finished',
  ],
  [
    [...UNTIL_ACTIVATING, activated('EDT')],
    'activates INV next (EDT is done), then verifies all 3; it is finished, not stopped',
  ],
  [
    [...UNTIL_VERIFYING, verified('EDT'), verified('INV')],
    'verifies BMS next (EDT and INV are done), then confirms all 3; what fails takes all 3 back',
  ],
  [
    [...UNTIL_COMMITTING, confirmed('EDT')],
    'confirms INV next (EDT is done), then raises the security counters',
  ],
  [
    [...UNTIL_CONFIRMED, committed('EDT')],
    'raises the security counter of INV next (EDT is done), then reports SUCCESS',
  ],
  [HAPPY, 'writes down and reports SUCCESS, then is ready for the next update'],
  [
    [...UNTIL_ACTIVATING, failedStep('activate', 'EDT'), rolledBack('BMS'), rolledBack('INV')],
    'takes EDT back to 1.0.0, then reports ROLLBACK_COMPLETED',
  ],
  [
    [...UNTIL_STAGED, answered({ kind: 'withdrawn' })],
    'takes back what is staged in BMS, then INV and EDT, then reports USER_REJECTED',
  ],
  [SAFE.slice(0, -1), 'reports that INV could not be taken back'],
  [
    SAFE,
    'tries again to take INV back, at the next start or after a pause; a new release for INV leads out, too',
  ],
  [[...SAFE, resumed], 'takes INV back to 1.0.0, then reports ROLLBACK_COMPLETED'],
];

describe('what happens next', () => {
  it.each(rows)('%#', (events, text) => {
    expect(nextStep(play(events).state)).toBe(text);
  });

  it('is told for every state', () => {
    const kinds = new Set(rows.map(([events]) => play(events).state.kind));
    expect(kinds).toEqual(
      new Set([
        'idle',
        'checking',
        'awaiting-approval',
        'downloading',
        'staging',
        'activating',
        'verifying',
        'committing',
        'rolling-back',
        'safe-state',
      ]),
    );
  });
});
