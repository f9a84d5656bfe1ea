// Exit codes of the ends of a cycle, and the kind that each failure of a driver belongs to: scripts and vehicle files rely on both.

import { expect, it } from 'vitest';
import { CYCLE_OUTCOMES, outcomeExitCode } from '../../src/campaign/outcome.ts';
import { DRIVER_ERRORS } from '../../src/campaign/ports.ts';
import {
  DEFAULT_RETRY_POLICY,
  failureKind,
  retryPolicySchema,
} from '../../src/campaign/retry-policy.ts';

it('every outcome has the exit code that README says', () => {
  const codes = CYCLE_OUTCOMES.map((outcome) => [outcome, outcomeExitCode(outcome)]);
  expect(Object.fromEntries(codes)).toEqual({
    SUCCESS: 0,
    UP_TO_DATE: 5,
    USER_REJECTED: 3,
    DEFERRED: 4,
    DOWNLOAD_INTEGRITY_FAILED: 6,
    SECURITY_VALIDATION_FAILED: 7,
    PRECONDITION_FAILED: 8,
    ROLLBACK_COMPLETED: 9,
    ROLLBACK_FAILED: 10,
    BACKEND_UNAVAILABLE: 11,
    INTERRUPTED: 143,
  });
});

it('every failure has the kind whose limits are meant for it', () => {
  const kinds = DRIVER_ERRORS.map((code) => [code, failureKind(code)]);
  expect(Object.fromEntries(kinds)).toEqual({
    BUS: 'bus',
    TRANSPORT: 'bus',
    INTERRUPTED: 'bus',
    SILENT: 'silent',
    BUSY: 'busy',
    RESET: 'restart',
    MALFORMED: 'transfer',
    UNEXPECTED: 'transfer',
    IMAGE_INVALID: 'transfer',
    IMAGE_MISPLACED: 'refused',
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
  });
});

it.each([
  [{ tries: 0, seconds: 1 }, false],
  [{ tries: 1, seconds: 0 }, true],
  [{ tries: 1000, seconds: 604_800 }, true],
  [{ tries: 1001, seconds: 1 }, false],
  [{ tries: 1, seconds: 604_801 }, false],
])('the limits %o of a kind are taken: %s', (silent, isTaken) => {
  expect(retryPolicySchema.safeParse({ ...DEFAULT_RETRY_POLICY, silent }).success).toBe(isTaken);
});
