// What was changed in each ECU decides who goes back, whether a mixture is left, and what the result says.

import { describe, expect, it } from 'vitest';
import { changedIn } from '../../src/campaign/changes.ts';
import { commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent, EventOf } from '../../src/campaign/event.ts';
import { nextStep } from '../../src/campaign/next.ts';
import type { Changed } from '../../src/campaign/ports.ts';
import {
  activated,
  answered,
  changing,
  failedStep,
  NAMES,
  offeredWith,
  openGate,
  play,
  resultOf,
  resumed,
  rolledBack,
  shaOf,
  staged,
  touchedIn,
  UNTIL_ACTIVATING,
  UNTIL_STAGING,
  UNTIL_VERIFYING,
  under,
} from './support.ts';

const stagedAs = (ecu: string, changed: Changed): CampaignEvent => ({
  ...(staged(ecu) as EventOf<'staged'>),
  changed,
});
const activatedAs = (ecu: string, changed: Changed): CampaignEvent => ({
  ...(activated(ecu) as EventOf<'activated'>),
  changed,
});
const refused = (step: 'stage' | 'activate', ecu: string, changed: Changed, again = false) =>
  failedStep(step, ecu, 'PRECONDITION', again, 100, changed);
const untouched = (ecu: string): CampaignEvent => ({
  ...(rolledBack(ecu) as EventOf<'rolled-back'>),
  unchanged: true,
});

/** All have one bank: staging has only looked at them. */
const LOOKED_AT = [
  ...UNTIL_STAGING,
  ...NAMES.map((ecu) => stagedAs(ecu, 'no')),
  openGate('activate'),
];

function pendingOf(events: readonly CampaignEvent[]): readonly string[] {
  const { state } = play(events);
  return state.kind === 'rolling-back' ? state.pending : [];
}

describe('who goes back', () => {
  it.each<[string, CampaignEvent[], string[], string[]]>([
    [
      'nobody: the first refused to be staged',
      [...UNTIL_STAGING, refused('stage', 'EDT', 'no')],
      [],
      [],
    ],
    [
      'the one that was erased before it failed',
      [...UNTIL_STAGING, refused('stage', 'EDT', 'yes')],
      ['EDT'],
      [],
    ],
    [
      'the one whose answer was lost',
      [...UNTIL_STAGING, refused('stage', 'EDT', 'unknown')],
      ['EDT'],
      [],
    ],
    [
      'the one that was erased by an earlier try',
      [...UNTIL_STAGING, failedStep('stage', 'EDT', 'SILENT', true), refused('stage', 'EDT', 'no')],
      ['EDT'],
      [],
    ],
    [
      'those that were staged before another refused',
      [...UNTIL_STAGING, staged('EDT'), refused('stage', 'INV', 'no')],
      ['EDT'],
      [],
    ],
    [
      'all that are staged; the one that refused its activation is not touched',
      [...UNTIL_ACTIVATING, activated('EDT'), refused('activate', 'INV', 'no')],
      ['BMS', 'INV', 'EDT'],
      ['EDT'],
    ],
    [
      'nobody: the first with one bank refused',
      [...LOOKED_AT, refused('activate', 'EDT', 'no')],
      [],
      [],
    ],
    [
      'only the one that was written',
      [...LOOKED_AT, activated('EDT'), refused('activate', 'INV', 'no')],
      ['EDT'],
      ['EDT'],
    ],
    [
      'one that ran the new software already',
      [...LOOKED_AT, activatedAs('EDT', 'no'), refused('activate', 'INV', 'no')],
      ['EDT'],
      ['EDT'],
    ],
    [
      'one whose activation was under way when the process died',
      [...LOOKED_AT, changing('activate', 'EDT'), resumed, refused('activate', 'EDT', 'no')],
      ['EDT'],
      ['EDT'],
    ],
    [
      'one that was being staged when the process died',
      [
        ...[...UNTIL_STAGING, changing('stage', 'EDT'), resumed, openGate('stage')],
        refused('stage', 'EDT', 'no'),
      ],
      ['EDT'],
      [],
    ],
    [
      'nobody: the process died before the first request that changes anything',
      [...UNTIL_STAGING, resumed, openGate('stage'), refused('stage', 'EDT', 'no')],
      [],
      [],
    ],
    [
      'nobody: what was about to be changed refused it',
      [...UNTIL_STAGING, changing('stage', 'EDT'), refused('stage', 'EDT', 'no')],
      [],
      [],
    ],
    [
      'one that is being staged when the driver takes his approval back',
      [...UNTIL_STAGING, changing('stage', 'EDT'), answered({ kind: 'withdrawn' })],
      ['EDT'],
      [],
    ],
    [
      'nobody: the driver takes his approval back while it is only looked at',
      [...UNTIL_STAGING, answered({ kind: 'withdrawn' })],
      [],
      [],
    ],
    [
      'nobody: another step than the one under way says that it changes',
      [
        ...UNTIL_STAGING,
        changing('stage', 'INV'),
        changing('activate', 'EDT'),
        answered({ kind: 'withdrawn' }),
      ],
      [],
      [],
    ],
  ])('%s', (_who, events, pending, touched) => {
    expect(pendingOf(events)).toEqual(pending);
    expect(touchedIn(play(events).state)).toEqual(touched);
  });

  it('with what is known of each', () => {
    const offer = offeredWith({ ranks: [0, 0, 1] });
    const group = under(offer, LOOKED_AT);
    // The other one of the rank is under way: it is stopped, and nobody knows how far it came.
    const begun = [changing('activate', 'EDT'), changing('activate', 'INV')];
    const { state } = play([...group, ...begun, refused('activate', 'EDT', 'yes')]);
    if (state.kind !== 'rolling-back') throw new Error(state.kind);
    expect(NAMES.map((ecu) => changedIn(state.changes, ecu))).toEqual(['yes', 'unknown', 'no']);
    const commands = commandsOf(state).map((command) =>
      command.kind === 'ecu' ? `${command.item.ecu} ${command.changed}` : command.kind,
    );
    expect(commands).toEqual(['INV unknown', 'EDT yes']);
    expect(nextStep(state)).toContain('INV back to 1.0.0 and EDT back to 1.0.0');
  });
});

