// The vehicle description: one strict schema; types and the published JSON schema come from it.

import { z } from 'zod';
import { ecuName } from '../core/names.ts';
import { condition, policy, vehicleSignal } from './condition-schema.ts';
import { address32, byte, hexSecret } from './field-schema.ts';
import { OPENBLT_ADDRESS } from './openblt-schema.ts';
import { programmingSchema } from './programming-schema.ts';
import { securitySchema } from './security/all.ts';
import { ecuCommands, ecuData } from './service-schema.ts';

const identifier = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]+$/)])
  .transform((value) => Number(value))
  .pipe(z.number().int().min(0).max(0x1fffffff));

/** ISO 15765-2 10.3: identifiers and address bytes of the ECU. */
const address = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('normal'),
    request: identifier,
    response: identifier,
    functional: identifier.optional(),
    /** 29 bit identifiers. */
    extended: z.boolean().default(false),
  }),
  z.strictObject({
    mode: z.literal('normal-fixed'),
    ecu: byte,
    tester: byte.default(0xf1),
    functional: byte.default(0x33),
  }),
  z.strictObject({
    mode: z.literal('extended'),
    request: identifier,
    response: identifier,
    functional: identifier.optional(),
    /** Target address byte of functional requests. */
    functionalEcu: byte.default(0xfe),
    extended: z.boolean().default(false),
    ecu: byte,
    tester: byte.default(0xf1),
  }),
  z.strictObject({
    mode: z.literal('mixed'),
    request: identifier,
    response: identifier,
    functional: identifier.optional(),
    extended: z.boolean().default(false),
    extension: byte,
  }),
]);

const timing = z.strictObject({
  /**
   * ISO 14229-2: how long the tester waits for an answer, and after a responsePending. P2client is P2server_max (50 ms)
   * and the time on the way; the rest is a margin for gateways and busy testers.
   */
  p2Ms: z.number().positive().default(500),
  p2StarMs: z.number().positive().default(5000),
  /** Longest total wait while the ECU keeps answering responsePending (an erase takes long). */
  pendingLimitMs: z.number().positive().default(120_000),
  /** Longest total wait while the ECU refuses one request with busyRepeatRequest (NRC 21). */
  busyLimitMs: z.number().positive().default(25_000),
  /** Longest total wait while the ECU answers one segmented message with FC.WAIT; N_Bs counts for each of them. */
  waitLimitMs: z.number().positive().default(25_000),
  /** Longest total wait while the ECU refuses one request with resourceTemporarilyNotAvailable (NRC 94). */
  resourceLimitMs: z.number().positive().default(25_000),
  /** Longest total wait while the ECU refuses SecurityAccess with requiredTimeDelayNotExpired (NRC 37). */
  securityDelayLimitMs: z.number().positive().default(25_000),
  /** Longest total wait for a routine whose status says that it is running. */
  routineLimitMs: z.number().positive().default(120_000),
  /** How long an ECU may take from ECUReset to its first answer. */
  resetMs: z.number().positive().default(10_000),
});

const transport = z.strictObject({
  /** Block size that the tester asks for as receiver; `auto` fits the bus, 0 is no limit. */
  blockSize: z.union([z.literal('auto'), z.number().int().min(0).max(255)]).default('auto'),
  /** Separation time that the tester asks for, as the STmin byte. */
  stMin: byte.default(0),
  /** Least separation of our own consecutive frames, as an STmin byte, whatever the ECU asks for. */
  sendStMin: byte.default(0),
  /** Padding byte; null: no padding (classic CAN). */
  padding: byte.nullable().default(0xcc),
});

const size32 = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]+$/)])
  .transform(Number)
  .pipe(z.number().int().min(1).max(0xffff_ffff));
const powerOfTwo = z
  .number()
  .int()
  .min(1)
  .max(0x10_0000)
  .refine((value) => Number.isInteger(Math.log2(value)), 'expected a power of two');

const memory = z
  .strictObject({
    /** Address of the (inactive) bank in RequestDownload. Missing: that of the first region, or 0x08000000. */
    address: address32.optional(),
    /** Size of one bank in bytes. */
    bankSize: z
      .number()
      .int()
      .positive()
      .max(0xffff_ffff)
      .default(16 * 1024 * 1024),
    banks: z.union([z.literal(1), z.literal(2)]).default(2),
    /** Where segments may lie. Missing: the bank. */
    regions: z
      .array(
        z.strictObject({
          address: address32,
          size: size32,
          /** Sectors that are erased as a whole, bytes: the ranges of the erase are rounded to them. */
          eraseUnit: powerOfTwo.default(1),
        }),
      )
      .min(1)
      .optional(),
    /** What is erased: the ranges of the data, or these, whatever the data are. */
    erase: z
      .union([
        z.literal('data'),
        z.literal('regions'),
        z.array(z.strictObject({ address: address32, size: size32 })).min(1),
      ])
      .default('data'),
    /** What lies between two segments: left alone; filled; filled where it is at most so long. */
    gaps: z
      .union([
        z.literal('keep'),
        z.strictObject({ fill: byte }),
        z.strictObject({ bridge: z.number().int().min(1), fill: byte.default(0xff) }),
      ])
      .default('keep'),
    /** Flash is written in units of so many bytes: ranges and blocks are multiples of it, filled with FF. */
    writeUnit: powerOfTwo.default(1),
  })
  .transform((fields) => ({
    ...fields,
    address: fields.address ?? fields.regions?.[0]?.address ?? 0x0800_0000,
  }));

