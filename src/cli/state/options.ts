// The commands `history` and `status`, which read the state directory of a TMU.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { withOutput } from '../program-options.ts';

const STATE_DIR = '/var/lib/can-ota';

function withStateDir(target: Command): Command {
  return withOutput(target).addOption(
    new Option('--state-dir <dir>', 'the state directory of the TMU')
      .env('CAN_OTA_STATE_DIR')
      .default(STATE_DIR),
  );
}

export function addHistory(program: Command): void {
  withStateDir(program.command('history'))
    .description(
      'List the campaigns of a vehicle: when, what, who approved, how it ended and why. The daemon may be running meanwhile.',
    )
    .option('--limit <number>', 'only the last ones', count)
    .option('--commands', 'list the remote commands for ECUs instead, with their ids')
    .addHelpText(
      'after',
      `
Examples:
  $ can-ota history
  $ can-ota history --state-dir state --limit 5
  $ can-ota history --commands --json | jq -r 'select(.state == "failed") | [.id, .code, .reason] | @tsv'
  $ can-ota history --json | jq -r 'select(.outcome != "SUCCESS") | [.started, .outcome, .reason] | @tsv'

The oldest stands first. The journal and the one before it are read; older campaigns are known to the backend.

Exit codes:
  0 listed, also when there is none    2 bad option, no such folder    15 the journal cannot be read`,
    )
    .action(async (options) => (await import('./history.ts')).history(options));
}

export function addStatus(program: Command): void {
  withStateDir(program.command('status'))
    .description(
      'Show what a TMU is doing now and what it does next; read from its journal, so it is also correct after a kill.',
    )
    .option('--watch', 'print it again after each change, until SIGINT or SIGTERM')
    .addHelpText(
      'after',
      `
Examples:
  $ can-ota status --state-dir state
  $ can-ota status --watch
  $ can-ota status --json | jq -r .next

Exit codes:
  0 shown                                2 bad option, no such folder
  10 shown: a declared mixed state,      15 the files cannot be read
     an update could not be rolled back   130 or 143 --watch was ended by a signal`,
    )
    .action(async (options) => (await import('./status.ts')).status(options));
}

function count(value: string): number {
  const parsed = Number(value);
  if (/^\d{1,6}$/.test(value) && parsed > 0) return parsed;
  throw new InvalidArgumentError('expected a whole number of at least 1');
}
