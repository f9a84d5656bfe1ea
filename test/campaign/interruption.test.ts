// What stops a campaign from outside before the point of no return, and what it does to it after.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { cancelVerdict } from '../../src/campaign/interruption.ts';
import {
  activated,
  answered,
  approved,
  changing,
  confirmed,
  downloads,
  HAPPY,
  NAMES,
  offered,
  offeredWith,
  openGate,
  play,
  resultOf,
  resumed,
  rolledBack,
  SAFE,
  staged,
  touchedIn,
  UNTIL_ACTIVATING,
  UNTIL_COMMITTING,
  UNTIL_CONFIRMED,
  UNTIL_STAGED,
  UNTIL_STAGING,
  UNTIL_VERIFYING,
} from './support.ts';

const cancel: CampaignEvent = { kind: 'cancelled', order: 'o1', by: 'eva', reason: 'recall' };
const moving: CampaignEvent = {
  kind: 'condition-lost',
  condition: 'standing',
  reason: 'speed is 3 km/h',
};
const withdrawn = answered({ kind: 'withdrawn' });

const BEFORE: [string, CampaignEvent[], string[]][] = [
  ['downloading', [offered], []],
  ['awaiting the approval', [offered, ...downloads], []],
  ['the first gate', UNTIL_STAGING.slice(0, -1), []],
  ['looking at the first', UNTIL_STAGING, []],
  ['staging the first', [...UNTIL_STAGING, changing('stage', 'EDT')], ['EDT']],
  [
    'staging the second',
    [...UNTIL_STAGING, staged('EDT'), changing('stage', 'INV')],
    ['INV', 'EDT'],
  ],
  [
    'the first gate once more, after a restart',
    [...UNTIL_STAGING, changing('stage', 'EDT'), resumed],
    ['EDT'],
  ],
  ['the last gate', UNTIL_STAGED, ['BMS', 'INV', 'EDT']],
];
const AFTER: [string, CampaignEvent[]][] = [
  ['activating', UNTIL_ACTIVATING],
  ['activating the second', [...UNTIL_ACTIVATING, activated('EDT')]],
  ['verifying', UNTIL_VERIFYING],
  ['confirming', [...UNTIL_COMMITTING, confirmed('EDT')]],
  ['raising counters', UNTIL_CONFIRMED],
];

describe('cancelled by the operator', () => {
  it.each(BEFORE)('while %s: it stops, and what was begun is undone', (_name, events, undone) => {
    expect(cancelVerdict(play(events).state).accepted).toBe(true);
    const { state } = play([...events, cancel]);
    if (undone.length > 0) expect(state).toMatchObject({ pending: undone });
    expect(touchedIn(state)).toEqual([]);
    expect(resultOf([...events, cancel, ...undone.map(rolledBack)])).toMatchObject({
      outcome: 'USER_REJECTED',
      code: 'CANCELLED',
      reason: 'eva cancelled it: recall',
      warnings: [],
    });
  });

  it.each(AFTER)('while %s: it is finished, and the result says so', (_name, events) => {
    const before = play(events).state;
    const verdict = cancelVerdict(before);
    expect(verdict.accepted).toBe(false);
    expect(verdict.reason).toContain('point of no return');
    const rest = HAPPY.slice(HAPPY.indexOf(events.at(-1)!) + 1);
    const result = resultOf([...events, cancel, cancel, ...rest]);
    expect(result.outcome).toBe('SUCCESS');
    expect(result.warnings).toEqual([
      'order o1 of eva to cancel it came after the point of no return',
    ]);
    // The same order again says nothing new.
    const once = play([...events, cancel]).state;
    expect(play([cancel], once).state).toBe(once);
  });

  it('while it goes back, or when it is over: nothing changes, and the answer says why', () => {
    const back = play([...UNTIL_STAGED, cancel]).state;
    expect(cancelVerdict(back)).toMatchObject({ accepted: true });
    const failing = play([...UNTIL_STAGED, moving]).state;
    expect(cancelVerdict(failing)).toMatchObject({
      accepted: false,
      reason: expect.stringContaining('speed is 3 km/h'),
    });
    for (const events of [SAFE, HAPPY, []]) {
      const { state } = play(events);
      expect(play([cancel], state).state).toBe(state);
      expect(cancelVerdict(state).accepted).toBe(false);
    }
    expect(play([cancel], failing).state).toBe(failing);
  });
});

