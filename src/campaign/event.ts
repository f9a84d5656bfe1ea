// What can happen to a campaign. Events are the journal's content, so their form is a schema.

import { z } from 'zod';
import { sha256Hex } from '../core/names.ts';
import { ATTACKS } from '../trust/attack.ts';
import { APPROVAL_PHASES } from '../vehicle/approval.ts';
import { CYCLE_OUTCOMES } from './outcome.ts';
import { planSchema } from './plan.ts';
import { CHANGED, DRIVER_ERRORS, ECU_STEPS } from './ports.ts';
import { retryPolicySchema } from './retry-policy.ts';

const ecu = z.string().min(1).max(16);
const reason = z.string();
const hex16 = z.string().regex(/^[0-9a-f]{32}$/);
const transfer = { bytes: z.number().nonnegative(), seconds: z.number().nonnegative() };
const reported = { version: z.string().nullable(), sha256: sha256Hex.nullable() };

const changed = z.enum(CHANGED);
/** 16 bytes: a commitment or a receipt; missing for an ECU that proves nothing. */
const evidence = hex16.optional();

const dtcs = z.array(z.string().regex(/^[0-9A-F]{6}$/)).max(1024);

/** Who approved: the driver, the policy of the vehicle file in his place, or a forced safety release nobody. */
export const APPROVED_BY = ['driver', 'policy', 'forced'] as const;
export type ApprovedBy = (typeof APPROVED_BY)[number];

/** `interrupted` is no answer: the question comes again. */
const answer = z.union([
  z.strictObject({ kind: z.literal('approved') }),
  z.strictObject({ kind: z.literal('later'), untilWallMs: z.number() }),
  z.strictObject({ kind: z.literal('later'), until: z.literal('ignition-off') }),
  z.strictObject({ kind: z.literal('denied') }),
  z.strictObject({ kind: z.literal('timed-out') }),
  z.strictObject({ kind: z.literal('withdrawn') }),
  z.strictObject({ kind: z.literal('forged'), reason }),
  z.strictObject({ kind: z.literal('unreachable'), reason }),
]);

/** Limits that hold for one campaign: its journal leads to the same state whatever the configuration says later. */
export const limitsSchema = z.strictObject({
  retry: retryPolicySchema,
  /** Wait before the second try; it doubles. */
  retryDelayMs: z.number().nonnegative(),
  /** Restarts of the process without any progress before the campaign is undone. */
  restartLimit: z.number().int().nonnegative(),
});

export const eventSchema = z.discriminatedUnion('kind', [
  /** Time to ask the backend. Not journaled: most polls find nothing. */
  z.strictObject({ kind: z.literal('poll') }),
  /** The check ended without a campaign. Not journaled. */
  z.strictObject({
    kind: z.literal('nothing'),
    outcome: z.enum(CYCLE_OUTCOMES),
    code: z.string().optional(),
    reason: reason.optional(),
  }),
  z.strictObject({
    kind: z.literal('offered'),
    id: hex16,
    nonce: hex16,
    wallMs: z.number(),
    plan: planSchema,
    planDigest: sha256Hex,
    /** Phases whose approval is a step of its own besides `install`, which always is. Missing: none. */
    asks: z.array(z.enum(APPROVAL_PHASES)).optional(),
    /** Filled in by the runner from its configuration. Missing: the defaults. */
    limits: limitsSchema.optional(),
  }),
  /**
   * The process started again while the campaign was under way, or tries once more to lead out of the safe state.
   * An open question is asked under a new nonce.
   */
  z.strictObject({ kind: z.literal('resumed'), nonce: hex16 }),
  /** Nothing was asked or touched yet: the campaign is dropped, a new check decides afresh. */
  z.strictObject({ kind: z.literal('abandoned'), reason }),
  z.strictObject({ kind: z.literal('downloaded'), sha256: sha256Hex }),
  z.strictObject({
    kind: z.literal('download-failed'),
    outcome: z.enum(['DOWNLOAD_INTEGRITY_FAILED', 'BACKEND_UNAVAILABLE', 'DEFERRED']),
    code: z.string(),
    reason,
    /** With DEFERRED: the network budget of the day is used up. */
    untilWallMs: z.number().optional(),
  }),
  /**
   * To the open question. `withdrawn` also while ECUs are staged: the driver takes back what he approved.
   */
  z.strictObject({
    kind: z.literal('answered'),
    phase: z.enum(APPROVAL_PHASES),
    by: z.enum(APPROVED_BY),
    answer,
  }),
  /** The vehicle is (or is not) in a condition to go on, and the approval still stands (or not). */
  z.strictObject({
    kind: z.literal('gate'),
    gate: z.enum(['stage', 'activate']),
    result: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('open') }),
      z.strictObject({
        kind: z.literal('condition'),
        condition: z.string().optional(),
        reason,
      }),
      z.strictObject({ kind: z.literal('withdrawn') }),
      z.strictObject({ kind: z.literal('forged'), reason }),
    ]),
  }),
  /** A condition of the vehicle no longer holds while ECUs are worked on. */
  z.strictObject({ kind: z.literal('condition-lost'), condition: z.string(), reason }),
  /** The operator wants the campaign to end. */
  z.strictObject({ kind: z.literal('cancelled'), order: z.string(), by: z.string(), reason }),
  /** The next request of this step is the first one of this try that can change its ECU. */
  z.strictObject({ kind: z.literal('changing'), step: z.enum(['stage', 'activate']), ecu }),
  z.strictObject({
    kind: z.literal('staged'),
    ecu,
    ...transfer,
    /** bytes that the ECU already held from an earlier try */
    resumedAt: z.number().nonnegative().optional(),
    /** Trouble codes from before anything was touched. */
    dtcs: dtcs.optional(),
    changed,
  }),
  z.strictObject({
    kind: z.literal('activated'),
    ecu,
    ...transfer,
    resumedAt: z.number().nonnegative().optional(),
    changed,
  }),
  z.strictObject({ kind: z.literal('verified'), ecu, ...reported, commitment: evidence }),
  z.strictObject({ kind: z.literal('confirmed'), ecu, receipt: evidence }),
  /** Its security counter is raised. */
  z.strictObject({ kind: z.literal('committed'), ecu }),
  z.strictObject({
    kind: z.literal('rolled-back'),
    ecu,
    ...reported,
    /** There was nothing to take back. */
    unchanged: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('step-failed'),
    step: z.enum(ECU_STEPS),
    ecu,
    code: z.enum(DRIVER_ERRORS),
    reason,
    transient: z.boolean(),
    /** In the ECU, by this try. */
    changed,
    /** This try with the pause in front of it; filled in by the runner. */
    tookMs: z.number().nonnegative().optional(),
    attack: z.enum(ATTACKS).optional(),
  }),
  /** The result is written down and reported: the campaign is over. */
  z.strictObject({ kind: z.literal('closed') }),
]);
export type CampaignEvent = z.infer<typeof eventSchema>;
export type EventOf<K extends CampaignEvent['kind']> = Extract<CampaignEvent, { kind: K }>;
