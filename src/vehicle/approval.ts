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

/** Lengths in bytes of the fields before the facts. */
const CAMPAIGN_ID_BYTES = 16;
const PLAN_DIGEST_BYTES = 32;
const APPROVAL_NONCE_BYTES = 16;
/** Length of the random bytes in the request for the result: they prevent the replay of an answer after a withdrawal. */
export const APPROVAL_CHALLENGE_BYTES = 16;
const REQUEST_HEAD_BYTES = CAMPAIGN_ID_BYTES + PLAN_DIGEST_BYTES + APPROVAL_NONCE_BYTES;
const MAC_BYTES = 32;
const RESULT_BYTES = 1 + 4 + MAC_BYTES;

/** Longest facts: together with the routine's head they fit into one ISO-TP message of 4095 bytes. */
export const MAX_FACTS_BYTES = 4000;

// A terminal shows the facts: a control character or a change of the writing direction could alter what the driver
// reads.
const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(
      /^[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u,
      'no control characters are allowed here',
    );

/** Phases for which the driver is asked: one campaign may ask up to three times. */
export const APPROVAL_PHASES = ['download', 'install', 'activate'] as const;
export type ApprovalPhase = (typeof APPROVAL_PHASES)[number];

/** The information for the driver before the answer (UNECE R156 7.2.2.1). */
export const approvalFactsSchema = z.object({
  vin: text(17),
  phase: z.enum(APPROVAL_PHASES),
  /** A safety release that cannot be refused: the driver sees it, and it is approved without a question. */
  forced: z.boolean(),
  /** Approved by the vehicle's policy: the driver is informed, not asked. */
  informOnly: z.literal(true).optional(),
  /** Why the update is made. */
  purpose: text(400),
  ecus: z
    .array(
      z.object({
        name: text(16),
        from: text(32),
        to: text(32),
        /** What changes, in the driver's words. */
        changes: text(400),
      }),
    )
    .min(1)
    .max(32),
  durationSeconds: z.number().int().min(0).max(86_400),
  /** What cannot be used during the update. */
  unavailable: z.array(text(80)).max(32),
  /** What the driver has to do, for example park and leave the ignition on. */
  instructions: text(400),
  /** How long the driver can answer. */
  timeoutSeconds: z.number().int().min(1).max(3600),
});
export type ApprovalFacts = z.infer<typeof approvalFactsSchema>;

export interface ApprovalRequest {
  /** 16 bytes; a second request with the same id is the same question. */
  readonly campaignId: Uint8Array;
  /** SHA-256 over the plan, 32 bytes: the driver approves exactly this plan. */
  readonly planDigest: Uint8Array;
  /** 16 random bytes of the TMU: an old answer cannot be replayed. */
  readonly nonce: Uint8Array;
  readonly facts: ApprovalFacts;
}

export const ApprovalStatus = {
  waiting: 0,
  approved: 1,
  later: 2,
  denied: 3,
  timedOut: 4,
  /** Withdrawn by the driver after the approval, or by the TMU (stop routine). */
  withdrawn: 5,
  /** The driver asks for the question again, after "deny", "later" or silence. This approves nothing. */
  askAgain: 6,
} as const;
export type ApprovalStatus = (typeof ApprovalStatus)[keyof typeof ApprovalStatus];

/** Value in place of a time: the driver may be asked again when the ignition was switched off. */
export const UNTIL_IGNITION_OFF = 0xffff_ffff;

export interface ApprovalResult {
  readonly status: ApprovalStatus;
  /**
   * `later`: when the driver may be asked again, in seconds since 1970 or `UNTIL_IGNITION_OFF`; 0 for every other status.
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

/** Decodes the request, or says what is wrong. `wrong-length` and `bad-facts` get different NRCs. */
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

/** The request that a result is bound to: the question as the driver saw it. */
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
 * SHA-256 over the JSON of the facts in the order of the schema: a text that was changed on its way belongs to another
 * question. The time to answer is left out, because a restarted TMU may start it again.
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

/** Undefined for bytes that are not a result. The MAC is not checked here: see `verifyApproval`. */
export function decodeApprovalResult(record: Uint8Array): ApprovalResult | undefined {
  if (record.length !== RESULT_BYTES || byteAt(record, 0) > ApprovalStatus.askAgain)
    return undefined;
  return {
    status: record[0] as ApprovalStatus,
    untilUnixS: bytesToUint(record.subarray(1, 5)),
    mac: record.slice(5),
  };
}

/** True if the holder of the key gave this result to this question, asked with this challenge. */
export function verifyApproval(
  key: Uint8Array,
  binding: ApprovalBinding,
  { status, untilUnixS, mac }: ApprovalResult,
  challenge?: Uint8Array,
): boolean {
  return constantTimeEqual(approvalMac(key, binding, status, untilUnixS, challenge), mac);
}

/** Longest text of routine 0204 in bytes, which tells the driver how an update ended. The text is not authenticated. */
export const MAX_OUTCOME_BYTES = 1000;
const outcomeSchema = text(MAX_OUTCOME_BYTES);

/** Encodes UTF-8; control characters become blanks, and a text that is too long is cut between two characters. */
export function encodeOutcome(outcome: string): Uint8Array {
  const clean = outcome.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ');
  const bytes = new TextEncoder().encode(clean);
  if (bytes.length <= MAX_OUTCOME_BYTES) return bytes;
  let end = MAX_OUTCOME_BYTES;
  // A continuation byte does not begin a character (RFC 3629 3).
  while ((byteAt(bytes, end) & 0xc0) === 0x80) end--;
  return bytes.slice(0, end);
}

/** Decodes the text, or says why it may not be shown. */
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