describe('a condition that is lost', () => {
  it.each(BEFORE.slice(2))('while %s: it stops, and is undone', (_name, events, undone) => {
    expect(resultOf([...events, moving, ...undone.map(rolledBack)])).toMatchObject({
      outcome: 'PRECONDITION_FAILED',
      code: 'CONDITION',
      reason: 'speed is 3 km/h',
    });
  });

  it.each(BEFORE.slice(0, 2))('while %s: nobody works on an ECU yet', (_name, events) => {
    const { state } = play(events);
    expect(play([moving], state).state).toBe(state);
  });

  it.each(AFTER)('while %s: it is finished, which is the safer way', (_name, events) => {
    const rest = HAPPY.slice(HAPPY.indexOf(events.at(-1)!) + 1);
    const result = resultOf([...events, moving, ...rest]);
    expect(result.outcome).toBe('SUCCESS');
    expect(result.warnings).toEqual([
      expect.stringContaining('standing was lost after the point of no return'),
    ]);
  });

  it('again and again does not fill the journal', () => {
    let { state } = play(UNTIL_ACTIVATING);
    for (let n = 0; n < 100; n++) {
      const event: CampaignEvent = { ...moving, condition: `c${n}` };
      state = play([event], state).state;
    }
    expect(state).toMatchObject({ campaign: { warnings: { length: 32 } } });
  });
});

describe('an approval that is withdrawn', () => {
  it.each(BEFORE.slice(2))('while %s: it stops, and is undone', (_name, events, undone) => {
    expect(resultOf([...events, withdrawn, ...undone.map(rolledBack)])).toMatchObject({
      outcome: 'USER_REJECTED',
      code: 'WITHDRAWN',
    });
  });
  it.each(AFTER)('while %s: too late', (_name, events) => {
    const { state } = play([...events, withdrawn]);
    expect(state.kind).toBe(play(events).state.kind);
    expect(state).toMatchObject({ campaign: { warnings: [expect.stringContaining('took')] } });
  });
});

describe('approval in phases', () => {
  const offer = offeredWith({ asks: ['download', 'activate'] });
  const download = answered({ kind: 'approved' }, 'download');
  const activate = answered({ kind: 'approved' }, 'activate', 'policy');

  it('asks before the download, the installation and the activation', () => {
    const events = [
      offer,
      download,
      ...downloads,
      approved,
      openGate('stage'),
      ...NAMES.map(staged),
      activate,
      openGate('activate'),
    ];
    expect(play(events).commands.filter((text) => /ask|gate|download EDT/.test(text))).toEqual([
      'ask download',
      'download EDT',
      'ask install',
      'gate stage',
      'ask activate',
      'gate activate',
    ]);
    expect(play(events).state.kind).toBe('activating');
  });

  it('takes an answer for its own phase only', () => {
    const { state } = play([offer]);
    expect(play([approved], state).state).toBe(state);
    expect(play([activate], state).state).toBe(state);
    expect(play([download], state).state.kind).toBe('downloading');
  });

  it('a no to the download ends it before a byte is fetched', () => {
    const events = [offer, answered({ kind: 'denied' }, 'download')];
    expect(resultOf(events)).toMatchObject({ outcome: 'USER_REJECTED', code: 'DENIED' });
    expect(play(events).commands).toEqual(['ask download', 'finish USER_REJECTED']);
  });

  const STAGED = [offer, download, ...downloads, approved, openGate('stage'), ...NAMES.map(staged)];

  it.each([
    ['denied', answered({ kind: 'denied' }, 'activate'), 'USER_REJECTED'],
    ['withdrawn', answered({ kind: 'withdrawn' }, 'activate'), 'USER_REJECTED'],
    [
      'forged',
      answered({ kind: 'forged', reason: 'MAC' }, 'activate'),
      'SECURITY_VALIDATION_FAILED',
    ],
    [
      'unreachable',
      answered({ kind: 'unreachable', reason: '-' }, 'activate'),
      'PRECONDITION_FAILED',
    ],
    ['cancelled', cancel, 'USER_REJECTED'],
  ] as const)('an activation that is %s undoes what was staged', (_name, answer, outcome) => {
    const events = [...STAGED, answer];
    expect(play(events).state).toMatchObject({ pending: ['BMS', 'INV', 'EDT'] });
    expect(touchedIn(play(events).state)).toEqual([]);
    const back = ['BMS', 'INV', 'EDT'].map(rolledBack);
    expect(resultOf([...events, ...back]).outcome).toBe(outcome);
  });

  it.each([
    ['a time', { kind: 'later', untilWallMs: 7 } as const, { code: 'LATER', untilWallMs: 7 }],
    [
      'the next ignition off',
      { kind: 'later', until: 'ignition-off' } as const,
      { code: 'LATER', until: 'ignition-off' },
    ],
    ['nobody answers', { kind: 'timed-out' } as const, { code: 'TIMED_OUT' }],
  ])('an activation put off until %s keeps what is staged', (_name, answer, expected) => {
    const events = [...STAGED, answered(answer, 'activate')];
    const result = resultOf(events);
    expect(result).toMatchObject({ outcome: 'DEFERRED', ...expected });
    expect(play(events).commands.some((text) => text.startsWith('roll-back'))).toBe(false);
  });

  it('a process that dies at the question again and again puts it off', () => {
    const many = Array.from({ length: 20 }, () => resumed);
    expect(play([...STAGED, ...many]).state.kind).toBe('awaiting-approval');
    expect(resultOf([...STAGED, ...many, resumed])).toMatchObject({
      outcome: 'DEFERRED',
      code: 'INTERRUPTED',
    });
  });
});
