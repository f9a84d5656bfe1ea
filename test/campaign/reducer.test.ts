// The campaign's reducer: its course, its outcomes, and its way back.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { CYCLE_OUTCOMES, outcomeExitCode } from '../../src/campaign/outcome.ts';
import { type CampaignResult, IDLE } from '../../src/campaign/state.ts';
import {
  activated,
  answered,
  approved,
  confirmed,
  downloads,
  failedStep,
  HAPPY,
  hash,
  NAMES,
  offered,
  openGate,
  plan,
  play,
  resultOf,
  resumed,
  rolledBack,
  shaOf,
  staged,
  UNTIL_ACTIVATING,
  UNTIL_COMMITTING,
  UNTIL_STAGED,
  UNTIL_STAGING,
  UNTIL_VERIFYING,
  verified,
} from './support.ts';

describe('the way to success', () => {
  it('stages all, activates all in order, verifies all, confirms all, then raises the counters', () => {
    expect(play(HAPPY).commands).toEqual([
      'check',
      'download EDT',
      'download INV',
      'download BMS',
      'ask install',
      'gate stage',
      'stage EDT',
      'stage INV',
      'stage BMS',
      'gate activate',
      'activate EDT',
      'activate INV',
      'activate BMS',
      'verify EDT',
      'verify INV',
      'verify BMS',
      'confirm EDT',
      'confirm INV',
      'confirm BMS',
      'commit EDT',
      'commit INV',
      'commit BMS',
      'finish SUCCESS',
    ]);
  });

  it('ends with what every ECU reported and how long its transfer took', () => {
    const result = resultOf(HAPPY);
    expect(result.outcome).toBe('SUCCESS');
    expect(result.ecus[1]).toEqual({
      name: 'INV',
      unchanged: false,
      hardwareId: 'INV-HW-1',
      from: '1.0.0',
      to: '2.0.0',
      reported: '2.0.0',
      sha256: shaOf('INV'),
      bytes: 1000,
      seconds: 2,
    });
    expect(play([...HAPPY, { kind: 'closed' }]).state).toEqual(IDLE);
  });

  it('takes the transfer of a single-bank ECU from its activation', () => {
    const events = HAPPY.map((event) =>
      event.kind === 'activated' && event.ecu === 'INV'
        ? { ...event, bytes: 2000, seconds: 9 }
        : event,
    );
    expect(resultOf(events).ecus[1]).toMatchObject({ bytes: 2000, seconds: 9 });
  });

  it('fetches an image that two ECUs share once', () => {
    const shared = structuredClone(offered);
    shared.plan.items[1]!.download.sha256 = shaOf('EDT');
    const { commands, state } = play([shared, downloads[0]!, downloads[2]!]);
    expect(commands).toEqual(['download EDT', 'download BMS', 'ask install']);
    expect(state.kind).toBe('awaiting-approval');
  });
});

describe('ends without a rollback', () => {
  const asked = HAPPY.slice(0, 5);
  const rows: [string, CampaignEvent[], Partial<CampaignResult>][] = [
    [
      'later',
      [...asked, answered({ kind: 'later', untilWallMs: 5 })],
      { outcome: 'DEFERRED', code: 'LATER', untilWallMs: 5 },
    ],
    [
      'denied',
      [...asked, answered({ kind: 'denied' })],
      { outcome: 'USER_REJECTED', code: 'DENIED' },
    ],
    [
      'nobody answers',
      [...asked, answered({ kind: 'timed-out' })],
      { outcome: 'DEFERRED', code: 'TIMED_OUT' },
    ],
    [
      'a forged answer',
      [...asked, answered({ kind: 'forged', reason: 'MAC' })],
      { outcome: 'SECURITY_VALIDATION_FAILED', code: 'FORGED_APPROVAL', reason: 'MAC' },
    ],
    [
      'no CGW',
      [...asked, answered({ kind: 'unreachable', reason: 'silent' })],
      { outcome: 'PRECONDITION_FAILED', code: 'APPROVAL_UNREACHABLE' },
    ],
    [
      'a download with a wrong hash',
      [
        offered,
        {
          kind: 'download-failed',
          outcome: 'DOWNLOAD_INTEGRITY_FAILED',
          code: 'DIGEST_MISMATCH',
          reason: 'x',
        },
      ],
      { outcome: 'DOWNLOAD_INTEGRITY_FAILED', code: 'DIGEST_MISMATCH' },
    ],
    [
      'a gate that is closed before anything is staged',
      [
        ...asked,
        approved,
        { kind: 'gate', gate: 'stage', result: { kind: 'condition', reason: 'it moves' } },
      ],
      { outcome: 'PRECONDITION_FAILED', code: 'CONDITION', reason: 'it moves' },
    ],
  ];
  it.each(rows)('%s', (_name, events, expected) => {
    const { commands } = play(events);
    expect(resultOf(events)).toMatchObject(expected);
    expect(commands.filter((text) => /stage|activate|roll-back/.test(text))).toEqual(
      commands.filter((text) => text === 'gate stage'),
    );
  });

  it('when the download is stopped by a restart, without a trace', () => {
    const stopped: CampaignEvent = { kind: 'abandoned', reason: 'restart' };
    expect(play([offered, downloads[0]!, stopped]).state).toEqual(IDLE);
    expect(play([...UNTIL_STAGING, stopped]).state.kind).toBe('staging');
  });
});

