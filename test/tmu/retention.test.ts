// When the end of a campaign may be followed by another try of the same releases.

import { expect, it } from 'vitest';
import type { CampaignResult } from '../../src/campaign/state.ts';
import type { Remembered } from '../../src/tmu/memory.ts';
import { retentionOf, stands } from '../../src/tmu/retention.ts';

const NOW = 1_000_000_000;
const MINUTE = 60_000;

const result = (id: string, outcome: CampaignResult['outcome'], code?: string): CampaignResult => ({
  id,
  outcome,
  ...(code === undefined ? {} : { code }),
  startedWallMs: NOW,
  plan: { vin: '1CANXTABENCH00001', items: [] },
  planDigest: '0'.repeat(64),
  ecus: [],
});

/** Minutes until the next try after each of `cycles` ends of the same kind; null: not before something changes. */
function waits(outcome: CampaignResult['outcome'], code: string | undefined, cycles: number) {
  let before: Remembered | undefined;
  return Array.from({ length: cycles }, (_, cycle) => {
    before = retentionOf(result(`c${cycle}`, outcome, code), before, NOW);
    const until = before?.notBeforeWallMs;
    return until === undefined || until === null ? until : (until - NOW) / MINUTE;
  });
}

it.each([
  ['SUCCESS', undefined, [undefined]],
  ['BACKEND_UNAVAILABLE', 'ECONNREFUSED', [undefined]],
  ['USER_REJECTED', 'DENIED', [null]],
  ['DEFERRED', 'TIMED_OUT', [5, 10, 20, 40, 80, 160, 240, 240]],
  ['DOWNLOAD_INTEGRITY_FAILED', 'SHA256', [10, 20, null]],
  ['SECURITY_VALIDATION_FAILED', 'SECURITY', [null]],
  ['SECURITY_VALIDATION_FAILED', 'FORGED_APPROVAL', [10, 20, 40]],
  ['ROLLBACK_COMPLETED', 'SELF_TEST', [null]],
  ['ROLLBACK_COMPLETED', 'BUS', [10, 20, 40, 80, null]],
  ['ROLLBACK_COMPLETED', 'SILENT', [10, 20, 40, 80, null]],
  ['ROLLBACK_FAILED', 'BUS', [null]],
] as const)('%s %s: %j minutes', (outcome, code, expected) => {
  expect(waits(outcome, code, expected.length)).toEqual(expected);
});

it('the same campaign finished twice counts once', () => {
  const first = retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), undefined, NOW);
  expect(retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), first, NOW + 5)).toBe(first);
});

it('stands until its time, or for good', () => {
  const bus = retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), undefined, NOW)!;
  expect([NOW, NOW + 10 * MINUTE].map((now) => stands(bus, now))).toEqual([true, false]);
  const denied = retentionOf(result('c2', 'USER_REJECTED'), undefined, NOW)!;
  expect(stands(denied, Number.MAX_SAFE_INTEGER)).toBe(true);
});
