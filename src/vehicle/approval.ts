// Wire format of the driver's approval, RoutineControl 0x0200 on the CGW: codec and authentication. No I/O.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import {
  asciiBytes,
  byteAt,
  bytesToUint,
  concatBytes,
  constantTimeEqual,
  uintToBytes,
} from '../core/bytes.ts';
import { firstIssue } from '../core/schema-issue.ts';

/** Bytes of the fields in front of the facts. */
const CAMPAIGN_ID_BYTES = 16;
const PLAN_DIGEST_BYTES = 32;
const APPROVAL_NONCE_BYTES = 16;
/** Fresh bytes in the request for the result: without them an earlier answer could be repeated after a withdrawal. */
export const APPROVAL_CHALLENGE_BYTES = 16;
const REQUEST_HEAD_BYTES = CAMPAIGN_ID_BYTES + PLAN_DIGEST_BYTES + APPROVAL_NONCE_BYTES;
const MAC_BYTES = 32;
const RESULT_BYTES = 1 + 4 + MAC_BYTES;

/** Fits into one ISO-TP message of 4095 bytes together with the routine's head. */
export const MAX_FACTS_BYTES = 4000;

// The facts end on a terminal: a control character could redraw what the driver reads, and so could the
// characters that turn the writing direction around.
const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(
      /^[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u,
      'no control characters are allowed here',
    );

/** What the driver is asked for: the same campaign may ask up to three times. */
export const APPROVAL_PHASES = ['download', 'install', 'activate'] as const;
export type ApprovalPhase = (typeof APPROVAL_PHASES)[number];

/** What the driver is told before he answers (UNECE R156 7.2.2.1). */
export const approvalFactsSchema = z.object({
  vin: text(17),
  phase: z.enum(APPROVAL_PHASES),
  /** A safety release that cannot be refused: it is shown, and approved without a question. */
  forced: z.boolean(),
  /** Approved by the vehicle's policy: the driver is told, not asked. */
  informOnly: z.literal(true).optional(),
  /** Why the update is made. */
  purpose: text(400),
  ecus: z
    .array(
      z.object({
        name: text(16),
        from: text(32),
        to: text(32),
        /** What is different afterwards, in the driver's words. */
        changes: text(400),
      }),
    )
    .min(1)
    .max(32),
  durationSeconds: z.number().int().min(0).max(86_400),
  /** What cannot be used meanwhile. */
  unavailable: z.array(text(80)).max(32),
  /** What the driver has to do, for instance park and leave the ignition on. */
  instructions: text(400),
  /** How long the question stays open. */
  timeoutSeconds: z.number().int().min(1).max(3600),
});
export type ApprovalFacts = z.infer<typeof approvalFactsSchema>;

export interface ApprovalRequest {
  /** 16 bytes; the same id asked again is the same question. */
  readonly campaignId: Uint8Array;
  /** SHA-256 over the plan, 32 bytes: what exactly is approved. */
  readonly planDigest: Uint8Array;
  /** 16 fresh bytes of the TMU: an old answer cannot be replayed. */
  readonly nonce: Uint8Array;
  readonly facts: ApprovalFacts;
}

export const ApprovalStatus = {
  waiting: 0,
  approved: 1,
  later: 2,
  denied: 3,
  timedOut: 4,
  /** By the driver after he had approved, or by the TMU (stop routine). */
  withdrawn: 5,
  /** The driver wants to be asked again, after "deny", "later" or silence. It approves nothing. */
  askAgain: 6,
} as const;
export type ApprovalStatus = (typeof ApprovalStatus)[keyof typeof ApprovalStatus];

/** In the place of a time: later, when the ignition was switched off. */
export const UNTIL_IGNITION_OFF = 0xffff_ffff;

export interface ApprovalResult {
  readonly status: ApprovalStatus;
  /**
   * `later`: when the driver may be asked again, seconds since 1970 or `UNTIL_IGNITION_OFF`; 0 for every other status.
   */
  readonly untilUnixS: number;
  /** HMAC-SHA256, 32 bytes. */
  readonly mac: Uint8Array;
}

/**
 * Option record of the start request: campaign id, plan digest, nonce, facts as UTF-8 JSON.
 * Throws RangeError when a field has the wrong length, ZodError when the facts break their schema.
 */
export function encodeApprovalRequest(request: ApprovalRequest): Uint8Array {
  needLength('campaignId', request.campaignId, CAMPAIGN_ID_BYTES);
  needLength('planDigest', request.planDigest, PLAN_DIGEST_BYTES);
  needLength('nonce', request.nonce, APPROVAL_NONCE_BYTES);
  const facts = new TextEncoder().encode(JSON.stringify(approvalFactsSchema.parse(request.facts)));
  if (facts.length > MAX_FACTS_BYTES) {
    throw new RangeError(
      `the facts for the driver take ${facts.length} bytes, at most ${MAX_FACTS_BYTES} are possible: shorten the release notes`,
    );
  }
  return concatBytes(request.campaignId, request.planDigest, request.nonce, facts);
}

/** The request, or why the bytes are none. `wrong-length` and `bad-facts` get different NRCs. */
export function decodeApprovalRequest(
  record: Uint8Array,
): ApprovalRequest | { readonly fault: 'wrong-length' | 'bad-facts'; readonly reason: string } {
  if (record.length <= REQUEST_HEAD_BYTES || record.length > REQUEST_HEAD_BYTES + MAX_FACTS_BYTES) {
    return { fault: 'wrong-length', reason: `${record.length} bytes` };
  }
  const digestAt = CAMPAIGN_ID_BYTES;
  const nonceAt = digestAt + PLAN_DIGEST_BYTES;
  let json: unknown;
  try {
    json = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(record.subarray(REQUEST_HEAD_BYTES)),
    );
  } catch (error) {
    return { fault: 'bad-facts', reason: (error as Error).message };
  }
  const facts = approvalFactsSchema.safeParse(json);
  if (!facts.success) {
    const issue = firstIssue(facts.error);
    return { fault: 'bad-facts', reason: `${issue.path.join('.')}: ${issue.message}` };
  }
  return {
    campaignId: record.slice(0, digestAt),
    planDigest: record.slice(digestAt, nonceAt),
    nonce: record.slice(nonceAt, REQUEST_HEAD_BYTES),
    facts: facts.data,
  };
}

