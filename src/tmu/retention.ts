// How long the end of a campaign is remembered: when the same set of releases may be tried again.

import { planTargetsKey } from '../campaign/plan.ts';
import type { DriverErrorCode } from '../campaign/ports.ts';
import type { CampaignResult } from '../campaign/state.ts';
import { defined } from '../core/optional.ts';
import { ATTACKS } from '../trust/attack.ts';
import type { Remembered } from './memory.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LONGEST_PAUSE_MS = 24 * HOUR_MS;

/** Causes that the network can bring about, so they end nothing: the pauses grow up to a day and no further. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  ...(['UNTRUSTED', 'BACKEND'] satisfies DriverErrorCode[]),
  ...ATTACKS,
]);
/** Causes outside of the release: the bus, or an ECU that did not answer. Everything is back on the old versions. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  ...([
    'BUS',
    'TRANSPORT',
    'SILENT',
    'BUSY',
    'RESET',
    // Silence, too, and a TMU that was restarted again and again.
    'HEARTBEAT',
    'INTERRUPTED',
  ] satisfies DriverErrorCode[]),
]);
/** An ECU that falls silent each time it gets this release is the release's fault after all. */
const PASSING_CYCLES = 5;

/** Undefined: nothing to remember, the next poll may try again at once. */
export function retentionOf(
  result: CampaignResult,
  before: Remembered | undefined,
  nowWallMs: number,
  /** Of the releases that the backend told last. */
  etag: string | null,
): Remembered | undefined {
  const { outcome, code, reason, id, until } = result;
  // Finishing may be repeated after a restart: the same campaign counts once, also when its safe state ends later.
  const again = before?.campaign === id;
  if (again && before.outcome === outcome) return before;
  const count = (before?.count ?? 0) + (again ? 0 : 1);
  // Counted by itself: what the network spoilt before says nothing about the bus.
  const isPassing = outcome === 'ROLLBACK_COMPLETED' && PASSING_CODES.has(code ?? '');
  const rollbacks = (before?.rollbacks ?? 0) + (isPassing && !again ? 1 : 0);
  const notBeforeWallMs = notBefore(result, { count, rollbacks }, nowWallMs);
  if (notBeforeWallMs === undefined) return undefined;
  return {
    key: planTargetsKey(result.plan),
    outcome,
    ...defined({ code, reason }),
    campaign: id,
    count,
    ...(rollbacks === 0 ? {} : { rollbacks }),
    notBeforeWallMs,
    ...defined({ until }),
    releases: result.plan.items.map(({ ecu, to }) => ({ ecu, version: to.version })),
    atWallMs: nowWallMs,
    // Whoever cancelled and then releases the same once more means it.
    ...(code === 'CANCELLED' && etag !== null ? { etag } : {}),
  };
}

function notBefore(
  { outcome, code, until, untilWallMs }: CampaignResult,
  { count, rollbacks }: { readonly count: number; readonly rollbacks: number },
  nowWallMs: number,
): number | null | undefined {
  switch (outcome) {
    case 'SUCCESS':
    case 'UP_TO_DATE':
    case 'INTERRUPTED':
      return undefined;
    case 'BACKEND_UNAVAILABLE':
      // During a download the next poll goes on. After the approval the driver would be asked again each time.
      return code === 'BACKEND' ? nowWallMs + growing(MINUTE_MS, count, HOUR_MS) : undefined;
    case 'DEFERRED':
      // A vehicle without an ignition signal cannot tell when it is off.
      if (until === 'ignition-off') return nowWallMs + HOUR_MS;
      // The driver's own time; or nobody answered, and asking every ten seconds would be a nuisance.
      return untilWallMs ?? nowWallMs + growing(5 * MINUTE_MS, count, 4 * HOUR_MS);
    case 'USER_REJECTED':
      return code === 'CANCELLED' ? nowWallMs + HOUR_MS : null;
    case 'DOWNLOAD_INTEGRITY_FAILED':
      // Signatures name the image. An attacker on the way can send another one: that costs time, never the release.
      return nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS);
    case 'PRECONDITION_FAILED':
      return code === 'WRONG_HARDWARE' || code === 'IMAGE_TOO_LARGE'
        ? null
        : nowWallMs + growing(MINUTE_MS, count, HOUR_MS);
    case 'SECURITY_VALIDATION_FAILED':
      // Whoever forges an answer on the bus, or metadata on the network, must not be able to end updates for good.
      // A wrong key of ours does not get better by itself, and every try costs one of the ECU's attempts.
      return code === 'SECURITY'
        ? null
        : nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS);
    case 'ROLLBACK_COMPLETED':
      // A bus or a network that failed says nothing about the release; the release itself is not tried twice.
      return NETWORK_CODES.has(code ?? '') ||
        (PASSING_CODES.has(code ?? '') && rollbacks < PASSING_CYCLES)
        ? nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS)
        : null;
    case 'ROLLBACK_FAILED':
      return null;
  }
}

/** A right image came: pauses after wrong ones begin with the shortest again. Undefined: nothing changes. */
export function renewed(remembered: Remembered | undefined): Remembered | undefined {
  if (remembered?.outcome !== 'DOWNLOAD_INTEGRITY_FAILED' || remembered.count === 0)
    return undefined;
  return { ...remembered, count: 0 };
}

function growing(firstMs: number, count: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(count - 1, 20));
}

export interface Present {
  readonly wallMs: number;
  /** Of the releases that the backend told last. */
  readonly etag: string | null;
  readonly ignition: 'on' | 'off' | 'unknown';
}

/** Whether what is remembered still stands. */
export function stands(remembered: Remembered, now: Present): boolean {
  const { notBeforeWallMs, until, etag } = remembered;
  if (etag !== undefined && now.etag !== null && now.etag !== etag) return false;
  if (until === 'ignition-off' && now.ignition !== 'unknown') return now.ignition === 'on';
  return notBeforeWallMs === null || now.wallMs < notBeforeWallMs;
}
