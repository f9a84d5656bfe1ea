// A command of the vehicle file: its effect on the ECU, and its arguments as bytes.

import { fromHex } from '../core/bytes.ts';
import { present } from '../core/present.ts';
import type { ArgumentFields, CommandFields } from './service-fields.ts';
import { encodeSignal } from './signals.ts';

/** The request of a command, and how to find out afterwards whether it ran. */
export type CommandAct =
  | { readonly kind: 'write'; readonly did: number; readonly readBack: boolean }
  | {
      readonly kind: 'adjust';
      readonly did: number;
      readonly mask: Uint8Array;
      readonly readBack: boolean;
    }
  | { readonly kind: 'return'; readonly did: number; readonly readBack: boolean }
  | {
      readonly kind: 'routine';
      readonly routine: number;
      readonly counter: { readonly offset: number; readonly length: number } | undefined;
      readonly running: { readonly offset: number; readonly value: number } | undefined;
    };

/** `command` has passed the schema. */
export function actOf(command: CommandFields): CommandAct {
  const { write, control, option, mask, routine, counter, running, readBack = true } = command;
  if (write !== undefined) return { kind: 'write', did: write, readBack };
  if (control === undefined) {
    return { kind: 'routine', routine: present(routine, 'the routine'), counter, running };
  }
  return option === 'return'
    ? { kind: 'return', did: control, readBack }
    : { kind: 'adjust', did: control, mask: fromHex(mask ?? ''), readBack };
}

export type PlacedArgument = Omit<ArgumentFields, 'offset'> & {
  readonly name: string;
  readonly offset: number;
};

/** The arguments in the order of the file, each with its offset: one without an offset follows the argument before it. */
export function placeArguments(command: Pick<CommandFields, 'arguments'>): PlacedArgument[] {
  let end = 0;
  return Object.entries(command.arguments).map(([name, argument]) => {
    const offset = argument.offset ?? end;
    end = offset + argument.length;
    return { ...argument, name, offset };
  });
}

/** Encodes the arguments. Throws RangeError for a missing or invalid argument. */
export function encodeArguments(
  command: Pick<CommandFields, 'arguments'>,
  given: Readonly<Record<string, number | string>>,
): Uint8Array {
  const placed = placeArguments(command);
  const data = new Uint8Array(Math.max(0, ...placed.map(({ offset, length }) => offset + length)));
  for (const { name, ...layout } of placed) {
    if (!Object.hasOwn(given, name)) throw new RangeError(`${name} is missing`);
    encodeSignal({ ...layout, notAvailable: undefined }, given[name], data);
  }
  return data;
}
