// Downloads one image into the store: resumed by range, hashed while it arrives, never whole in memory.

import type { Hash } from 'node:crypto';
import type { Backend, DownloadAnswer, Release } from '../campaign/ports.ts';
import { type BackendFailure, DownloadCut } from '../core/backend-failure.ts';
import { describeError } from '../core/errors.ts';
import { StorageError, type StorageFile } from '../core/storage.ts';
import { foreignBeginning } from '../link/foreign-answer.ts';
import { type PaceLimits, PaceWatch } from '../link/pace.ts';
import { type RetryOptions, retrying } from '../link/retry.ts';
import { bulkSha256, hashRange, type VehicleImageStore } from './image-store.ts';
import type { TrafficMeter } from './traffic-meter.ts';

export type DownloadLimits = PaceLimits;

export const DEFAULT_DOWNLOAD_LIMITS: DownloadLimits = { stallMs: 30_000, leastBytes: 8 * 1024 };

export interface DownloadOptions extends RetryOptions {
  readonly backend: Backend;
  readonly images: VehicleImageStore;
  readonly release: Pick<Release, 'file' | 'size' | 'sha256'>;
  readonly limits?: DownloadLimits;
  readonly onProgress?: (received: number) => void;
  /** Missing: the traffic is not counted. */
  readonly traffic?: TrafficMeter;
}

export type DownloadResult =
  | { readonly kind: 'done' }
  /** What arrived is not what the release says, in every attempt. */
  | { readonly kind: 'integrity'; readonly code: string; readonly reason: string }
  | OverBudget
  | BackendFailure
  | { readonly kind: 'interrupted' };

/** The day's budget is used up; the received part is kept. */
interface OverBudget {
  readonly kind: 'over-budget';
  readonly reason: string;
  readonly untilWallMs: number;
}

/**
 * Codes of a complete but wrong file: requested again at once, with a new nonce and from the start, as often as
 * after a network fault.
 */
const SWAPPED = ['LENGTH_MISMATCH', 'TOO_LONG', 'DIGEST_MISMATCH'];

/** Received data is synced in steps of this size, so a power cut loses no more than one step. */
const SYNC_BYTES = 8 * 1024 * 1024;

interface Part {
  readonly file: StorageFile;
  received: number;
  hash: Hash;
  unsynced: number;
}

type Attempt = { readonly kind: 'done' } | OverBudget | BackendFailure;

/**
 * Ends with a finished image in the store, or says why not. Throws StorageError when the disk is full (the
 * received part of this image is then removed) or broken.
 */
export async function downloadImage(options: DownloadOptions): Promise<DownloadResult> {
  const { images, release, signal } = options;
  if (await images.check(release.sha256, release.size, signal)) {
    options.onProgress?.(release.size);
    return { kind: 'done' };
  }
  if (signal.aborted) return { kind: 'interrupted' };
  try {
    return await downloadPart(options);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NO_SPACE') {
      await images.removePart(release.sha256).catch(() => {});
    }
    throw error;
  }
}

async function downloadPart(options: DownloadOptions): Promise<DownloadResult> {
  const { images, release, signal } = options;
  const file = await images.openPart(release.sha256);
  const part: Part = { file, received: 0, hash: bulkSha256(), unsynced: 0 };
  let result: Awaited<ReturnType<typeof retrying<Attempt>>>;
  try {
    const present = await file.size();
    if (present > 0 && present <= release.size) {
      if (await hashRange(file, part.hash, present, signal)) {
        part.received = present;
      }
      if (signal.aborted) return { kind: 'interrupted' };
    }
    if (part.received !== present) await restart(part);
    result = await retrying<Attempt>((inner) => attempt(options, part, inner), options);
    // The part is kept for the next attempt, also when this process is about to end.
    await file.sync();
  } finally {
    await file.close();
  }
  if (result.kind === 'done') await images.finishPart(release.sha256);
  if (result.kind !== 'failed' || !SWAPPED.includes(result.code)) return result;
  if (part.received === 0) await images.removePart(release.sha256);
  return { kind: 'integrity', code: result.code, reason: result.reason };
}

async function attempt(
  options: DownloadOptions,
  part: Part,
  signal: AbortSignal,
): Promise<Attempt> {
  const { backend, release } = options;
  if (part.received < release.size) {
    if (options.traffic?.left === 0) return overBudget(options, part, options.traffic);
    const nonce = await backend.nonce(signal);
    if (nonce.kind === 'failed') return nonce;
    // Ends this attempt's connection, however the attempt ends.
    const attemptEnd = new AbortController();
    const answer = await backend.download(
      release,
      nonce.nonce,
      part.received,
      AbortSignal.any([signal, attemptEnd.signal]),
    );
    try {
      const fault = await receive(options, part, answer);
      if (fault !== undefined) return fault;
    } finally {
      attemptEnd.abort();
    }
  }
  return finish(options, part);
}

