// Remote configuration: the parameters, what each may be, and how a vehicle answers for each of them.

import { z } from 'zod';
import { ECU_NAME, ecuName } from '../core/names.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { lineText } from '../core/text.ts';

/** An ECU and one of its data identifiers: `INV.FD40`. */
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

/** The most DIDs that are read in one round. */
const MAX_DIDS = 32;

/**
 * One schema for all: whoever sets a parameter, stores it, applies it or shows it works with this table. Names are
 * those on the wire; durations are in seconds.
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

/** What is in force: each parameter with its value. */
export type Configuration = {
  readonly [Name in ParameterName]: z.output<(typeof PARAMETERS)[Name]['schema']>;
};

/** What an operator wants, as he wrote it: any JSON under any name, so that the vehicle can say what is wrong with it. */
export type WantedParameters = Readonly<Record<string, unknown>>;

const REJECTION_CODES = [
  /** This software has no such parameter. */
  'UNKNOWN_PARAMETER',
  /** Not of the type or form that the schema asks for. */
  'WRONG_TYPE',
  /** Of the right type, and too small, too large or too many. */
  'OUT_OF_RANGE',
  'UNKNOWN_ECU',
  'UNKNOWN_DID',
  /** Names an action or argument that the ECU does not have. */
  'UNKNOWN_ACTION',
  /** What the vehicle file rules out. */
  'NOT_ALLOWED',
  /** Right by itself, and not together with another one. */
  'CONFLICT',
] as const;
export type RejectionCode = (typeof REJECTION_CODES)[number];

/** What the vehicle did with one parameter. `reason` is a sentence for the operator. */
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

/** Names and sizes only: what a parameter may be is for the vehicle to say. */
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

/** One parameter alone, against the schema. */
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

/** The parameters for whoever wants to fill them in: JSON schema, default, unit, meaning. */
export function describeParameters(): Record<string, unknown> {
  return Object.fromEntries(
    PARAMETER_NAMES.map((name) => {
      const { title, unit, schema, default: usual } = PARAMETERS[name];
      const { $schema: _, ...json } = z.toJSONSchema(schema);
      return [name, { title, unit, default: usual, schema: json }];
    }),
  );
}
