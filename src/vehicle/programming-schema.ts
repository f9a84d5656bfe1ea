// How one ECU is programmed: which steps, in which order, with which identifiers and arguments (ISO 14229-1 clause 16).

import { z } from 'zod';
import { byteTemplate, type TemplateNames } from './byte-template.ts';
import { address32, byte } from './field-schema.ts';
import { didId, routineId } from './layout-schema.ts';
import { OPENBLT_PROGRAMMING, openbltSchema } from './openblt-schema.ts';

/** `try` goes on when the ECU answers that it does not know the service, sub-function, routine or identifier. */
const step = z.enum(['required', 'try', 'skip']);

/** What arguments may name of one range of memory. `end`: its last address. */
export const RANGE: TemplateNames = { numbers: ['address', 'size', 'end'], bytes: [] };
export const CHECKED: TemplateNames = { numbers: [...RANGE.numbers, 'crc32'], bytes: ['sha256'] };
export const DATED: TemplateNames = { numbers: [], bytes: ['date', 'tester'] };
export const CALLED: TemplateNames = { numbers: ['call'], bytes: [] };

/** First byte of a routine's status record, which makers count differently. */
function routineStatus(running: readonly number[]) {
  return z
    .strictObject({
      /** Place of the status in what follows the routine identifier; an answer without it is a success. */
      offset: z.number().int().min(0).max(255).default(0),
      done: z.array(byte).min(1).default([0]),
      running: z.array(byte).default([...running]),
      /** Done, once it has said that it is running. */
      finished: z.array(byte).min(1).default([0, 2]),
      /** `results`: 31 03; `start`: the same request once more. */
      askBy: z.enum(['results', 'start']).default('results'),
      everyMs: z.number().positive().default(250),
    })
    .prefault({});
}

/** The steps that a sequence may name. Identification comes before all of them, restoring the bus behind. */
const STEP_NAMES = [
  'extendedSession',
  'controlDtcSetting',
  'communicationControl',
  'preconditions',
  'programmingSession',
  'security',
  'fingerprint',
  'metadata',
  'secondBootLoader',
  'transfer',
  'checkMemory',
  'dependencies',
] as const;
export type StepName = (typeof STEP_NAMES)[number];

/** A request that only this make knows. */
const ownRequest = z.strictObject({
  send: byteTemplate(DATED).refine((template) => template.trim() !== '', 'expected a request'),
  policy: step.exclude(['skip']).default('required'),
});

/** A program that the ECU runs from its RAM in the place of its own bootloader. */
const secondBootLoader = z.strictObject({
  /** Relative to the vehicle file. */
  file: z.string().min(1),
  startRoutine: routineId.default(0x0301),
  startArguments: byteTemplate(CALLED).default('{call}'),
  /** Missing: the start address of the file. */
  call: address32.optional(),
});

const sequence = z
  .array(z.union([z.enum(STEP_NAMES), ownRequest]))
  .default([...STEP_NAMES])
  .superRefine((entries, context) => {
    const names = entries.filter((entry) => typeof entry === 'string');
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) context.addIssue(`${twice} stands there twice`);
    for (const [first, then] of [
      ['programmingSession', 'transfer'],
      ['metadata', 'transfer'],
      ['secondBootLoader', 'transfer'],
      ['transfer', 'checkMemory'],
      ['transfer', 'dependencies'],
    ] as const) {
      const [at, behind] = [names.indexOf(first), names.indexOf(then)];
      if (at !== -1 && behind !== -1 && at > behind) {
        context.addIssue(`expected ${first} before ${then}`);
      }
    }
    for (const needed of ['programmingSession', 'transfer'] as const) {
      if (!names.includes(needed))
        context.addIssue(`expected ${needed}, without which nothing is programmed`);
    }
  });

