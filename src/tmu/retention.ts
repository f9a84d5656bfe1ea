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

/** Causes that the network can bring about. They never end a release: the pauses grow up to a day and no further. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  ...(['UNTRUSTED', 'BACKEND'] satisfies DriverErrorCode[]),
  ...ATTACKS,
]);
/** Causes outside the release: the bus, or an ECU that did not answer. All ECUs run their old versions again. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  ...([
    'BUS',
    'TRANSPORT',
    'SILENT',
    'BUSY',
    'RESET',
    // Covers silence, and a TMU that was restarted again and again.
    'HEARTBEAT',
    'INTERRUPTED',
  ] satisfies DriverErrorCode[]),
]);
/** After this many rollbacks an ECU that falls silent with this release is the fault of the release. */
const PASSING_CYCLES = 5;

/** Undefined: nothing to remember; the next poll may try again at once. */
export function retentionOf(
  result: CampaignResult,
  before: Remembered | undefined,
  nowWallMs: number,
  /** ETag of the releases that the backend reported last. */
  etag: string | null,
): Remembered | undefined {
  const { outcome, code, reason, id, until } = result;
  // Finishing may be repeated after a restart: the same campaign counts once, also when its safe state ends later.
  const again = before?.campaign === id;
  if (again && before.outcome === outcome) return before;
  const count = (before?.count ?? 0) + (again ? 0 : 1);
  // Counted separately: earlier faults of the network say nothing about the bus.
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
    // An operator who cancelled and then releases the same set again wants it installed.
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
      // After a fault during a download the next poll continues. After the approval the driver would be asked
      // again each time.
      return code === 'BACKEND' ? nowWallMs + growing(MINUTE_MS, count, HOUR_MS) : undefined;
    case 'DEFERRED':
      // A vehicle without an ignition signal cannot tell when the ignition is off.
      if (until === 'ignition-off') return nowWallMs + HOUR_MS;
      // The time that the driver chose. After a silent timeout, asking every ten seconds would be a nuisance.
      return untilWallMs ?? nowWallMs + growing(5 * MINUTE_MS, count, 4 * HOUR_MS);
    case 'USER_REJECTED':
      return code === 'CANCELLED' ? nowWallMs + HOUR_MS : null;
    case 'DOWNLOAD_INTEGRITY_FAILED':
      // Signatures name the image. An attacker on the network can send another one: that costs time, but never ends
      // the release.
      return nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS);
    case 'PRECONDITION_FAILED':
      return code === 'WRONG_HARDWARE' || code === 'IMAGE_TOO_LARGE' || code === 'IMAGE_MISPLACED'
        ? null
        : nowWallMs + growing(MINUTE_MS, count, HOUR_MS);
    case 'SECURITY_VALIDATION_FAILED':
      // An attacker who forges an answer on the bus or metadata on the network must not be able to end updates for
      // good.
      // A wrong key of ours stays wrong, and every try costs one of the ECU's attempts.
      return code === 'SECURITY'
        ? null
        : nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS);
    case 'ROLLBACK_COMPLETED':
      // A fault of the bus or the network says nothing about the release; a release that failed itself is not
      // tried twice.
      return NETWORK_CODES.has(code ?? '') ||
        (PASSING_CODES.has(code ?? '') && rollbacks < PASSING_CYCLES)
        ? nowWallMs + growing(10 * MINUTE_MS, count, LONGEST_PAUSE_MS)
        : null;
    case 'ROLLBACK_FAILED':
      return null;
  }
}

/** A correct image arrived: pauses after wrong ones start with the shortest again. Undefined: nothing changes. */
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
  /** ETag of the releases that the backend reported last. */
  readonly etag: string | null;
  readonly ignition: 'on' | 'off' | 'unknown';
}

/** Whether the remembered end is still valid. */
export function stands(remembered: Remembered, now: Present): boolean {
  const { notBeforeWallMs, until, etag } = remembered;
  if (etag !== undefined && now.etag !== null && now.etag !== etag) return false;
  if (until === 'ignition-off' && now.ignition !== 'unknown') return now.ignition === 'on';
  return notBeforeWallMs === null || now.wallMs < notBeforeWallMs;
}
