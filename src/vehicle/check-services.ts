// Checks that a schema cannot express: whether the data and commands of an ECU make sense.

import { placeArguments } from './commands.ts';
import type { ArgumentFields, CommandFields, DatumFields } from './service-fields.ts';
import { rawRange } from './signals.ts';

/** A mistake and its field. */
export interface ServiceFault {
  readonly path: readonly string[];
  readonly message: string;
}

const KINDS = ['write', 'control', 'routine'] as const;

export function faultOfDatum(datum: DatumFields): ServiceFault | undefined {
  if (datum.text && (datum.values !== undefined || datum.unit !== undefined)) {
    return at('text', 'text has neither a unit nor named values');
  }
  if (datum.unit !== undefined && datum.values !== undefined) {
    return at('values', 'data has either a unit or named values');
  }
  const { notAvailable } = datum;
  return faultOfRaws(datum, [...(notAvailable === undefined ? [] : [notAvailable])]);
}

export function faultOfCommand(command: CommandFields): ServiceFault | undefined {
  return faultOfKind(command) ?? faultOfArguments(command);
}

function faultOfKind(command: CommandFields): ServiceFault | undefined {
  const kinds = KINDS.filter((kind) => command[kind] !== undefined);
  const [kind, second] = kinds;
  if (kind === undefined)
    return at('title', 'the command does nothing: give write, control or routine');
  if (second !== undefined) {
    return at(second, `${kind} and ${second} are two commands: make an entry for each`);
  }
  const { option, mask, counter, running, readBack } = command;
  const hasArguments = Object.keys(command.arguments).length > 0;
  if (kind === 'control' && option === undefined) {
    return at('control', 'option is missing: adjust takes the output over, return gives it back');
  }
  if (kind !== 'control' && option !== undefined) return at('option', 'belongs to control only');
  if (mask !== undefined && option !== 'adjust') {
    return at('mask', 'belongs to control with option adjust only');
  }
  if (kind !== 'routine' && counter !== undefined) return at('counter', 'belongs to routine only');
  if (kind !== 'routine' && running !== undefined) return at('running', 'belongs to routine only');
  if (kind === 'routine' && readBack !== undefined) {
    return at('readBack', 'belongs to write and control only: a routine has a counter');
  }
  if (option === 'return' && hasArguments) {
    return at('arguments', 'an output is given back without arguments');
  }
  if ((kind === 'write' || option === 'adjust') && !hasArguments) {
    return at(kind, 'arguments are missing: the request to the ECU is made of them');
  }
  return undefined;
}

function faultOfArguments(command: CommandFields): ServiceFault | undefined {
  for (const [name, argument] of Object.entries(command.arguments)) {
    const fault = faultOfArgument(argument);
    if (fault !== undefined) {
      return { path: ['arguments', name, ...fault.path], message: fault.message };
    }
  }
  const placed = placeArguments(command).toSorted((a, b) => a.offset - b.offset);
  for (const [index, { name, offset }] of placed.entries()) {
    const before = placed[index - 1];
    const end = before === undefined ? 0 : before.offset + before.length;
    if (before !== undefined && offset < end) {
      return {
        path: ['arguments', name],
        message: `${name} begins at byte ${offset}, where ${before.name} still is (up to byte ${end - 1}): give one of them another offset`,
      };
    }
    if (offset > end) {
      return {
        path: ['arguments', name],
        message: `no argument covers byte ${end}: expected ${name} to begin there, or one more argument`,
      };
    }
  }
  return undefined;
}

function faultOfArgument(argument: ArgumentFields): ServiceFault | undefined {
  const { min, max, values, unit, scale, add } = argument;
  if (values !== undefined) {
    if (min !== undefined || max !== undefined || unit !== undefined) {
      return at('values', 'an argument has either named values, or min, max and unit');
    }
    if (new Set(Object.values(values)).size < Object.keys(values).length) {
      return at('values', 'two raw values have the same name');
    }
    if (Object.keys(values).length > 32) return at('values', 'expected at most 32 values');
    return faultOfRaws(argument, []);
  }
  if (min === undefined || max === undefined) {
    return { path: [], message: 'expected min and max, or values' };
  }
  if (min > max) return at('min', `${min} is above max, which is ${max}`);
  const { least, most } = rawRange(argument);
  for (const [field, value] of Object.entries({ min, max })) {
    const raw = Math.round((value - add) / scale);
    if (raw < least || raw > most) {
      return at(field, `${value} does not fit into ${bytesText(argument.length)} with this scale`);
    }
  }
  return undefined;
}

function faultOfRaws(
  layout: Pick<DatumFields, 'length' | 'signed' | 'values'>,
  others: readonly number[],
): ServiceFault | undefined {
  const { least, most } = rawRange(layout);
  const fits = (raw: number): boolean => raw >= least && raw <= most;
  const range = `${bytesText(layout.length)} (${least} to ${most})`;
  const odd = Object.keys(layout.values ?? {})
    .map(Number)
    .find((raw) => !fits(raw));
  if (odd !== undefined) return at('values', `${odd} does not fit into ${range}`);
  const other = others.find((raw) => !fits(raw));
  return other === undefined
    ? undefined
    : at('notAvailable', `${other} does not fit into ${range}`);
}

function bytesText(length: number): string {
  return length === 1 ? '1 byte' : `${length} bytes`;
}

function at(field: string, message: string): ServiceFault {
  return { path: [field], message };
}
