// The part of the vehicle file that says when a vehicle may be updated: signals, conditions, policy.

import { z } from 'zod';
import { didId, numberLayout, offset, valueNames } from './layout-schema.ts';
import { UNIT_NAMES } from './quantity.ts';

/** One value that an ECU measures, cut out of a data identifier. Raw value times `scale` plus `add` is the value. */
export const vehicleSignal = z
  .strictObject({
    /** Name of the ECU that answers for it. */
    ecu: z.string(),
    did: didId,
    /** In the data of the DID. */
    offset: offset.default(0),
    ...numberLayout,
    /** Missing: a plain number. */
    unit: z.enum(UNIT_NAMES).optional(),
    values: valueNames.optional(),
    /** Raw value by which the ECU says that it has none (often all bits set). */
    notAvailable: z.number().int().optional(),
  })
  .refine(
    ({ unit, values }) => unit === undefined || values === undefined,
    'a signal has either a unit or named values',
  );

/** What a campaign waits for: before bytes go to ECUs (`stage`) and before the new software starts (`activate`). */
const CONDITION_GATES = ['stage', 'activate'] as const;

export const condition = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected a small letter, then a-z 0-9 -, at most 32'),
  /** Expression over signals, see expression.ts: `speed == 0 and gear == park`. */
  require: z.string().min(1).max(500),
  gates: z
    .array(z.enum(CONDITION_GATES))
    .min(1)
    .default([...CONDITION_GATES]),
  /** What the driver can do about it: `Stop the vehicle.` */
  say: z.string().max(200).default(''),
});

/** `none`: approved by this very policy. */
const approvalPolicy = z.enum(['none', 'ask']);

/** Limits for one kind of failure. */
const retryLimit = z.strictObject({
  /** In all, the first one included. */
  tries: z.number().int().min(1).max(100),
  /** No further try is begun when so much time has passed since the first failure. */
  seconds: z
    .number()
    .nonnegative()
    .max(7 * 86_400),
});

/** The campaign's kinds of failure (src/campaign/retry-policy.ts); what is missing keeps its built-in limit. */
const retry = z.strictObject({
  /** The bus is missing, was lost, or lost a message. */
  bus: retryLimit.optional(),
  /** No answer. */
  silent: retryLimit.optional(),
  /** It asked to wait until the time for that was over. */
  busy: retryLimit.optional(),
  /** The ECU restarted in the middle. */
  restart: retryLimit.optional(),
  /** What arrived is not what was sent. */
  transfer: retryLimit.optional(),
  /** A negative response. */
  refused: retryLimit.optional(),
  /** Keys, signatures and metadata. */
  trust: retryLimit.optional(),
  /** The new software does not start or is not sound. */
  activation: retryLimit.optional(),
  /** The backend cannot be reached, or somebody else answers in its place. */
  network: retryLimit.optional(),
});

export const policy = z.strictObject({
  /** Who is asked before each phase. A forced safety release asks nobody, it only informs. */
  approval: z
    .strictObject({
      download: approvalPolicy.default('none'),
      install: approvalPolicy.default('ask'),
      activate: approvalPolicy.default('none'),
    })
    .prefault({}),
  retry: retry.prefault({}),
  network: z
    .strictObject({
      /** Bytes of images that may be fetched in one day (UTC); null: no limit. */
      bytesPerDay: z.number().int().positive().nullable().default(null),
    })
    .prefault({}),
  /** What new software has to show before it is confirmed. */
  diagnostics: z
    .strictObject({
      /** How long it has to answer without a restart; 0: not watched. */
      heartbeatSeconds: z.number().min(0).max(600).default(2),
      /** `compare`: a trouble code that was not there before the update fails it. */
      troubleCodes: z.enum(['compare', 'ignore']).default('compare'),
    })
    .prefault({}),
});

export type VehicleSignal = z.output<typeof vehicleSignal>;
