// A command line of can-ota as the program itself reads it, without running it.

import { type Command, CommanderError } from 'commander';
import { createProgram } from '../../src/cli/program.ts';

/** A word that stands for something: URL, VIN, FILE, NAME[=RATE]. */
const PLACEHOLDER = /^[A-Z][A-Z_-]*(?:\[=[A-Z]+\])?$/;

interface Reader {
  readonly program: Command;
  /** What it has said about the present line. */
  said: string;
}

const STRICT = makeReader(false);
const TOLERANT = makeReader(true);

/**
 * What is wrong with `can-ota WORDS`; undefined: nothing. Known are commands, options, how many arguments each takes, and
 * the values of options. `mention`: a sentence names the command, and what it needs besides may be missing. So may what
 * three dots stand for.
 */
export function commandFault(words: readonly string[], mention: boolean): string | undefined {
  const left = words.filter((word) => !/^(?:\.\.\.|…)$/.test(word));
  const tolerant = mention || left.length < words.length;
  const reader = tolerant ? TOLERANT : STRICT;
  reader.said = '';
  try {
    reader.program.parse(left, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // `--help`, `--version`; a group of commands, or an option, that is only named.
    const isNamed = ['commander.help', 'commander.optionMissingArgument'].includes(error.code);
    if (error.exitCode === 0 || (tolerant && isNamed)) return undefined;
    return reader.said.split('\n', 1)[0] ?? error.message;
  }
}

/** Names of the commands below `can-ota` itself. */
export function commandNames(): string[] {
  return createProgram().commands.map((command) => command.name());
}

/** `tolerant`: nothing is required, and what is there must be right. */
function makeReader(tolerant: boolean): Reader {
  const program = createProgram();
  const reader: Reader = { program, said: '' };
  for (const command of all(program)) {
    command.exitOverride().configureOutput({
      writeErr: (text) => {
        reader.said += text;
      },
      writeOut: () => {},
    });
    if (hasAction(command)) command.action(() => {});
    for (const option of command.options) {
      // The environment of the test says nothing about a page.
      delete option.envVar;
      if (tolerant) option.mandatory = false;
      const { parseArg } = option;
      if (parseArg === undefined) continue;
      option.argParser((value: string, before: unknown) =>
        PLACEHOLDER.test(value) ? value : parseArg(value, before),
      );
    }
    for (const argument of command.registeredArguments) if (tolerant) argument.required = false;
  }
  return reader;
}

function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)];
}

/** A group of commands does nothing by itself. */
function hasAction(command: Command): boolean {
  return typeof Reflect.get(command, '_actionHandler') === 'function';
}
