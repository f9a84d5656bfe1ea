// Options that every command repeats, taken from the environment where they are left out.

import type { Command } from 'commander';

/** By the long name of an option. */
const VARIABLES: Readonly<Record<string, string>> = {
  '--server': 'CAN_OTA_SERVER',
  '--token-file': 'CAN_OTA_TOKEN_FILE',
  '--bus': 'CAN_OTA_BUS',
  '--vehicle': 'CAN_OTA_VEHICLE',
  '--state-dir': 'CAN_OTA_STATE_DIR',
};

/**
 * An option that a command can do without keeps its meaning of being left out, apart from bus, vehicle and token. The
 * state directory of a small device is not that of a TMU.
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
