// What can happen to a campaign. Events are the journal's content, so their form is a schema.

import { z } from 'zod';
import { ATTACKS } from '../trust/attack.ts';
import { CYCLE_OUTCOMES } from './outcome.ts';
import { planSchema, sha256Hex } from './plan.ts';
import { DRIVER_ERRORS } from './ports.ts';

const ecu = z.string().min(1).max(16);
const reason = z.string();
const hex16 = z.string().regex(/^[0-9a-f]{32}$/);
const transfer = { bytes: z.number().nonnegative(), seconds: z.number().nonnegative() };
const reported = { version: z.string().nullable(), sha256: sha256Hex.nullable() };

/** The steps of one ECU. */
export const ECU_STEPS = ['stage', 'activate', 'verify', 'confirm', 'roll-back'] as const;
export type EcuStep = (typeof ECU_STEPS)[number];

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
  }),
  /** The process started again while the campaign was under way. An open question is asked under a new nonce. */
  z.strictObject({ kind: z.literal('resumed'), nonce: hex16 }),
  /** Nothing was asked or touched yet: the campaign is dropped, a new check decides afresh. */
  z.strictObject({ kind: z.literal('abandoned'), reason }),
  z.strictObject({ kind: z.literal('downloaded'), sha256: sha256Hex }),
  z.strictObject({
    kind: z.literal('download-failed'),
    outcome: z.enum(['DOWNLOAD_INTEGRITY_FAILED', 'BACKEND_UNAVAILABLE']),
    code: z.string(),
    reason,
  }),
  z.strictObject({
    kind: z.literal('answered'),
    answer: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('approved') }),
      z.strictObject({ kind: z.literal('later'), untilWallMs: z.number() }),
      z.strictObject({ kind: z.literal('denied') }),
      z.strictObject({ kind: z.literal('timed-out') }),
      z.strictObject({ kind: z.literal('withdrawn') }),
      z.strictObject({ kind: z.literal('forged'), reason }),
      z.strictObject({ kind: z.literal('unreachable'), reason }),
    ]),
  }),
  /** The vehicle is (or is not) in a condition to go on, and the approval still stands (or not). */
  z.strictObject({
    kind: z.literal('gate'),
    gate: z.enum(['stage', 'activate']),
    result: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('open') }),
      z.strictObject({ kind: z.literal('condition'), reason }),
      z.strictObject({ kind: z.literal('withdrawn') }),
      z.strictObject({ kind: z.literal('forged'), reason }),
    ]),
  }),
  z.strictObject({ kind: z.literal('staged'), ecu, ...transfer }),
  z.strictObject({ kind: z.literal('activated'), ecu, ...transfer }),
  z.strictObject({ kind: z.literal('verified'), ecu, ...reported }),
  z.strictObject({ kind: z.literal('confirmed'), ecu }),
  z.strictObject({ kind: z.literal('rolled-back'), ecu, ...reported }),
  z.strictObject({
    kind: z.literal('step-failed'),
    step: z.enum(ECU_STEPS),
    ecu,
    code: z.enum(DRIVER_ERRORS),
    reason,
    transient: z.boolean(),
    attack: z.enum(ATTACKS).optional(),
  }),
  /** The result is written down and reported: the campaign is over. */
  z.strictObject({ kind: z.literal('closed') }),
]);
export type CampaignEvent = z.infer<typeof eventSchema>;
export type EventOf<K extends CampaignEvent['kind']> = Extract<CampaignEvent, { kind: K }>;