async function receive(
  options: DownloadOptions,
  part: Part,
  answer: DownloadAnswer,
): Promise<Attempt | undefined> {
  const { release, onProgress } = options;
  if (answer.kind === 'failed') {
    // 416: the server has nothing behind our offset, so the part that we hold is not from its file.
    if (answer.code === 'HTTP_416' && part.received > 0) await restart(part);
    return answer;
  }
  if (answer.total !== undefined && answer.total !== release.size) {
    return swapped(
      'LENGTH_MISMATCH',
      `the server announces ${answer.total} bytes for ${release.file}, its release says ${release.size}`,
    );
  }
  if (answer.offset !== part.received) {
    if (answer.offset !== 0) {
      return failed(
        'WRONG_RANGE',
        `the server sends from byte ${answer.offset}, but byte ${part.received} was requested`,
      );
    }
    await restart(part); // the server ignored the range: start again
  }
  const watch = new PaceWatch(
    options.clock,
    options.limits ?? DEFAULT_DOWNLOAD_LIMITS,
    answer.chunks,
  );
  try {
    for (;;) {
      const next = await watch.next();
      if (next === 'stalled' || next === 'slow') {
        const { stallMs, leastBytes } = options.limits ?? DEFAULT_DOWNLOAD_LIMITS;
        return failed(
          next === 'stalled' ? 'STALLED' : 'TOO_SLOW',
          `${release.file}: fewer than ${leastBytes} bytes in ${stallMs} ms after ${part.received} of ${release.size} bytes`,
        );
      }
      if (next === undefined) break;
      if (part.received + next.length > release.size) {
        const reason = `${release.file}: more bytes than the ${release.size} of its release`;
        // Without a type and a length, even the page of a captive network gets this far.
        const start = part.received === 0 ? next : await part.file.read(0, 256);
        const isPage = foreignBeginning(start) !== undefined;
        await restart(part);
        onProgress?.(0);
        return isPage ? failed('FOREIGN_ANSWER', reason) : swapped('TOO_LONG', reason);
      }
      const ahead = release.size - part.received;
      const { traffic } = options;
      const count = (await traffic?.take(next.length, ahead)) ?? next.length;
      const kept = next.subarray(0, count);
      await part.file.write(part.received, kept);
      part.hash.update(kept);
      part.received += count;
      part.unsynced += count;
      if (part.unsynced >= SYNC_BYTES) {
        await part.file.sync();
        part.unsynced = 0;
      }
      onProgress?.(part.received);
      if (traffic !== undefined && count < next.length) return overBudget(options, part, traffic);
    }
  } catch (error) {
    if (!(error instanceof DownloadCut)) throw error;
    return failed(
      error.code,
      `${release.file}: cut after ${part.received} of ${release.size} bytes: ${describeError(error)}`,
    );
  } finally {
    watch.close();
  }
  if (part.received === release.size) return undefined;
  return failed(
    'TOO_SHORT',
    `${release.file} ends after ${part.received} bytes, its release says ${release.size}`,
  );
}

async function finish({ release, onProgress }: DownloadOptions, part: Part): Promise<Attempt> {
  const digest = part.hash.copy().digest('hex');
  if (digest === release.sha256) return { kind: 'done' };
  const reason = `${release.file} has SHA-256 ${digest}, its release says ${release.sha256}`;
  await restart(part);
  onProgress?.(0);
  return swapped('DIGEST_MISMATCH', reason);
}

async function restart(part: Part): Promise<void> {
  await part.file.truncate(0);
  part.received = 0;
  part.hash = bulkSha256();
}

function overBudget(
  { release, clock }: DownloadOptions,
  { received }: Part,
  traffic: TrafficMeter,
): OverBudget {
  const untilWallMs = traffic.nextDayWallMs;
  const today = new Date(clock.wallMs()).toISOString().slice(0, 10);
  return {
    kind: 'over-budget',
    reason:
      `the budget of ${traffic.bytesPerDay} bytes for ${today} is used up: ${release.file} has ${received} of ` +
      `${release.size} bytes and continues at ${new Date(untilWallMs).toISOString()}`,
    untilWallMs,
  };
}

/**
 * The last connection may have reached a wrong server and the next one may reach the right one, so a pause does
 * not help.
 */
function swapped(code: (typeof SWAPPED)[number], reason: string): BackendFailure {
  return { ...failed(code, reason), atOnce: true };
}

function failed(code: string, reason: string): BackendFailure {
  return { kind: 'failed', code, reason, transient: true };
}