const ecuFields = {
  name: ecuName,
  /** What DID F191 must answer; an image for other hardware is refused. */
  hardwareId: z.string().min(1).max(32),
  description: z.string().max(80).default(''),
  /** Name of a profile of this package, or a file: its fields lie under those of the ECU. */
  profile: z.string().min(1).optional(),
  /** A name from `buses`; the first one by default. */
  bus: z.string().optional(),
  /** Missing: the identifiers of OpenBLT, for a board that is programmed by it. */
  address: address.optional(),
  /** TX_DL of CAN FD frames to this ECU; false: classic CAN. */
  fd: z
    .union([
      z.literal(false),
      z.strictObject({
        txDl: z
          .union([
            z.literal(8),
            z.literal(12),
            z.literal(16),
            z.literal(20),
            z.literal(24),
            z.literal(32),
            z.literal(48),
            z.literal(64),
          ])
          .default(64),
        brs: z.boolean().default(true),
      }),
    ])
    .default(false),
  timing: timing.prefault({}),
  transport: transport.prefault({}),
  memory: memory.prefault({}),
  security: securitySchema.default({ algorithm: 'none' }),
  /** What the ECU verifies by itself (Uptane 5.4.4): the Director's Targets, or both repositories with all roles. */
  verification: z.enum(['partial', 'full']).default('partial'),
  programming: programmingSchema,
  /** ECUs are activated in rising order. */
  order: z.number().int().default(0),
  /** Names of ECUs that must be activated before this one. */
  dependsOn: z.array(z.string()).default([]),
  /** What the driver cannot use while this ECU is updated, for the approval prompt. */
  unavailable: z.string().max(80).default(''),
  /** The contents of its data identifiers. Without any, every DID may be read, and its meaning is unknown. */
  data: ecuData.default({}),
  /** The commands that the backend may give it. */
  commands: ecuCommands.default({}),
};

export const ecuSchema = z.strictObject(ecuFields).transform((fields, context) => {
  const isBoard = fields.programming.protocol === 'openblt';
  const found = fields.address ?? (isBoard ? OPENBLT_ADDRESS : undefined);
  if (found === undefined) {
    context.issues.push({
      code: 'custom',
      input: fields,
      path: ['address'],
      message:
        'is missing: expected the identifiers that lead to the ECU, such as { mode: normal, request: 0x7E0, response: 0x7E8 }',
    });
    return z.NEVER;
  }
  const { memory } = fields;
  return { ...fields, address: found, memory: isBoard ? { ...memory, banks: 1 as const } : memory };
});

export const vehicleSchema = z.strictObject({
  $schema: z.string().optional(),
  vin: z
    .string()
    .regex(/^[A-HJ-NPR-Z0-9]{17}$/, 'expected 17 characters without I, O and Q (ISO 3779)'),
  /** Buses by name. More than one is refused when the file is loaded, because commands open one bus. */
  buses: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]{0,15}$/),
      z.strictObject({
        /** bit/s of the arbitration phase, and of the data phase of CAN FD frames. */
        bitrate: z.number().int().positive().default(500_000),
        dataBitrate: z.number().int().positive().default(2_000_000),
      }),
    )
    .refine((buses) => Object.keys(buses).length > 0, 'expected at least one bus'),
  /**
   * The ECU that asks the driver, and the key of at least 16 bytes that authenticates its answers. Without a key here the
   * key from the provisioning of that ECU is used.
   */
  approval: z.strictObject({ ecu: z.string(), key: hexSecret.optional() }).optional(),
  ecus: z.array(ecuSchema).min(1),
  /** The signals for conditions, by name. */
  signals: z
    .record(
      z
        .string()
        .regex(/^[a-z][a-zA-Z0-9_]{0,23}$/, 'expected a small letter, then letters and digits'),
      vehicleSignal,
    )
    .default({}),
  /** All of them must hold. */
  conditions: z.array(condition).default([]),
  policy: policy.prefault({}),
});

/** The vehicle with defaults filled in and identifiers as numbers. */
export type Vehicle = z.infer<typeof vehicleSchema>;
export type VehicleEcu = Vehicle['ecus'][number];
export type EcuDatum = VehicleEcu['data'][string];
export type EcuCommand = VehicleEcu['commands'][string];
export type ConditionRule = Vehicle['conditions'][number];
export type ConditionGate = ConditionRule['gates'][number];
