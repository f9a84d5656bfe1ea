// The command `tuf` with its options.

import { Argument, type Command } from 'commander';
import { withNetwork, withOutput } from '../program-options.ts';

/** Its options may stand before or after the word; its exit codes are those of a TUF client, 0 and 1. */
export function addTuf(program: Command): void {
  withNetwork(withOutput(program.command('tuf')))
    .description('A client of one plain TUF repository, with the verifier of the vehicle.')
    .addArgument(new Argument('<action>', 'what to do').choices(['init', 'refresh', 'download']))
    .argument('[root]', 'for init: the trusted root.json')
    .requiredOption('--metadata-dir <dir>', 'trusted metadata, under unversioned names')
    .option('--metadata-url <url>', 'the repository')
    .option(
      '--target-name <path>',
      'target path to download (repeatable)',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .option('--target-dir <dir>', 'where downloaded files go')
    .option('--target-base-url <url>', 'where files are downloaded from')
    .addHelpText(
      'after',
      `
Examples:
  $ can-ota tuf --metadata-dir trust init root.json
  $ can-ota tuf --metadata-dir trust --metadata-url https://a.org/metadata refresh
  $ can-ota tuf download --metadata-dir trust --metadata-url https://a.org/metadata --target-name app.bin --target-dir files --target-base-url https://a.org/targets

Exit codes:
  0 done    1 refused, or any other error`,
    )
    // A wrong option is exit code 1, too: callers of TUF clients know no other code.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 1))
    .action(async (action, root, options) => (await import('./tuf.ts')).tuf(action, root, options));
}
