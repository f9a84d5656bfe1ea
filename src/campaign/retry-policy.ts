// How often and how long a step of an ECU is tried again, by kind of failure.

import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { DriverErrorCode, EcuStep } from './ports.ts';

/** Kinds of failure that a vehicle file can give limits for. */
export const FAILURE_KINDS = [
  /** The bus is missing, was lost, or lost a message. */
  'bus',
  /** No answer. */
  'silent',
  /** It asked to wait until the time for that was over. */
  'busy',
  /** The ECU restarted in the middle. */
  'restart',
  /** What came, or what arrived there, is not what it should be. */
  'transfer',
  /** A negative response. */
  'refused',
  /** Keys, signatures and metadata. */
  'trust',
  /** The new software does not start or is not sound. */
  'activation',
  /** The backend cannot be reached, or somebody else answers in its place. */
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
  /** In all, the first one included. */
  tries: z.number().int().min(1).max(1000),
  /** No further try is begun when so much time has passed since the first failure, pauses included. */
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
  // A transfer of some minutes that broke near its end is worth another.
  transfer: { tries: 3, seconds: 1800 },
  refused: { tries: 3, seconds: 300 },
  trust: { tries: 3, seconds: 300 },
  activation: { tries: 3, seconds: 600 },
  // Each of them asks four times.
  network: { tries: 3, seconds: 900 },
};

/** The defaults, with what a vehicle file (`policy.retry`) says otherwise. Throws InputError for an unknown kind. */
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

/** What is known of one step of one ECU while it is under way: its failed tries, and how far this one has come. */
export interface Tries {
  readonly failed: number;
  readonly byKind: Readonly<Partial<Record<FailureKind, number>>>;
  /** ms since the first failure, as far as this process and those before it were running. */
  readonly spentMs: number;
  /** The driver was about to send a request of this try that can change the ECU. */
  readonly changing?: true;
}

export const NO_TRIES: Tries = { failed: 0, byKind: {}, spentMs: 0 };

export interface Failure {
  readonly code: DriverErrorCode;
  readonly transient: boolean;
  /** What this try took, with the pause in front of it. */
  readonly tookMs?: number | undefined;
}

/** Giving up on the way back leaves a mixture: it gets twice of everything. */
const WAY_BACK_FACTOR = 2;

/** The tries with this failure, and whether there is another one. */
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
    // A clock is of no use here: it starts anew, or jumps, with every restart. What the tries took adds up.
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

/** The pause before the next try: it doubles. */
export function retryPauseMs(failed: number, firstMs: number): number {
  if (failed === 0) return 0;
  return Math.min(Math.max(LONGEST_PAUSE_MS, firstMs), firstMs * 2 ** Math.min(failed - 1, 30));
}

/** The safe state is left by a later way back: pauses between its attempts while the process runs, 1 min to 1 h. */
export function recoveryPauseMs(attempts: number): number {
  return Math.min(3_600_000, 60_000 * 2 ** Math.min(attempts, 10));
}
