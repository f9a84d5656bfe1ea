// The events of a campaign. The journal stores them, so a schema defines their form.

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
/** A commitment or a receipt, 16 bytes; missing for an ECU that gives no proof of its confirmation. */
const evidence = hex16.optional();

const dtcs = z.array(z.string().regex(/^[0-9A-F]{6}$/)).max(1024);

/** Who approved: the driver, or the policy of the vehicle file; `forced` is a safety release without an approval. */
export const APPROVED_BY = ['driver', 'policy', 'forced'] as const;
export type ApprovedBy = (typeof APPROVED_BY)[number];

/** The answer to an approval request. `interrupted` means no answer: the TMU asks again. */
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

/** Limits of one campaign, journaled so that a replay does not depend on the configuration of a later start. */
export const limitsSchema = z.strictObject({
  retry: retryPolicySchema,
  /** Pause before the second try; it doubles with each further try. */
  retryDelayMs: z.number().nonnegative(),
  /** Number of restarts of the process without progress after which the campaign is undone. */
  restartLimit: z.number().int().nonnegative(),
});

export const eventSchema = z.discriminatedUnion('kind', [
  /** It is time to ask the backend. Not journaled, because most polls find no update. */
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
    /** Phases besides `install` that need a separate approval; `install` always does. Missing: none. */
    asks: z.array(z.enum(APPROVAL_PHASES)).optional(),
    /** Limits that the runner fills in from its configuration. Missing: the defaults. */
    limits: limitsSchema.optional(),
  }),
  /**
   * The process started again while the campaign was under way, or tries once more to leave the safe state.
   * An open approval request is sent again with a new nonce.
   */
  z.strictObject({ kind: z.literal('resumed'), nonce: hex16 }),
  /** The campaign is dropped before anything was asked or changed; a new check decides again. */
  z.strictObject({ kind: z.literal('abandoned'), reason }),
  z.strictObject({ kind: z.literal('downloaded'), sha256: sha256Hex }),
  z.strictObject({
    kind: z.literal('download-failed'),
    outcome: z.enum(['DOWNLOAD_INTEGRITY_FAILED', 'BACKEND_UNAVAILABLE', 'DEFERRED']),
    code: z.string(),
    reason,
    /** With DEFERRED: when the network budget, which is used up for today, is available again. */
    untilWallMs: z.number().optional(),
  }),
  /**
   * The answer to the open approval request. `withdrawn` can also come while ECUs are staged: the driver withdraws the
   * approval.
   */
  z.strictObject({
    kind: z.literal('answered'),
    phase: z.enum(APPROVAL_PHASES),
    by: z.enum(APPROVED_BY),
    answer,
  }),
  /** The result of a gate: whether the vehicle's conditions hold and the approval still stands. */
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
  /** A condition of the vehicle no longer holds while ECUs are being updated. */
  z.strictObject({ kind: z.literal('condition-lost'), condition: z.string(), reason }),
  /** The operator cancels the campaign. */
  z.strictObject({ kind: z.literal('cancelled'), order: z.string(), by: z.string(), reason }),
  /** The next request of this step is the first in this try that can change its ECU. */
  z.strictObject({ kind: z.literal('changing'), step: z.enum(['stage', 'activate']), ecu }),
  z.strictObject({
    kind: z.literal('staged'),
    ecu,
    ...transfer,
    /** Bytes that the ECU already held from an earlier try. */
    resumedAt: z.number().nonnegative().optional(),
    /** Trouble codes read before anything was changed. */
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
  /** The ECU has raised its security counter. */
  z.strictObject({ kind: z.literal('committed'), ecu }),
  z.strictObject({
    kind: z.literal('rolled-back'),
    ecu,
    ...reported,
    /** True when there was nothing to roll back. */
    unchanged: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('step-failed'),
    step: z.enum(ECU_STEPS),
    ecu,
    code: z.enum(DRIVER_ERRORS),
    reason,
    transient: z.boolean(),
    /** What this try has changed in the ECU. */
    changed,
    /** Duration of this try with the pause before it; the runner fills it in. */
    tookMs: z.number().nonnegative().optional(),
    attack: z.enum(ATTACKS).optional(),
  }),
  /** The result is stored and reported: the campaign is over. */
  z.strictObject({ kind: z.literal('closed') }),
]);
export type CampaignEvent = z.infer<typeof eventSchema>;
export type EventOf<K extends CampaignEvent['kind']> = Extract<CampaignEvent, { kind: K }>;
