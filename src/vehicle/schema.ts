// The vehicle description: one strict schema; types and the published JSON schema come from it.

import { z } from 'zod';
import { ecuName } from '../core/names.ts';
import { condition, policy, vehicleSignal } from './condition-schema.ts';
import { byte, hexSecret } from './field-schema.ts';
import { routineId } from './layout-schema.ts';
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
  /** How long an ECU may take from ECUReset to its first answer. */
  resetMs: z.number().positive().default(10_000),
});

const transport = z.strictObject({
  /** Block size that the tester asks for as receiver; `auto` fits the bus, 0 is no limit. */
  blockSize: z.union([z.literal('auto'), z.number().int().min(0).max(255)]).default('auto'),
  /** Separation time that the tester asks for, as the STmin byte. */
  stMin: byte.default(0),
  /** Padding byte; null: no padding (classic CAN). */
  padding: byte.nullable().default(0xcc),
});

/** `try`: the step is left out if the ECU does not know its service, sub-function, routine or identifier. */
const step = z.enum(['required', 'try', 'skip']);

const programming = z.strictObject({
  /** Pause after the positive answer to 10 02, for an ECU that restarts into its bootloader and is silent meanwhile. */
  sessionPauseMs: z.number().min(0).default(0),
  identify: step.default('required'),
  controlDtcSetting: step.default('required'),
  communicationControl: step.default('required'),
  preconditions: step.default('required'),
  preconditionsRoutine: routineId.default(0x0203),
  fingerprint: step.default('required'),
  /** Signed metadata by RequestFileTransfer (38) before the erase. */
  metadata: step.default('required'),
  erase: step.default('required'),
  eraseRoutine: routineId.default(0xff00),
  /** `address-length`: one addressAndLengthFormatIdentifier, address and length follow the routine id. */
  eraseArguments: z.enum(['address-length', 'none']).default('address-length'),
  eraseWhen: z
    .enum(['before-request-download', 'after-request-download'])
    .default('before-request-download'),
  checkMemory: step.default('required'),
  checkMemoryRoutine: routineId.default(0x0202),
  /** Argument of the routine: digest of the image or nothing. */
  checkMemoryArgument: z.enum(['sha256', 'crc32', 'none']).default('sha256'),
  dependencies: step.default('required'),
  dependenciesRoutine: routineId.default(0xff01),
  /** `bank`: routines 0210 to 0212 and FD00. `reset`: one bank, the reset runs the new image at once. */
  activation: z.enum(['bank', 'reset']).default('bank'),
  /** Upper limit for the ECU's maxNumberOfBlockLength. */
  maxBlockLength: z.number().int().min(3).max(0xffff_ffff).default(0xfff),
});

/** Presets: `can-ota` is the bootloader of this project, `standard` any ECU that speaks ISO 14229. */
export const STANDARD_PROGRAMMING = {
  identify: 'try',
  controlDtcSetting: 'try',
  communicationControl: 'try',
  preconditions: 'try',
  fingerprint: 'try',
  metadata: 'skip',
  erase: 'try',
  checkMemory: 'try',
  dependencies: 'try',
  activation: 'reset',
} as const;

const memory = z.strictObject({
  /** Address of the (inactive) bank in RequestDownload. */
  address: z
    .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]+$/)])
    .transform(Number)
    .pipe(z.number().int().min(0).max(0xffff_ffff))
    .default(0x0800_0000),
  /** Size of one bank in bytes. */
  bankSize: z
    .number()
    .int()
    .positive()
    .max(0xffff_ffff)
    .default(16 * 1024 * 1024),
  banks: z.union([z.literal(1), z.literal(2)]).default(2),
});

const ecuFields = {
  name: ecuName,
  /** What DID F191 must answer; an image for other hardware is refused. */
  hardwareId: z.string().min(1).max(32),
  description: z.string().max(80).default(''),
  /** A name from `buses`; the first one by default. */
  bus: z.string().optional(),
  address,
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
  programming: z
    .union([z.literal('can-ota'), z.literal('standard'), programming])
    .default('can-ota')
    .transform((value) =>
      value === 'can-ota'
        ? programming.parse({})
        : value === 'standard'
          ? programming.parse(STANDARD_PROGRAMMING)
          : value,
    ),
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

export const ecuSchema = z.strictObject(ecuFields);

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
export type EcuProgramming = VehicleEcu['programming'];
export type EcuDatum = VehicleEcu['data'][string];
export type EcuCommand = VehicleEcu['commands'][string];
export type ConditionRule = Vehicle['conditions'][number];
export type ConditionGate = ConditionRule['gates'][number];
export type ProgrammingStepPolicy = z.infer<typeof step>;
