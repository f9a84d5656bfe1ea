// Commands to ECUs: the catalogue of an ECU, an order, its states and its result.

import { z } from 'zod';
import { ecuName } from '../core/names.ts';
import { lineText } from '../core/text.ts';

export const COMMAND_STATES = [
  /** Queued at the backend. */
  'pending',
  /** The vehicle has stored the command durably. */
  'delivered',
  'executing',
  'completed',
  'failed',
  'expired',
  'cancelled',
] as const;
export type CommandState = (typeof COMMAND_STATES)[number];
/** States that no other state follows. */
export const FINAL_STATES: readonly CommandState[] = [
  'completed',
  'failed',
  'expired',
  'cancelled',
];
export function isFinal(state: CommandState): boolean {
  return FINAL_STATES.includes(state);
}

/** Longest time until a command expires. */
export const LONGEST_EXPIRY_S = 30 * 24 * 3600;

const name = z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/, 'expected a name such as setPowerLimit');

const argumentDescription = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('number'),
    unit: z.string().max(16).default(''),
    min: z.number(),
    max: z.number(),
  }),
  z.strictObject({
    type: z.literal('choice'),
    choices: z.array(z.string().max(32)).min(1).max(32),
  }),
]);
export type ArgumentDescription = Readonly<z.output<typeof argumentDescription>>;

const actionDescription = z.strictObject({
  title: z.string().max(120),
  arguments: z.record(name, argumentDescription),
});

/** The commands that the ECUs of a vehicle offer; the vehicle reports them to the backend. */
export const catalogue = z.record(ecuName, z.record(name, actionDescription));
export type Catalogue = Readonly<z.output<typeof catalogue>>;

const argumentValue = z.union([z.number(), z.string().max(64)]);
export type Arguments = Readonly<Record<string, number | string>>;

/** An operator's request for a command. */
export const commandRequest = z.strictObject({
  ecu: ecuName,
  action: name,
  arguments: z.record(name, argumentValue).default({}),
  /** Time after which the command is not begun, ISO 8601. */
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  /** Priority 0 to 9, the highest first; equal priorities in the order of arrival. */
  priority: z.number().int().min(0).max(9).default(5),
  /** Key from the operator's tool: a repeated request with the same key is the same command. */
  key: z
    .string()
    .regex(/^[0-9A-Za-z_-]{8,64}$/, 'expected 8 to 64 letters, digits, _ or -')
    .optional(),
});
export type CommandRequest = Readonly<z.output<typeof commandRequest>>;

/** A command as the vehicle gets it. */
export const commandOrder = z.object({
  id: z.string().regex(/^[0-9A-Za-z_-]{1,64}$/),
  ecu: ecuName,
  action: name,
  arguments: z.record(name, argumentValue),
  expiresAt: z.iso.datetime({ offset: true }),
  priority: z.number().int().min(0).max(9),
});
export type CommandOrder = Readonly<z.output<typeof commandOrder>>;

/** State of a command in the vehicle, reported until the backend acknowledges it. */
export const commandReport = z.object({
  id: z.string().max(64),
  state: z.enum(COMMAND_STATES),
  /** Code of a failure: REFUSED (with `nrc`), SILENT, IN_DOUBT, LIMIT, UNKNOWN_ACTION, BAD_ARGUMENT, UNKNOWN_ECU. */
  code: z.string().max(32).optional(),
  reason: lineText(500).optional(),
  /** Negative response code of the ECU, ISO 14229-1 annex A.1. */
  nrc: z.number().int().min(0).max(255).optional(),
  /** The ECU's answer as text for people. */
  result: lineText(500).optional(),
  /** How often the ECU has run the command: 0 or 1. */
  runs: z.number().int().min(0),
  /** Time by the vehicle's clock, ISO 8601. */
  at: z.iso.datetime({ offset: true }),
});
export type CommandReport = Readonly<z.output<typeof commandReport>>;

export type CheckedArguments =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly code: 'UNKNOWN_ECU' | 'UNKNOWN_ACTION' | 'BAD_ARGUMENT';
      readonly reason: string;
    };

/** Checks a command against the catalogue of its ECU. */
export function checkCommand(
  offered: Catalogue,
  { ecu, action, arguments: given }: Pick<CommandOrder, 'ecu' | 'action' | 'arguments'>,
): CheckedArguments {
  const actions = own(offered, ecu);
  if (actions === undefined) {
    const known = Object.keys(offered).join(', ') || 'none';
    return refusal('UNKNOWN_ECU', `${ecu} takes no commands: those that do are ${known}`);
  }
  const described = own(actions, action);
  if (described === undefined) {
    const known = Object.keys(actions).join(', ');
    return refusal('UNKNOWN_ACTION', `${ecu} has no action ${action}: expected one of ${known}`);
  }
  for (const argument of Object.keys(given)) {
    if (!Object.hasOwn(described.arguments, argument)) {
      const known = Object.keys(described.arguments).join(', ') || 'none';
      return refusal('BAD_ARGUMENT', `${action} has no argument ${argument}: it has ${known}`);
    }
  }
  for (const [argument, form] of Object.entries(described.arguments)) {
    const value = own(given, argument);
    if (value === undefined) return refusal('BAD_ARGUMENT', `${argument} is missing`);
    const problem = problemOf(value, form);
    if (problem !== undefined) return refusal('BAD_ARGUMENT', `${argument}: ${problem}`);
  }
  return { ok: true };
}

function problemOf(value: number | string, form: ArgumentDescription): string | undefined {
  if (form.type === 'choice') {
    return typeof value === 'string' && form.choices.includes(value)
      ? undefined
      : `expected one of ${form.choices.join(', ')}`;
  }
  const { min, max, unit } = form;
  return typeof value === 'number' && value >= min && value <= max
    ? undefined
    : `expected a number from ${min} to ${max}${unit === '' ? '' : ` ${unit}`}`;
}

function refusal(
  code: 'UNKNOWN_ECU' | 'UNKNOWN_ACTION' | 'BAD_ARGUMENT',
  reason: string,
): CheckedArguments {
  return { ok: false, code, reason };
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
