// When the same releases are tried again after the end of a campaign.

import { expect, it } from 'vitest';
import type { CampaignResult } from '../../src/campaign/state.ts';
import type { Remembered } from '../../src/tmu/memory.ts';
import { type Present, retentionOf, stands } from '../../src/tmu/retention.ts';

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
  warnings: [],
  receipts: [],
  uncommitted: [],
});

const at = (wallMs: number, more: Partial<Present> = {}): Present => ({
  wallMs,
  etag: null,
  ignition: 'unknown',
  ...more,
});

/** Minutes until the next try after each of `cycles` equal ends; null: only after something has changed. */
function waits(outcome: CampaignResult['outcome'], code: string | undefined, cycles: number) {
  let before: Remembered | undefined;
  return Array.from({ length: cycles }, (_, cycle) => {
    before = retentionOf(result(`c${cycle}`, outcome, code), before, NOW, null);
    const until = before?.notBeforeWallMs;
    return until === undefined || until === null ? until : (until - NOW) / MINUTE;
  });
}

it.each([
  ['SUCCESS', undefined, [undefined]],
  ['BACKEND_UNAVAILABLE', 'ECONNREFUSED', [undefined]],
  ['BACKEND_UNAVAILABLE', 'FOREIGN_ANSWER', [undefined]],
  ['BACKEND_UNAVAILABLE', 'BACKEND', [1, 2, 4, 8, 16, 32, 60, 60]],
  ['USER_REJECTED', 'DENIED', [null]],
  ['DEFERRED', 'TIMED_OUT', [5, 10, 20, 40, 80, 160, 240, 240]],
  ['DOWNLOAD_INTEGRITY_FAILED', 'SHA256', [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]],
  ['SECURITY_VALIDATION_FAILED', 'SECURITY', [null]],
  ['SECURITY_VALIDATION_FAILED', 'FORGED_APPROVAL', [10, 20, 40]],
  ['ROLLBACK_COMPLETED', 'SELF_TEST', [null]],
  ['ROLLBACK_COMPLETED', 'BUS', [10, 20, 40, 80, null]],
  ['ROLLBACK_COMPLETED', 'SILENT', [10, 20, 40, 80, null]],
  ['ROLLBACK_COMPLETED', 'UNTRUSTED', [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]],
  ['ROLLBACK_COMPLETED', 'FREEZE', [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]],
  ['ROLLBACK_COMPLETED', 'BACKEND', [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]],
  ['ROLLBACK_COMPLETED', 'DIAGNOSTICS', [null]],
  ['ROLLBACK_COMPLETED', 'RECOVERED', [null]],
  ['ROLLBACK_FAILED', 'BUS', [null]],
  ['USER_REJECTED', 'CANCELLED', [60, 60, 60]],
  ['PRECONDITION_FAILED', 'CONDITION', [1, 2, 4]],
] as const)('%s %s: %j minutes', (outcome, code, expected) => {
  expect(waits(outcome, code, expected.length)).toEqual(expected);
});

it('what the network spoilt does not count against an ECU that falls silent', () => {
  let before: Remembered | undefined;
  const end = (outcome: CampaignResult['outcome'], code: string, n: number) => {
    before = retentionOf(result(`c${n}`, outcome, code), before, NOW, null);
    return before?.notBeforeWallMs;
  };
  for (let n = 0; n < 10; n++) end('DOWNLOAD_INTEGRITY_FAILED', 'DIGEST_MISMATCH', n);
  for (let n = 10; n < 14; n++) expect(end('ROLLBACK_COMPLETED', 'SILENT', n)).not.toBeNull();
  end('DOWNLOAD_INTEGRITY_FAILED', 'DIGEST_MISMATCH', 14);
  expect(end('ROLLBACK_COMPLETED', 'SILENT', 15)).toBeNull();
});

it('the same campaign finished twice counts once', () => {
  const first = retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), undefined, NOW, null);
  expect(retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), first, NOW + 5, null)).toBe(first);
});

it('stands until its time, or for good', () => {
  const bus = retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'BUS'), undefined, NOW, null)!;
  expect([NOW, NOW + 10 * MINUTE].map((wallMs) => stands(bus, at(wallMs)))).toEqual([true, false]);
  const denied = retentionOf(result('c2', 'USER_REJECTED'), undefined, NOW, null)!;
  expect(stands(denied, at(Number.MAX_SAFE_INTEGER))).toBe(true);
});

it('a safe state that ends later counts once, but is told as what it has become', () => {
  const mixed = retentionOf(result('c1', 'ROLLBACK_FAILED', 'BUS'), undefined, NOW, null);
  const end = retentionOf(result('c1', 'ROLLBACK_COMPLETED', 'RECOVERED'), mixed, NOW, null);
  expect(end).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'RECOVERED', count: 1 });
});

it('who cancelled and releases the same once more means it', () => {
  const cancelled = retentionOf(result('c1', 'USER_REJECTED', 'CANCELLED'), undefined, NOW, 'e1')!;
  expect(stands(cancelled, at(NOW, { etag: 'e1' }))).toBe(true);
  expect(stands(cancelled, at(NOW, { etag: 'e2' }))).toBe(false);
  expect(stands(cancelled, at(NOW + 60 * MINUTE, { etag: 'e1' }))).toBe(false);
  const denied = retentionOf(result('c2', 'USER_REJECTED', 'DENIED'), undefined, NOW, 'e1')!;
  expect(stands(denied, at(NOW, { etag: 'e2' }))).toBe(true);
});

it('"at the next ignition off" stands as long as it is on, however long that is', () => {
  const later = retentionOf(
    { ...result('c1', 'DEFERRED', 'LATER'), until: 'ignition-off' },
    undefined,
    NOW,
    null,
  )!;
  expect(stands(later, at(NOW + 48 * 60 * MINUTE, { ignition: 'on' }))).toBe(true);
  expect(stands(later, at(NOW, { ignition: 'off' }))).toBe(false);
  expect(stands(later, at(NOW + 59 * MINUTE))).toBe(true);
  expect(stands(later, at(NOW + 60 * MINUTE))).toBe(false);
});