const programmingFields = z.strictObject({
  /** `openblt`: XCP on CAN; the fields of UDS are not used. */
  protocol: z.enum(['uds', 'openblt']).default('uds'),
  openblt: openbltSchema,
  sequence,
  /** Pause after the positive answer to 10 02, for an ECU that restarts into its bootloader and is deaf meanwhile. */
  sessionPauseMs: z.number().min(0).default(0),
  identify: step.default('required'),
  controlDtcSetting: step.default('required'),
  communicationControl: step.default('required'),
  preconditions: step.default('required'),
  preconditionsRoutine: routineId.default(0x0203),
  preconditionsArguments: byteTemplate(DATED).default(''),
  preconditionsStatus: routineStatus([]),
  fingerprint: step.default('required'),
  fingerprintDid: didId.default(0xf15a),
  /** Missing: three BCD bytes of the date and the name of the tester. */
  fingerprintData: byteTemplate(DATED).optional(),
  /** Signed metadata by RequestFileTransfer (38) before the erase. */
  metadata: step.default('required'),
  erase: step.default('required'),
  eraseRoutine: routineId.default(0xff00),
  /** `address-length`: one addressAndLengthFormatIdentifier, address and length follow the routine id. */
  eraseArguments: byteTemplate(RANGE, ['address-length', 'none']).default('address-length'),
  eraseStatus: routineStatus([1]),
  eraseWhen: z
    .enum(['before-request-download', 'after-request-download'])
    .default('before-request-download'),
  /** Downloaded and started before anything is erased. */
  secondBootLoader: secondBootLoader.optional(),
  /** dataFormatIdentifier of 34 for an image that is neither compressed nor encrypted. */
  dataFormat: byte.default(0),
  /** Widths of address and size in 34 and in `address-length`, bytes. */
  addressBytes: z.number().int().min(1).max(8).default(4),
  sizeBytes: z.number().int().min(1).max(8).default(4),
  checkMemory: step.default('required'),
  checkMemoryRoutine: routineId.default(0x0202),
  /** Argument of the routine: digest of the image, its CRC-32, nothing, or a template. */
  checkMemoryArgument: byteTemplate(CHECKED, ['sha256', 'crc32', 'none']).default('sha256'),
  checkMemoryStatus: routineStatus([]),
  /** Once for the image, or behind each 37 for its range. */
  checkMemoryWhen: z.enum(['once', 'each-range']).default('once'),
  dependencies: step.default('required'),
  dependenciesRoutine: routineId.default(0xff01),
  dependenciesArguments: byteTemplate(DATED).default(''),
  dependenciesStatus: routineStatus([]),
  /** `bank`: routines 0210 to 0212 and FD00. `reset`: one bank, the reset runs the new image at once. */
  activation: z.enum(['bank', 'reset']).default('bank'),
  /** `each`: one 34, 36 and 37 for each segment of an image; `one`: an image of several segments is refused. */
  segments: z.enum(['one', 'each']).default('one'),
  /** Upper limit for maxNumberOfBlockLength, whatever the ECU offers. */
  maxBlockLength: z.number().int().min(3).max(0xffff_ffff).default(0xfff),
  /** TesterPresent: `functional` goes to all ECUs while 28 or 85 hold, and otherwise to this one, like `physical`. */
  keepAlive: z.enum(['functional', 'physical', 'none']).default('functional'),
});

/** `standard`: any ECU that speaks ISO 14229. */
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
  segments: 'each',
} as const;

/** `can-ota`: the bootloader of this project. */
const PRESETS = {
  'can-ota': {},
  standard: STANDARD_PROGRAMMING,
  openblt: OPENBLT_PROGRAMMING,
} as const;

export const programmingSchema = z
  .union([z.literal('can-ota'), z.literal('standard'), z.literal('openblt'), programmingFields])
  .default('can-ota')
  .transform((value) => {
    if (typeof value === 'string') return programmingFields.parse(PRESETS[value]);
    return value.protocol === 'openblt' ? { ...value, ...OPENBLT_PROGRAMMING } : value;
  });

export type EcuProgramming = z.infer<typeof programmingFields>;
export type ProgrammingStepPolicy = z.infer<typeof step>;
export type RoutineStatus = EcuProgramming['eraseStatus'];
