// Options that every command repeats, taken from the environment where they are left out.

import type { EventEmitter } from 'node:events';
import type { Command, Option } from 'commander';
import { LOG_FORMAT_VARIABLE } from './log-format.ts';

/** Environment variable by the long name of the option. */
const VARIABLES: Readonly<Record<string, string>> = {
  '--server': 'CAN_OTA_SERVER',
  '--token-file': 'CAN_OTA_TOKEN_FILE',
  '--bus': 'CAN_OTA_BUS',
  '--vehicle': 'CAN_OTA_VEHICLE',
  '--state-dir': 'CAN_OTA_STATE_DIR',
  '--log-format': LOG_FORMAT_VARIABLE,
};

/**
 * Sets the environment variables as defaults. An optional --server gets none, because leaving it out has a meaning of
 * its own. A small device gets no default for --state-dir: CAN_OTA_STATE_DIR is the directory of a TMU.
 */
export function readEnvironment(program: Command): void {
  for (const command of [program, ...descendants(program)]) {
    const isSmallDevice = command.parent?.name() === 'device';
    for (const option of command.options) {
      const variable = VARIABLES[option.long ?? ''];
      if (variable === undefined) continue;
      const isOptional = option.long === '--server' && !option.mandatory;
      if (isOptional || (isSmallDevice && option.long === '--state-dir')) continue;
      addAgain(command, option.env(variable));
    }
  }
}

/** Commander listens to the environment of an option only when the variable is known as the option is added. */
function addAgain(command: Command, option: Option): void {
  const options = command.options as Option[];
  const at = options.indexOf(option);
  options.splice(at, 1);
  // Its types leave out that a command is an emitter.
  (command as unknown as EventEmitter).removeAllListeners(`option:${option.name()}`);
  command.addOption(option);
  options.splice(at, 0, ...options.splice(-1));
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}
