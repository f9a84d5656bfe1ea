// The options of `can-ota campaign ...`.

import { type Command, InvalidArgumentError } from 'commander';

import { command, withLogIn, withOutput } from '../program-options.ts';

export function addCampaign(program: Command): void {
  const campaign = command(
    program,
    'campaign',
    'Orders of an operator about running campaigns.',
    `can-ota campaign cancel WVWZZZ1JZXW000001 --reason 'The release is withdrawn' --server http://127.0.0.1:8080 --token-file operator.token`,
  );
  withLogIn(
    withOutput(
      command(
        campaign,
        'cancel',
        'Ask a vehicle to stop its update and to roll it back; it refuses once it has begun to switch to the new software.',
        `can-ota campaign cancel WVWZZZ1JZXW000001 --reason 'The release is withdrawn' --server http://127.0.0.1:8080 --token-file operator.token
         can-ota campaign cancel WVWZZZ1JZXW000001 --reason 'The release is withdrawn' --server http://127.0.0.1:8080 --user alice --wait 60`,
      ),
    )
      .argument('<vin>', 'the vehicle')
      .requiredOption('--reason <text>', 'why; the driver reads it')
      .requiredOption('--server <url>', 'the backend'),
  )
    .option('--wait <seconds>', "wait for the vehicle's answer (exit code 8: refused)", seconds)
    .action(async (vin, options) => (await import('./campaign.ts')).cancelCampaign(vin, options));

  withLogIn(
    withOutput(
      command(
        campaign,
        'ask-again',
        'Ask the driver again about a release that was denied, put off or not answered.',
        `can-ota campaign ask-again WVWZZZ1JZXW000001 --reason 'The driver wants it now' --server http://127.0.0.1:8080 --token-file operator.token`,
      ),
    )
      .argument('<vin>', 'the vehicle')
      .requiredOption('--reason <text>', 'why; the audit log keeps it')
      .requiredOption('--server <url>', 'the backend'),
  ).action(async (vin, options) => (await import('./campaign.ts')).askAgain(vin, options));
}

function seconds(value: string): number {
  const parsed = Number(value);
  if (value.trim() !== '' && parsed > 0 && parsed <= 86_400) return parsed;
  throw new InvalidArgumentError('expected seconds, more than 0 and at most 86400');
}
