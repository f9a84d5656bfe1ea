// The options of `can-ota vcan`.

import { type Command, Option } from 'commander';
import type { VcanOptions } from './vcan.ts';

const WAYS = ['auto', 'direct', 'uml'] as const satisfies VcanOptions['way'][];

export function addVcan(program: Command): void {
  program
    .command('vcan')
    .description(
      'Run any command where a real virtual CAN interface exists: directly, or in a user-mode kernel without root.',
    )
    // What follows the command belongs to it, with or without "--".
    .passThroughOptions()
    .argument('<command>', 'program to run')
    .argument('[argument...]', 'its arguments')
    .option(
      '--interface <name>',
      'the interface (repeatable, for several; default: vcan0); each carries classic CAN and CAN FD',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .option(
      '--out <dir>',
      'user-mode kernel: keep what COMMAND writes in this folder, for reports and traces',
    )
    .option('--memory <size>', 'user-mode kernel: its memory (default: 3G)')
    .addOption(
      new Option(
        '--way <way>',
        'direct: an interface of this kernel; uml: the user-mode kernel; auto: the first that works (default: auto)',
      ).choices(WAYS),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ can-ota vcan -- pytest tests/
  $ can-ota vcan -- sh -c 'candump vcan0 & cansend vcan0 7E0#023E00'
  $ can-ota vcan --interface vcan0 --interface vcan1 --out reports -- npm test

An interface that exists is used as it is, and root makes one. Without both, COMMAND runs in a user-mode kernel
(apt-get install user-mode-linux iproute2 kmod): with this folder, environment and standard input, as root of the
guest; what it writes outside of --out is discarded. docs/vcan.md shows tests in Python and C, and CI services.

Exit codes:
  that of COMMAND; 2 wrong option; 125 no virtual CAN can be made here; 127 COMMAND is not found`,
    )
    .action(async (name: string, args: readonly string[], options: VcanOptions) =>
      (await import('./vcan.ts')).vcan([name, ...args], options),
    );
}
