// Restarts and tries are counted since the last progress: each step forward begins both at nought, for its own ECU only.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import type { CampaignState } from '../../src/campaign/state.ts';
import {
  activated,
  answered,
  approved,
  committed,
  confirmed,
  failedStep,
  HAPPY,
  offeredWith,
  openGate,
  play,
  resultOf,
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
  under,
  verified,
} from './support.ts';

const restartsOf = (state: CampaignState): number | undefined =>
  'restarts' in state ? state.restarts : undefined;

const asking = offeredWith({ asks: ['download', 'activate'] });
const BACK = [...UNTIL_ACTIVATING, activated('EDT'), failedStep('activate', 'INV')];

describe('restarts', () => {
  it.each<[string, CampaignEvent[], CampaignEvent[]]>([
    ['an ECU is staged', UNTIL_STAGING, [openGate('stage'), staged('EDT')]],
    ['the last one is staged', UNTIL_STAGED.slice(0, -1), [openGate('stage'), staged('BMS')]],
    [
      'the last one is staged, and the driver is asked',
      [asking, approved, ...UNTIL_STAGED.slice(2, -1)].map((event, index) =>
        index === 1 ? answered({ kind: 'approved' }, 'download') : event,
      ),
      [openGate('stage'), staged('BMS')],
    ],
    ['the point of no return', UNTIL_STAGED, [openGate('activate')]],
    ['an ECU is activated', UNTIL_ACTIVATING, [activated('EDT')]],
    ['all are activated', UNTIL_VERIFYING.slice(0, -1), [activated('BMS')]],
    ['an ECU is verified', UNTIL_VERIFYING, [verified('EDT')]],
    ['all are verified', UNTIL_COMMITTING.slice(0, -1), [verified('BMS')]],
    ['an ECU is confirmed', UNTIL_COMMITTING, [confirmed('EDT')]],
    ['a counter is raised', UNTIL_CONFIRMED, [committed('EDT')]],
    ['a counter is owed', UNTIL_CONFIRMED, [failedStep('commit', 'EDT')]],
    ['an ECU is back', BACK, [rolledBack('BMS')]],
    ['an ECU is given up', BACK, [failedStep('roll-back', 'BMS')]],
    ['the way back begins', UNTIL_ACTIVATING, [failedStep('activate', 'EDT')]],
  ])('begin at nought when %s', (_name, before, progress) => {
    const waiting = play([...before, resumed, resumed]).state;
    expect(restartsOf(waiting)).toBe(2);
    expect(restartsOf(play(progress, waiting).state)).toBe(0);
  });

  it('are nought at the beginning of every phase', () => {
    const events = under(asking, HAPPY);
    events.splice(2, 0, answered({ kind: 'approved' }, 'download'));
    const seen: (number | undefined)[] = [];
    let { state } = play([]);
    for (const event of events) {
      state = play([event], state).state;
      seen.push(restartsOf(state));
    }
    expect(seen.every((restarts) => restarts === undefined || restarts === 0)).toBe(true);
    expect(restartsOf(play([...SAFE, resumed]).state)).toBe(0);
  });

  it('count while the driver is asked, and then the question is put off', () => {
    const asked = HAPPY.slice(0, 5);
    expect(play([...asked, resumed]).state).toMatchObject({
      restarts: 1,
      campaign: { nonce: 'c'.repeat(32) },
    });
    const many = Array.from({ length: 21 }, () => resumed);
    expect(resultOf([...asked, ...many])).toMatchObject({
      outcome: 'DEFERRED',
      code: 'INTERRUPTED',
      reason: '21 restarts without progress while awaiting-approval',
    });
  });

  it('while counters are raised leave those owed that are left', () => {
    const many = Array.from({ length: 21 }, () => resumed);
    const events = [...UNTIL_CONFIRMED, committed('EDT'), failedStep('commit', 'INV'), ...many];
    expect(resultOf(events)).toMatchObject({ outcome: 'SUCCESS', uncommitted: ['INV', 'BMS'] });
  });
});

describe('tries', () => {
  const again = (step: 'stage' | 'activate' | 'verify' | 'confirm' | 'commit', ecu: string) =>
    failedStep(step, ecu, 'SILENT', true);
  const together = (events: readonly CampaignEvent[]): CampaignEvent[] =>
    under(offeredWith({ ranks: [0, 0, 0], buses: ['a', 'b', 'c'] }), events);

  it.each([
    ['stage', UNTIL_STAGING, staged],
    ['activate', UNTIL_ACTIVATING, activated],
    ['verify', UNTIL_VERIFYING, verified],
    ['confirm', UNTIL_COMMITTING, confirmed],
    ['commit', UNTIL_CONFIRMED, committed],
  ] as const)('of another ECU stay when one has done its step: %s', (step, before, done) => {
    const events = [...together(before), again(step, 'EDT'), again(step, 'INV'), done('EDT')];
    const { state } = play(events);
    expect(state).toMatchObject({ tries: { INV: { failed: 1 } } });
    expect('tries' in state && Object.keys(state.tries)).toEqual(['INV']);
  });

  it('of another ECU stay on the way back, when one is back and when one is given up', () => {
    const failed = failedStep('activate', 'EDT');
    const silent = (ecu: string) => failedStep('roll-back', ecu, 'SILENT', true);
    const back = [...together(UNTIL_ACTIVATING), failed, silent('EDT'), silent('INV')];
    for (const event of [rolledBack('EDT'), failedStep('roll-back', 'EDT')]) {
      const { state } = play([...back, event]);
      expect('tries' in state && Object.keys(state.tries)).toEqual(['INV']);
    }
  });
});

describe('a step that was not asked for', () => {
  it.each<[string, CampaignEvent[], CampaignEvent]>([
    ['staged out of turn', UNTIL_STAGING, staged('INV')],
    ['staged before the gate is open', UNTIL_STAGING.slice(0, -1), staged('EDT')],
    ['activated out of turn', UNTIL_ACTIVATING, activated('INV')],
    ['verified out of turn', UNTIL_VERIFYING, verified('INV')],
    ['confirmed out of turn', UNTIL_COMMITTING, confirmed('INV')],
    ['committed before all are confirmed', UNTIL_COMMITTING, committed('EDT')],
    ['committed out of turn', UNTIL_CONFIRMED, committed('INV')],
    ['back out of turn', BACK, rolledBack('EDT')],
    ['back while it goes forward', UNTIL_ACTIVATING, rolledBack('EDT')],
    ['failed at another step', UNTIL_ACTIVATING, failedStep('stage', 'EDT')],
    ['failed at another ECU', UNTIL_ACTIVATING, failedStep('activate', 'INV')],
    ['failed while nothing is under way', [], failedStep('activate', 'INV')],
    ['failed while the driver is asked', HAPPY.slice(0, 5), failedStep('stage', 'EDT')],
    ['an image that is there already', HAPPY.slice(0, 3), HAPPY[2]!],
    ['an answer to another question', HAPPY.slice(0, 5), answered({ kind: 'denied' }, 'activate')],
    ['the other gate', UNTIL_STAGED, openGate('stage')],
  ])('changes nothing: %s', (_name, before, event) => {
    const { state } = play(before);
    expect(play([event], state).state).toBe(state);
  });
});
