// The options of `can-ota keys reset-time`, which signs like a key command and asks the backend like a release command.

import type { Command } from 'commander';
import { present } from '../../core/present.ts';
import { command, withLogIn, withOutput } from '../program-options.ts';
import { withSigning } from './options.ts';

export function addResetTime(program: Command): void {
  const keys = present(
    program.commands.find((each) => each.name() === 'keys'),
    'the command keys',
  );
  withLogIn(
    withSigning(
      withOutput(
        command(
          keys,
          'reset-time',
          'Make vehicles discard a time that is too far ahead, after the clock of the backend was wrong. Exit code 4: the Root waits for signatures.',
          `can-ota keys reset-time trust --dir ceremony --server http://127.0.0.1:8080 --token-file release.token
       can-ota keys reset-time trust --dir ceremony`,
        ),
      ),
    ),
  )
    .argument('<trust>', 'folder of can-ota server --trust: it gets the new key of the role time')
    .option('--dir <dir>', 'folder of the ceremony', 'can-ota-keys')
    .option('--server <url>', 'the backend that gets the new Root (default: none, push it later)')
    .action(async (trust, options) =>
      (await import('./reset-time.ts')).resetTheTime(trust, options),
    );
}