describe('the result', () => {
  it('says that nothing was changed, with the outcome of the refusal', () => {
    const result = resultOf([...LOOKED_AT, refused('activate', 'EDT', 'no')]);
    expect(result).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'PRECONDITION' });
    expect(result.ecus.map(({ unchanged }) => unchanged)).toEqual([true, true, true]);
  });

  it('says it of each ECU', () => {
    const events = [...LOOKED_AT, activated('EDT'), refused('activate', 'INV', 'no')];
    const result = resultOf([...events, rolledBack('EDT')]);
    expect(result.outcome).toBe('ROLLBACK_COMPLETED');
    expect(result.ecus.map(({ unchanged }) => unchanged)).toEqual([false, true, true]);
  });

  it('believes an ECU that was asked and runs what it ran all the time', () => {
    const asked = [resumed, refused('activate', 'EDT', 'no'), untouched('EDT')];
    const events = [...LOOKED_AT, changing('activate', 'EDT'), ...asked];
    const result = resultOf(events);
    expect(result.ecus[0]).toMatchObject({ unchanged: true, reported: '1.0.0' });
  });

  it('of a success is that all were changed', () => {
    const verified = NAMES.map(
      (ecu): CampaignEvent => ({
        kind: 'verified',
        ecu,
        version: '2.0.0',
        sha256: shaOf(ecu),
      }),
    );
    const rest = (kind: 'confirmed' | 'committed') => NAMES.map((ecu) => ({ kind, ecu }));
    const events = [...UNTIL_VERIFYING, ...verified, ...rest('confirmed'), ...rest('committed')];
    expect(resultOf(events).ecus.some(({ unchanged }) => unchanged)).toBe(false);
  });

  it('is no mixture where one that refused its activation cannot forget its image', () => {
    const events = [...UNTIL_ACTIVATING, activated('EDT'), refused('activate', 'INV', 'no')];
    const silent = failedStep('roll-back', 'INV', 'SILENT');
    const end = [...events, rolledBack('BMS'), silent, rolledBack('EDT')];
    expect(resultOf(end).outcome).toBe('ROLLBACK_COMPLETED');
  });

  it('is one where the rollback itself has changed what runs, and failed', () => {
    const events = [...UNTIL_STAGING, refused('stage', 'EDT', 'unknown')];
    const erased = failedStep('roll-back', 'EDT', 'SILENT', false, 100, 'yes');
    expect(resultOf([...events, erased]).outcome).toBe('ROLLBACK_FAILED');
  });
});