it('asks again under a new nonce after a restart, and only then', () => {
  const asking = HAPPY.slice(0, 5);
  expect(play([...asking, resumed]).state).toMatchObject({ campaign: { nonce: 'c'.repeat(32) } });
  expect(play([...UNTIL_STAGING, resumed]).state).toMatchObject({
    campaign: { nonce: 'b'.repeat(32) },
  });
});

describe('the way back', () => {
  it('forgets in reverse what was staged, and what was being staged', () => {
    const events = [...UNTIL_STAGING, staged('EDT'), failedStep('stage', 'INV')];
    expect(play(events).commands.slice(-1)).toEqual(['roll-back INV']);
    const back = [...events, rolledBack('INV'), rolledBack('EDT')];
    expect(play(back).commands.slice(-3)).toEqual([
      'roll-back INV',
      'roll-back EDT',
      'finish ROLLBACK_COMPLETED',
    ]);
    expect(resultOf(back)).toMatchObject({ code: 'REFUSED', reason: 'INV REFUSED' });
    expect(resultOf(back).ecus[1]!.error).toBe('INV REFUSED');
  });

  it('an ECU that cannot forget what never ran is no mixed state', () => {
    const events = [
      ...UNTIL_STAGING,
      failedStep('stage', 'EDT', 'SILENT'),
      failedStep('roll-back', 'EDT', 'SILENT'),
    ];
    expect(resultOf(events).outcome).toBe('ROLLBACK_COMPLETED');
  });

  it.each([
    ['SECURITY', 'SECURITY_VALIDATION_FAILED'],
    ['PRECONDITION', 'PRECONDITION_FAILED'],
    ['WRONG_HARDWARE', 'PRECONDITION_FAILED'],
    ['IMAGE_TOO_LARGE', 'PRECONDITION_FAILED'],
    ['DIGEST_MISMATCH', 'ROLLBACK_COMPLETED'],
  ] as const)('%s while staging ends with %s', (code, outcome) => {
    const events = [...UNTIL_STAGING, failedStep('stage', 'EDT', code), rolledBack('EDT')];
    expect(resultOf(events).outcome).toBe(outcome);
  });

  it('an approval that is withdrawn before the activation', () => {
    const gate: CampaignEvent = { kind: 'gate', gate: 'activate', result: { kind: 'withdrawn' } };
    const { commands } = play([...UNTIL_STAGED, gate]);
    expect(commands.at(-1)).toBe('roll-back BMS');
    const end = [...UNTIL_STAGED, gate, ...[...NAMES].reverse().map(rolledBack)];
    expect(resultOf(end)).toMatchObject({ outcome: 'USER_REJECTED', code: 'WITHDRAWN' });
  });

  it('takes back those that were activated and the one whose turn it was as touched', () => {
    const events = [...UNTIL_ACTIVATING, activated('EDT'), failedStep('activate', 'INV')];
    const back = [...events, rolledBack('BMS'), rolledBack('INV'), rolledBack('EDT')];
    expect(play(back).commands.slice(-4)).toEqual([
      'roll-back BMS',
      'roll-back INV',
      'roll-back EDT',
      'finish ROLLBACK_COMPLETED',
    ]);
  });

  it.each([
    ['another digest', { version: '2.0.0', sha256: hash('f') }, 'DIGEST_MISMATCH'],
    ['another version', { version: '1.0.0', sha256: shaOf('INV') }, 'VERSION_MISMATCH'],
  ])('after activation %s is found', (_name, report, code) => {
    const events = [
      ...UNTIL_VERIFYING,
      verified('EDT'),
      { kind: 'verified', ecu: 'INV', ...report } as CampaignEvent,
    ];
    const { state, commands } = play(events);
    expect(state).toMatchObject({ kind: 'rolling-back', cause: { code, ecu: 'INV' } });
    expect(commands.at(-1)).toBe('roll-back BMS');
  });

  it('compares no version where none was named', () => {
    const [item] = plan.items;
    const unnamed = { ...item!, to: { ...item!.to, version: 'unknown' } };
    const events = [
      { ...offered, plan: { ...plan, items: [unnamed] } },
      downloads[0]!,
      ...[approved, openGate('stage'), staged('EDT'), openGate('activate'), activated('EDT')],
      { ...verified('EDT'), version: '7.0' } as CampaignEvent,
    ];
    expect(play(events).state.kind).toBe('committing');
  });

  it('takes back even those that are confirmed when another refuses', () => {
    const events = [...UNTIL_COMMITTING, confirmed('EDT'), failedStep('confirm', 'INV')];
    expect(play([...events, rolledBack('BMS'), rolledBack('INV')]).commands.at(-1)).toBe(
      'roll-back EDT',
    );
  });
});

it('every outcome has an exit code of its own', () => {
  const codes = CYCLE_OUTCOMES.map(outcomeExitCode);
  expect(new Set(codes).size).toBe(CYCLE_OUTCOMES.length);
  expect(outcomeExitCode('USER_REJECTED')).toBe(3);
});

it('gates are passed in their order only', () => {
  expect(play([...HAPPY.slice(0, 6), openGate('activate')]).state).toMatchObject({ gate: 'stage' });
});
