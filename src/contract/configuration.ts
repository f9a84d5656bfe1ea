// Remote configuration: the parameters, their allowed values, and the vehicle's result for each.

import { z } from 'zod';
import { ECU_NAME, ecuName } from '../core/names.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { lineText } from '../core/text.ts';

/** Name of an ECU and of one data identifier: `INV.FD40`. */
export const didName = z
  .string()
  .regex(
    new RegExp(`^${ECU_NAME}\\.[0-9A-F]{4}$`),
    'expected ECU.DID with the DID as four hexadecimal digits, such as INV.FD40',
  );
const bound = z
  .strictObject({
    min: z.number().optional(),
    max: z.number().optional(),
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, 'expected min, max or both')
  .refine(
    ({ min, max }) => min === undefined || max === undefined || min <= max,
    'expected min to be at most max',
  );
const seconds = (least: number, most: number) =>
  z
    .number('expected seconds as a number')
    .int('expected whole seconds')
    .min(least, `expected ${least} to ${most} s`)
    .max(most, `expected ${least} to ${most} s`);
const consent = z.enum(['ask', 'none'], 'expected ask or none');

/** Most DIDs in one round of readings. */
const MAX_DIDS = 32;

/**
 * The common schema of all parameters, for setting, storing, applying and showing them. Names are those on the wire;
 * durations are in seconds.
 */
export const PARAMETERS = {
  pollInterval: {
    title: 'from one reading of the DIDs to the next',
    unit: 's',
    schema: seconds(1, 3600),
    default: 10,
  },
  uploadInterval: {
    title: 'from one upload of what was read to the next',
    unit: 's',
    schema: seconds(5, 86_400),
    default: 60,
  },
  dids: {
    title: 'what is read: ECU.DID',
    unit: '',
    schema: z
      .array(didName)
      .max(MAX_DIDS, `expected at most ${MAX_DIDS}`)
      .refine((list) => new Set(list).size === list.length, 'expected each DID once'),
    default: [] as readonly string[],
  },
  limits: {
    title: 'per ECU, what arguments of commands may be: {"INV":{"setPowerLimit.power":{"max":60}}}',
    unit: '',
    schema: z.record(ecuName, z.record(z.string().max(64), bound)),
    default: {} as Readonly<Record<string, Readonly<Record<string, Bound>>>>,
  },
  approval: {
    title: 'what the driver is asked before; never less than the vehicle file asks for',
    unit: '',
    schema: z.strictObject({
      download: consent.optional(),
      install: consent.optional(),
      activate: consent.optional(),
    }),
    default: {} as Readonly<Partial<Record<'download' | 'install' | 'activate', 'ask' | 'none'>>>,
  },
} as const;

export interface Bound {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

export type ParameterName = keyof typeof PARAMETERS;
export const PARAMETER_NAMES = Object.keys(PARAMETERS) as readonly ParameterName[];

/** The parameters in force with their values. */
export type Configuration = {
  readonly [Name in ParameterName]: z.output<(typeof PARAMETERS)[Name]['schema']>;
};

/** Parameters as an operator wrote them: any JSON under any name, so that the vehicle can report what is wrong. */
export type WantedParameters = Readonly<Record<string, unknown>>;

const REJECTION_CODES = [
  /** The software has no parameter of this name. */
  'UNKNOWN_PARAMETER',
  /** The value does not have the type or form of the schema. */
  'WRONG_TYPE',
  /** The value has the right type, but is too small, too large or too long. */
  'OUT_OF_RANGE',
  'UNKNOWN_ECU',
  'UNKNOWN_DID',
  /** The value names an action or argument that the ECU does not have. */
  'UNKNOWN_ACTION',
  /** The vehicle file does not allow the value. */
  'NOT_ALLOWED',
  /** The value is valid alone, but not together with another parameter. */
  'CONFLICT',
] as const;
export type RejectionCode = (typeof REJECTION_CODES)[number];

/** The vehicle's result for one parameter. `reason` is a sentence for the operator. */
export type ParameterResult =
  | { readonly parameter: string; readonly status: 'accepted' | 'unchanged' }
  | {
      readonly parameter: string;
      readonly status: 'rejected';
      readonly code: RejectionCode;
      readonly reason: string;
    };

export const parameterResult = z.discriminatedUnion('status', [
  z.object({ parameter: z.string().max(64), status: z.enum(['accepted', 'unchanged']) }),
  z.object({
    parameter: z.string().max(64),
    status: z.literal('rejected'),
    code: z.enum(REJECTION_CODES),
    reason: lineText(500),
  }),
]);

export const DEFAULT_CONFIGURATION: Configuration = Object.fromEntries(
  PARAMETER_NAMES.map((name) => [name, PARAMETERS[name].default]),
) as unknown as Configuration;

/** Schema of names and sizes only; the vehicle checks the values. */
export const wantedParameters = z
  .record(
    z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/, 'expected the name of a parameter'),
    z.json(),
  )
  .refine((all) => Object.keys(all).length <= 64, 'expected at most 64 parameters')
  .refine((all) => JSON.stringify(all).length <= 16_384, 'expected at most 16 KiB');

export type CheckedParameter =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: RejectionCode; readonly reason: string };

/** Checks one parameter alone against the schema. */
export function checkParameter(name: string, value: unknown): CheckedParameter {
  if (!Object.hasOwn(PARAMETERS, name)) {
    const reason = `there is no parameter ${name}: expected one of ${PARAMETER_NAMES.join(', ')}`;
    return { ok: false, code: 'UNKNOWN_PARAMETER', reason };
  }
  const { schema } = PARAMETERS[name as ParameterName];
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issue = firstIssue(parsed.error);
  const at = issue.path.length === 0 ? name : z.core.toDotPath([name, ...issue.path]);
  const isRange = issue.code === 'too_big' || issue.code === 'too_small';
  return {
    ok: false,
    code: isRange ? 'OUT_OF_RANGE' : 'WRONG_TYPE',
    reason: `${at}: ${issue.message}`,
  };
}

/** Describes the parameters for programs and people that set them: JSON schema, default, unit, meaning. */
export function describeParameters(): Record<string, unknown> {
  return Object.fromEntries(
    PARAMETER_NAMES.map((name) => {
      const { title, unit, schema, default: usual } = PARAMETERS[name];
      const { $schema: _, ...json } = z.toJSONSchema(schema);
      return [name, { title, unit, default: usual, schema: json }];
    }),
  );
}
