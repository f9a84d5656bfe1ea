// Options that every command repeats, taken from the environment where they are left out.

import type { Command } from 'commander';

/** Environment variable by the long name of the option. */
const VARIABLES: Readonly<Record<string, string>> = {
  '--server': 'CAN_OTA_SERVER',
  '--token-file': 'CAN_OTA_TOKEN_FILE',
  '--bus': 'CAN_OTA_BUS',
  '--vehicle': 'CAN_OTA_VEHICLE',
  '--state-dir': 'CAN_OTA_STATE_DIR',
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
      option.env(variable);
    }
  }
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}
