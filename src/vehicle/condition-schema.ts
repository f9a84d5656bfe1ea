// The part of the vehicle file that says when a vehicle may be updated: signals, conditions, policy.

import { z } from 'zod';
import { didId, numberLayout, offset, valueNames } from './layout-schema.ts';
import { UNIT_NAMES } from './quantity.ts';

/** One measured value of an ECU, read from a data identifier. The value is the raw value times `scale` plus `add`. */
export const vehicleSignal = z
  .strictObject({
    /** Name of the ECU that has the value. */
    ecu: z.string(),
    did: didId,
    /** First byte in the data of the DID. */
    offset: offset.default(0),
    ...numberLayout,
    /** Missing: a plain number. */
    unit: z.enum(UNIT_NAMES).optional(),
    values: valueNames.optional(),
    /** Raw value that means "no value" (often all bits set). */
    notAvailable: z.number().int().optional(),
  })
  .refine(
    ({ unit, values }) => unit === undefined || values === undefined,
    'a signal has either a unit or named values',
  );

/** Gates of a campaign: before ECUs are programmed (`stage`) and before the new software starts (`activate`). */
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
  /** What the driver can do to meet the condition: `Stop the vehicle.` */
  say: z.string().max(200).default(''),
});

/** `none`: the policy itself approves. */
const approvalPolicy = z.enum(['none', 'ask']);

/** Limits for one kind of failure. */
const retryLimit = z.strictObject({
  /** Number of tries, the first one included. */
  tries: z.number().int().min(1).max(100),
  /** No further try begins later than this after the first failure. */
  seconds: z
    .number()
    .nonnegative()
    .max(7 * 86_400),
});

/** Limits for the campaign's kinds of failure (src/campaign/retry-policy.ts); missing ones keep the built-in limit. */
const retry = z.strictObject({
  /** The bus is missing, was lost, or lost a message. */
  bus: retryLimit.optional(),
  /** The ECU does not answer. */
  silent: retryLimit.optional(),
  /** The ECU asked to wait until the time for waiting was over. */
  busy: retryLimit.optional(),
  /** The ECU restarted in the middle. */
  restart: retryLimit.optional(),
  /** The received data differ from the sent data. */
  transfer: retryLimit.optional(),
  /** The ECU sent a negative response. */
  refused: retryLimit.optional(),
  /** Keys, signatures or metadata were refused. */
  trust: retryLimit.optional(),
  /** The new software does not start or fails its check. */
  activation: retryLimit.optional(),
  /** The backend cannot be reached, or another server answers in its place. */
  network: retryLimit.optional(),
});

export const policy = z.strictObject({
  /** Phases in which the driver is asked. A forced safety release only informs the driver. */
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
      /** Bytes of images that may be downloaded in one day (UTC); null: no limit. */
      bytesPerDay: z.number().int().positive().nullable().default(null),
    })
    .prefault({}),
  /** Checks of new software before it is confirmed. */
  diagnostics: z
    .strictObject({
      /** How long the software must answer without a restart; 0: not checked. */
      heartbeatSeconds: z.number().min(0).max(600).default(2),
      /** `compare`: a trouble code that did not exist before the update fails it. */
      troubleCodes: z.enum(['compare', 'ignore']).default('compare'),
    })
    .prefault({}),
});

export type VehicleSignal = z.output<typeof vehicleSignal>;
