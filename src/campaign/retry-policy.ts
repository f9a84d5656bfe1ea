// How often and for how long a step of an ECU is tried again, by kind of failure.

import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { DriverErrorCode, EcuStep } from './ports.ts';

/** Kinds of failure for which a vehicle file can set limits. */
export const FAILURE_KINDS = [
  /** The bus is missing, was lost or has lost a message. */
  'bus',
  /** The ECU does not answer. */
  'silent',
  /** The ECU asked to wait for longer than is allowed. */
  'busy',
  /** The ECU restarted in the middle. */
  'restart',
  /** A response or the received image is wrong. */
  'transfer',
  /** The ECU gave a negative response. */
  'refused',
  /** Keys, signatures or metadata are not valid. */
  'trust',
  /** The new software does not start or fails its checks. */
  'activation',
  /** The backend does not answer, or a proxy answers in its place. */
  'network',
] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];

const KIND_OF: Readonly<Record<DriverErrorCode, FailureKind>> = {
  BUS: 'bus',
  TRANSPORT: 'bus',
  INTERRUPTED: 'bus',
  SILENT: 'silent',
  BUSY: 'busy',
  RESET: 'restart',
  MALFORMED: 'transfer',
  UNEXPECTED: 'transfer',
  IMAGE_INVALID: 'transfer',
  DIGEST_MISMATCH: 'transfer',
  REFUSED: 'refused',
  PRECONDITION: 'refused',
  WRONG_HARDWARE: 'refused',
  IMAGE_TOO_LARGE: 'refused',
  IMAGE_MISPLACED: 'refused',
  NO_PREVIOUS_IMAGE: 'refused',
  SECURITY: 'trust',
  UNTRUSTED: 'trust',
  NOT_STAGED: 'activation',
  SELF_TEST: 'activation',
  VERSION_MISMATCH: 'activation',
  DIAGNOSTICS: 'activation',
  HEARTBEAT: 'activation',
  BACKEND: 'network',
};

export function failureKind(code: DriverErrorCode): FailureKind {
  return KIND_OF[code];
}

const retryLimitSchema = z.strictObject({
  /** Number of tries, including the first. */
  tries: z.number().int().min(1).max(1000),
  /** Time since the first failure, pauses included, after which no further try begins. */
  seconds: z
    .number()
    .nonnegative()
    .max(7 * 86_400),
});
export type RetryLimit = Readonly<z.infer<typeof retryLimitSchema>>;

export const retryPolicySchema = z.strictObject({
  bus: retryLimitSchema,
  silent: retryLimitSchema,
  busy: retryLimitSchema,
  restart: retryLimitSchema,
  transfer: retryLimitSchema,
  refused: retryLimitSchema,
  trust: retryLimitSchema,
  activation: retryLimitSchema,
  network: retryLimitSchema,
} satisfies Record<FailureKind, typeof retryLimitSchema>);
export type RetryPolicy = Readonly<Record<FailureKind, RetryLimit>>;

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  bus: { tries: 5, seconds: 900 },
  silent: { tries: 3, seconds: 900 },
  busy: { tries: 3, seconds: 900 },
  restart: { tries: 3, seconds: 900 },
  // A transfer of some minutes can break near its end: 1800 s leave time for one more.
  transfer: { tries: 3, seconds: 1800 },
  refused: { tries: 3, seconds: 300 },
  trust: { tries: 3, seconds: 300 },
  activation: { tries: 3, seconds: 600 },
  // Each of these tries sends its request four times.
  network: { tries: 3, seconds: 900 },
};

/** The defaults with the changes of a vehicle file (`policy.retry`). Throws InputError for an unknown kind. */
export function retryPolicyOf(changes: Readonly<Record<string, RetryLimit>> = {}): RetryPolicy {
  const unknown = Object.keys(changes).find((kind) => !FAILURE_KINDS.some((k) => k === kind));
  if (unknown !== undefined) {
    throw new InputError(
      `policy.retry.${unknown}`,
      `no kind of failure, expected one of ${FAILURE_KINDS.join(', ')}`,
    );
  }
  return { ...DEFAULT_RETRY_POLICY, ...changes };
}

/** The tries of one step of one ECU: the failed ones, and the progress of the current one. */
export interface Tries {
  readonly failed: number;
  readonly byKind: Readonly<Partial<Record<FailureKind, number>>>;
  /** Time since the first failure during which this process or an earlier one was running. */
  readonly spentMs: number;
  /** Set before the driver sends the first request of this try that can change the ECU. */
  readonly changing?: true;
}

export const NO_TRIES: Tries = { failed: 0, byKind: {}, spentMs: 0 };

export interface Failure {
  readonly code: DriverErrorCode;
  readonly transient: boolean;
  /** Duration of this try with the pause before it. */
  readonly tookMs?: number | undefined;
}

/** Factor for the limits of a rollback: they are doubled because a rollback that gives up leaves a mixed state. */
const WAY_BACK_FACTOR = 2;

/** Adds this failure to the tries, and decides whether another try follows. */
export function afterFailure(
  before: Tries,
  step: EcuStep,
  failure: Failure,
  policy: RetryPolicy,
): { readonly tries: Tries; readonly again: boolean } {
  const kind = failureKind(failure.code);
  const ofKind = (before.byKind[kind] ?? 0) + 1;
  const tries: Tries = {
    failed: before.failed + 1,
    byKind: { ...before.byKind, [kind]: ofKind },
    // Durations of tries are added up, because a clock starts again or jumps with every restart.
    spentMs: before.failed === 0 ? 0 : before.spentMs + Math.max(0, failure.tookMs ?? 0),
  };
  const factor = step === 'roll-back' ? WAY_BACK_FACTOR : 1;
  const limit = policy[kind];
  const again =
    failure.transient &&
    ofKind < limit.tries * factor &&
    tries.spentMs < limit.seconds * 1000 * factor;
  return { tries, again };
}

const LONGEST_PAUSE_MS = 60_000;

/** The pause before the next try; it doubles with each failure. */
export function retryPauseMs(failed: number, firstMs: number): number {
  if (failed === 0) return 0;
  return Math.min(Math.max(LONGEST_PAUSE_MS, firstMs), firstMs * 2 ** Math.min(failed - 1, 30));
}

/** The pause before the next attempt to leave the safe state while the process runs, 1 min to 1 h. */
export function recoveryPauseMs(attempts: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** Math.min(attempts, 10));
}
