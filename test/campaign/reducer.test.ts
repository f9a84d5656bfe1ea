// The campaign's reducer: its course, its outcomes, and what no order of events can make it do.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandKey, commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { CYCLE_OUTCOMES, outcomeExitCode } from '../../src/campaign/outcome.ts';
import { DRIVER_ERRORS } from '../../src/campaign/ports.ts';
import { step } from '../../src/campaign/reducer.ts';
import {
  type CampaignResult,
  type CampaignState,
  DEFAULT_CAMPAIGN_CONFIG,
  IDLE,
} from '../../src/campaign/state.ts';
import {
  activated,
  approved,
  confirmed,
  downloads,
  failedStep,
  HAPPY,
  hash,
  NAMES,
  offered,
  openGate,
  play,
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

const config = DEFAULT_CAMPAIGN_CONFIG;
const resumed: CampaignEvent = { kind: 'resumed', nonce: 'c'.repeat(32) };

function resultOf(events: readonly CampaignEvent[]): CampaignResult {
  const { state } = play(events);
  if (state.kind !== 'idle' || state.finished === null) throw new Error(`ended ${state.kind}`);
  return state.finished;
}

describe('the way to success', () => {
  it('stages all, activates all in order, verifies all, then confirms all', () => {
    expect(play(HAPPY).commands).toEqual([
      'check',
      'download EDT',
      'download INV',
      'download BMS',
      'ask',
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
      'finish SUCCESS',
    ]);
  });

  it('ends with what every ECU reported and how long its transfer took', () => {
    const result = resultOf(HAPPY);
    expect(result.outcome).toBe('SUCCESS');
    expect(result.ecus[1]).toEqual({
      name: 'INV',
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
    expect(commands).toEqual(['download EDT', 'download BMS', 'ask']);
    expect(state.kind).toBe('awaiting-approval');
  });

  it('stages several at once when told to', () => {
    const two = { ...config, parallel: 2 };
    expect(play([...UNTIL_STAGING, staged('INV')], two).commands.slice(6)).toEqual([
      'stage EDT',
      'stage INV',
      'stage BMS',
    ]);
  });
});

describe('ends without a rollback', () => {
  const answered = HAPPY.slice(0, 5);
  const rows: [string, CampaignEvent[], Partial<CampaignResult>][] = [
    [
      'later',
      [...answered, { kind: 'answered', answer: { kind: 'later', untilWallMs: 5 } }],
      { outcome: 'DEFERRED', code: 'LATER', untilWallMs: 5 },
    ],
    [
      'denied',
      [...answered, { kind: 'answered', answer: { kind: 'denied' } }],
      { outcome: 'USER_REJECTED', code: 'DENIED' },
    ],
    [
      'nobody answers',
      [...answered, { kind: 'answered', answer: { kind: 'timed-out' } }],
      { outcome: 'DEFERRED', code: 'TIMED_OUT' },
    ],
    [
      'a forged answer',
      [...answered, { kind: 'answered', answer: { kind: 'forged', reason: 'MAC' } }],
      { outcome: 'SECURITY_VALIDATION_FAILED', code: 'FORGED_APPROVAL', reason: 'MAC' },
    ],
    [
      'no CGW',
      [...answered, { kind: 'answered', answer: { kind: 'unreachable', reason: 'silent' } }],
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
        ...answered,
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
      'roll-back INV touched',
      'roll-back EDT touched',
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
    expect(commands.at(-1)).toBe('roll-back BMS touched');
  });

  it('takes back even those that are confirmed when another refuses', () => {
    const events = [...UNTIL_COMMITTING, confirmed('EDT'), failedStep('confirm', 'INV')];
    expect(play([...events, rolledBack('BMS'), rolledBack('INV')]).commands.at(-1)).toBe(
      'roll-back EDT touched',
    );
  });

  it('spells the mixed state out when an ECU cannot be taken back', () => {
    const events = [
      ...UNTIL_ACTIVATING,
      activated('EDT'),
      failedStep('activate', 'INV'),
      rolledBack('BMS'),
      failedStep('roll-back', 'INV', 'SILENT'),
      rolledBack('EDT'),
    ];
    const result = resultOf(events);
    expect(result.outcome).toBe('ROLLBACK_FAILED');
    expect(result.reason).toContain('EDT runs 1.0.0 (old)');
    expect(result.reason).toContain('INV may run 2.0.0, it could not be taken back to 1.0.0');
    expect(result.ecus[1]!.error).toBe('INV SILENT');
  });
});

describe('retries', () => {
  it('a transient failure is tried again after a growing pause, three times in all', () => {
    const silent = failedStep('stage', 'EDT', 'SILENT', true);
    const { commands } = play([...UNTIL_STAGING, silent, silent, silent]);
    expect(commands.slice(6)).toEqual([
      'stage EDT',
      'stage EDT after 2000',
      'stage EDT after 4000',
      'roll-back EDT',
    ]);
  });

  it('a success forgets the tries', () => {
    const silent = failedStep('stage', 'EDT', 'SILENT', true);
    const { commands } = play([...UNTIL_STAGING, silent, staged('EDT')]);
    expect(commands.at(-1)).toBe('stage INV');
  });

  it('restarts without progress end the campaign', () => {
    const many = Array.from({ length: config.restartLimit }, () => resumed);
    expect(play([...UNTIL_STAGING, ...many]).state.kind).toBe('staging');
    expect(play([...UNTIL_STAGING, ...many, resumed]).state.kind).toBe('rolling-back');
    const progress = [...UNTIL_STAGING, ...many, staged('EDT'), ...many];
    expect(play(progress).state.kind).toBe('staging');
  });
});

describe('whatever comes in whatever order', () => {
  const ecu = fc.constantFrom(...NAMES);
  const event: fc.Arbitrary<CampaignEvent> = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...HAPPY) },
    { weight: 2, arbitrary: fc.constantFrom(...HAPPY) },
    ecu.map(rolledBack),
    fc
      .tuple(
        fc.constantFrom('stage', 'activate', 'verify', 'confirm', 'roll-back' as const),
        ecu,
        fc.constantFrom(...DRIVER_ERRORS),
        fc.boolean(),
      )
      .map((args) => failedStep(...(args as Parameters<typeof failedStep>))),
    ecu.map((name): CampaignEvent => ({ kind: 'verified', ecu: name, version: '9', sha256: null })),
    fc.constantFrom<CampaignEvent>(
      resumed,
      { kind: 'closed' },
      { kind: 'gate', gate: 'stage', result: { kind: 'withdrawn' } },
      { kind: 'gate', gate: 'activate', result: { kind: 'condition', reason: 'x' } },
      { kind: 'answered', answer: { kind: 'denied' } },
      { kind: 'abandoned', reason: 'x' },
    ),
  );
  // Random events alone seldom get far: begin anywhere on the happy way.
  const course = fc
    .tuple(fc.nat(HAPPY.length), fc.array(event, { maxLength: 60 }))
    .map(([start, events]) => [...HAPPY.slice(0, start), ...events]);

  it('nothing is activated before all are staged, nothing confirmed before all are verified', () => {
    fc.assert(
      fc.property(course, fc.constantFrom(1, 2, 3), (events, parallel) => {
        let state: CampaignState = IDLE;
        let seen = { staged: new Set<string>(), verified: new Set<string>(), approved: false };
        for (const next of events) {
          const before = state;
          const result = step(state, next, { ...config, parallel });
          state = result.state;
          if (next.kind === 'offered' && state.kind === 'downloading' && before.kind !== state.kind)
            seen = { staged: new Set(), verified: new Set(), approved: false };
          if (before !== state) {
            if (next.kind === 'staged') seen.staged.add(next.ecu);
            if (next.kind === 'verified' && next.sha256 === shaOf(next.ecu))
              seen.verified.add(next.ecu);
            if (next.kind === 'answered' && next.answer.kind === 'approved') seen.approved = true;
          }
          for (const command of result.commands) {
            if (command.kind !== 'ecu') continue;
            expect(seen.approved).toBe(true);
            if (command.step === 'activate') expect(seen.staged.size).toBe(NAMES.length);
            if (command.step === 'confirm') expect(seen.verified.size).toBe(NAMES.length);
          }
          // What a restart would give out again contains what was just given out.
          const again = new Set(commandsOf(state, { ...config, parallel }).map(commandKey));
          for (const command of result.commands) expect(again).toContain(commandKey(command));
          if (state.kind === 'idle' && state.finished?.outcome === 'SUCCESS') {
            expect(seen.verified.size).toBe(NAMES.length);
          }
        }
      }),
      { numRuns: 500, seed: 4711 },
    );
  });

  it('every state that is not at rest has something to do', () => {
    fc.assert(
      fc.property(course, (events) => {
        const { state } = play(events);
        if (state.kind === 'idle' && state.finished === null) return;
        expect(commandsOf(state, config).length).toBeGreaterThan(0);
      }),
      { numRuns: 300, seed: 4711 },
    );
  });

  it('a repeated event changes nothing', () => {
    fc.assert(
      fc.property(course, (events) => {
        let state: CampaignState = IDLE;
        for (const next of events) {
          const once = step(state, next, config).state;
          // Failures count tries and restarts count themselves: those two are meant to.
          if (next.kind !== 'step-failed' && next.kind !== 'resumed' && next.kind !== 'offered') {
            if (!(next.kind === 'closed' || next.kind === 'poll' || next.kind === 'gate'))
              expect(step(once, next, config).state).toBe(once);
          }
          state = once;
        }
      }),
      { numRuns: 200, seed: 4711 },
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
