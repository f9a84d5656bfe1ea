// Retries: a limit in tries and one in time for each kind of failure, and no endless loop of any kind.

import { describe, expect, it } from 'vitest';
import { DRIVER_ERRORS } from '../../src/campaign/ports.ts';
import {
  afterFailure,
  DEFAULT_RETRY_POLICY,
  FAILURE_KINDS,
  failureKind,
  NO_TRIES,
  recoveryPauseMs,
  retryPauseMs,
  retryPolicyOf,
  type Tries,
} from '../../src/campaign/retry-policy.ts';
import { DEFAULT_CAMPAIGN_CONFIG } from '../../src/campaign/state.ts';
import {
  changing,
  failedStep,
  offered,
  openGate,
  play,
  resumed,
  rolledBack,
  staged,
  UNTIL_ACTIVATING,
  UNTIL_STAGING,
  under,
} from './support.ts';

const limit = DEFAULT_CAMPAIGN_CONFIG.restartLimit;

describe('the policy', () => {
  it('has a kind for every failure, and uses every kind', () => {
    expect(new Set(DRIVER_ERRORS.map(failureKind))).toEqual(new Set(FAILURE_KINDS));
  });

  it('takes what a vehicle file says in the place of the defaults', () => {
    const policy = retryPolicyOf({ silent: { tries: 9, seconds: 5 } });
    expect(policy.silent).toEqual({ tries: 9, seconds: 5 });
    expect(policy.bus).toBe(DEFAULT_RETRY_POLICY.bus);
    expect(() => retryPolicyOf({ silence: { tries: 1, seconds: 1 } })).toThrow(
      'policy.retry.silence: no kind of failure, expected one of bus, silent, busy, restart',
    );
  });

  it('counts the time from the first failure on', () => {
    const policy = retryPolicyOf({ silent: { tries: 100, seconds: 60 } });
    const fail = (before: Tries, tookMs: number) =>
      afterFailure(before, 'stage', { code: 'SILENT', transient: true, tookMs }, policy);
    // A first try of ten minutes is not held against it.
    const first = fail(NO_TRIES, 600_000);
    expect(first).toMatchObject({ again: true, tries: { spentMs: 0 } });
    const second = fail(first.tries, 59_999);
    expect(second.again).toBe(true);
    expect(fail(second.tries, 1).again).toBe(false);
  });

  it('counts each kind by itself', () => {
    const policy = retryPolicyOf({
      silent: { tries: 2, seconds: 60 },
      bus: { tries: 2, seconds: 60 },
    });
    const fail = (before: Tries, code: 'SILENT' | 'BUS') =>
      afterFailure(before, 'stage', { code, transient: true }, policy);
    const both = fail(fail(NO_TRIES, 'SILENT').tries, 'BUS');
    expect(both.again).toBe(true);
    expect(fail(both.tries, 'SILENT').again).toBe(false);
  });

  it('gives the way back twice as much', () => {
    const policy = retryPolicyOf({ silent: { tries: 1, seconds: 60 } });
    const silent = { code: 'SILENT', transient: true } as const;
    expect(afterFailure(NO_TRIES, 'activate', silent, policy).again).toBe(false);
    const once = afterFailure(NO_TRIES, 'roll-back', silent, policy);
    expect(once.again).toBe(true);
    expect(afterFailure(once.tries, 'roll-back', silent, policy).again).toBe(false);
  });

  it('pauses longer and longer, up to a limit', () => {
    expect([0, 1, 2, 3, 9, 99].map((failed) => retryPauseMs(failed, 2000))).toEqual([
      0, 2000, 4000, 8000, 60_000, 60_000,
    ]);
    expect([0, 1, 6, 99].map(recoveryPauseMs)).toEqual([60_000, 120_000, 3_600_000, 3_600_000]);
  });
});

describe('a step', () => {
  it('is tried again after a growing pause, three times in all', () => {
    const silent = failedStep('stage', 'EDT', 'SILENT', true);
    const { commands } = play([...UNTIL_STAGING, silent, silent, silent]);
    expect(commands.slice(6)).toEqual([
      'stage EDT',
      'stage EDT after 2000',
      'stage EDT after 4000',
      'roll-back EDT',
    ]);
  });

  it('is not tried again when nothing can change', () => {
    expect(play([...UNTIL_STAGING, failedStep('stage', 'EDT')]).state.kind).toBe('rolling-back');
  });

  it('has a limit in time, too', () => {
    const slow = failedStep('stage', 'EDT', 'SILENT', true, 901_000);
    expect(play([...UNTIL_STAGING, slow]).state.kind).toBe('staging');
    expect(play([...UNTIL_STAGING, slow, slow]).state.kind).toBe('rolling-back');
  });

  it('forgets its tries when it succeeds', () => {
    const silent = failedStep('stage', 'EDT', 'SILENT', true);
    const { state, commands } = play([...UNTIL_STAGING, silent, staged('EDT')]);
    expect(commands.at(-1)).toBe('stage INV');
    expect('tries' in state && state.tries).toEqual({});
  });

  it('keeps the limits that its campaign began with', () => {
    const limits = {
      ...DEFAULT_CAMPAIGN_CONFIG,
      retryDelayMs: 5,
      retry: retryPolicyOf({ silent: { tries: 2, seconds: 9 } }),
    };
    const silent = failedStep('stage', 'EDT', 'SILENT', true);
    const events = under({ ...offered, limits }, UNTIL_STAGING);
    expect(play([...events, silent]).commands.at(-1)).toBe('stage EDT after 5');
    expect(play([...events, silent, silent]).state.kind).toBe('rolling-back');
  });
});

describe('restarts', () => {
  const many = Array.from({ length: limit }, () => resumed);

  it('without progress end the campaign', () => {
    expect(play([...UNTIL_STAGING, ...many]).state.kind).toBe('staging');
    const begun = [...UNTIL_STAGING, changing('stage', 'EDT')];
    expect(play([...begun, ...many, resumed]).state).toMatchObject({
      kind: 'rolling-back',
      cause: { code: 'INTERRUPTED' },
    });
    const progress = [...UNTIL_STAGING, ...many, openGate('stage'), staged('EDT'), ...many];
    expect(play(progress).state.kind).toBe('staging');
  });

  it('on the way back give it its tries again, but not for ever', () => {
    const silent = failedStep('roll-back', 'BMS', 'SILENT', true);
    const back = [...UNTIL_ACTIVATING, failedStep('activate', 'EDT'), silent];
    expect(play(back).state).toMatchObject({ tries: { BMS: { failed: 1 } } });
    expect(play([...back, resumed]).state).toMatchObject({ tries: {}, pending: { length: 3 } });
    const given = play([...back, ...many, resumed]).state;
    expect(given).toMatchObject({
      pending: ['INV', 'EDT'],
      failed: { BMS: { code: 'INTERRUPTED' } },
      restarts: 0,
    });
    // BMS never ran the new version: what could not be forgotten there is no mixture.
    expect(play(['INV', 'EDT'].map(rolledBack), given).state).toMatchObject({
      kind: 'idle',
      finished: { outcome: 'ROLLBACK_COMPLETED' },
    });
  });
});