/** What a result is bound to: the question as the driver saw it. */
export type ApprovalBinding = ApprovalRequest;

const NO_CHALLENGE = new Uint8Array();

/**
 * HMAC-SHA256(key, "can-ota approval v1" ‖ campaign id ‖ plan digest ‖ nonce ‖ facts digest ‖ status ‖ until ‖
 * challenge).
 */
export function approvalMac(
  key: Uint8Array,
  binding: ApprovalBinding,
  status: number,
  untilUnixS: number,
  challenge: Uint8Array = NO_CHALLENGE,
): Uint8Array {
  return hmac(
    sha256,
    key,
    concatBytes(
      asciiBytes('can-ota approval v1'),
      binding.campaignId,
      binding.planDigest,
      binding.nonce,
      factsDigest(binding.facts),
      Uint8Array.of(status),
      uintToBytes(untilUnixS, 4),
      challenge,
    ),
  );
}

/**
 * SHA-256 over the JSON of the facts as the schema orders it: whoever changes the text on its way has the driver
 * approve another question. Not over the time to think, which a restarted TMU may count anew.
 */
function factsDigest(facts: ApprovalFacts): Uint8Array {
  const shown = { ...approvalFactsSchema.parse(facts), timeoutSeconds: 0 };
  return sha256(new TextEncoder().encode(JSON.stringify(shown)));
}

/** Status record of the results response: status, until (u32), MAC; 37 bytes. */
export function encodeApprovalResult(
  key: Uint8Array,
  binding: ApprovalBinding,
  status: ApprovalStatus,
  untilUnixS: number,
  challenge?: Uint8Array,
): Uint8Array {
  return concatBytes(
    Uint8Array.of(status),
    uintToBytes(untilUnixS, 4),
    approvalMac(key, binding, status, untilUnixS, challenge),
  );
}

/** Undefined when the bytes are no result. The MAC is not checked here: see `verifyApproval`. */
export function decodeApprovalResult(record: Uint8Array): ApprovalResult | undefined {
  if (record.length !== RESULT_BYTES || byteAt(record, 0) > ApprovalStatus.askAgain)
    return undefined;
  return {
    status: record[0] as ApprovalStatus,
    untilUnixS: bytesToUint(record.subarray(1, 5)),
    mac: record.slice(5),
  };
}

/** True when the holder of the key gave exactly this result to exactly this question, asked with this challenge. */
export function verifyApproval(
  key: Uint8Array,
  binding: ApprovalBinding,
  { status, untilUnixS, mac }: ApprovalResult,
  challenge?: Uint8Array,
): boolean {
  return constantTimeEqual(approvalMac(key, binding, status, untilUnixS, challenge), mac);
}

/** Bytes of the text of routine 0204, which tells the driver how an update ended. Nobody authenticates it. */
export const MAX_OUTCOME_BYTES = 1000;
const outcomeSchema = text(MAX_OUTCOME_BYTES);

/** UTF-8; control characters become blanks, and what is too long is cut between two characters. */
export function encodeOutcome(outcome: string): Uint8Array {
  const clean = outcome.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ');
  const bytes = new TextEncoder().encode(clean);
  if (bytes.length <= MAX_OUTCOME_BYTES) return bytes;
  let end = MAX_OUTCOME_BYTES;
  // A continuation byte begins no character (RFC 3629 3).
  while ((byteAt(bytes, end) & 0xc0) === 0x80) end--;
  return bytes.slice(0, end);
}

/** The text, or why the bytes are none that may be shown. */
export function decodeOutcome(
  record: Uint8Array,
): { readonly text: string } | { readonly fault: 'wrong-length' | 'bad-text' } {
  if (record.length === 0 || record.length > MAX_OUTCOME_BYTES) return { fault: 'wrong-length' };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(record);
    return outcomeSchema.safeParse(text).success ? { text } : { fault: 'bad-text' };
  } catch {
    return { fault: 'bad-text' };
  }
}

function needLength(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new RangeError(`${name} has ${bytes.length} bytes, expected ${length}`);
  }
}
