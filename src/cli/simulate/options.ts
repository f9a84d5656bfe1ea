// The command `simulate` with its options.

import { type Command, InvalidArgumentError } from 'commander';
import { EXIT_CODES, withOutput } from '../program-options.ts';

export function addSimulate(program: Command): void {
  withOutput(program.command('simulate'))
    .description('Run the whole system under virtual time with one seed, with faults.')
    .option('--vehicles <number>', 'vehicles of each world', count, 1)
    .option('--campaigns <number>', 'campaigns with faults, over all vehicles', count, 1000)
    .option('--seed <text>', 'determines everything that happens (default: 1)', '1')
    .option(
      '--faults <profile>',
      'none, all, or a list of power, bus, network, disk, ecu, driver, vehicle, services, backend, make, attacker, server, device',
      'all',
    )
    .option('--image-bytes <number>', 'size of each image', count, 16_384)
    .option('--episode <number>', 'only this episode, from 0', index)
    .option(
      '--only <history>',
      'with --episode: only these parts of it, as a replay command names them',
    )
    .option('--trace <file>', 'with --episode: the frames of vehicle 1 as a candump log')
    .option('--sabotage <name>', 'break the system on purpose (--sabotage list names the ways)')
    .option(
      '--exhaustive',
      'a power cut at every write and every frame of one campaign, for each machine and for all at once',
    )
    .option('--jobs <number>', 'episodes at a time, each in a process (default: one a core)', count)
    .option('--no-shrink', 'do not look for the shortest history that still fails')
    .addHelpText('after', HELP)
    .action(async (options) => (await import('./simulate.ts')).simulateCommand(options));
}

const HELP = `
A campaign is a release for one to three ECUs with up to four faults; after it has come to rest the invariants are
checked, and a campaign without faults must succeed. Outcomes are counted as
  success     every ECU runs the new software
  rolledBack  undone after an ECU was touched
  rejected    ended before: rejected or deferred by the driver, cancelled, a condition was lost, a bad download
  safeState   a declared mixed state, from which recovery is tried
An episode is one world with up to 20 campaigns. It ends early after three episodes with violations. What is found,
in which order, and the digest do not depend on --jobs; with --episode or --exhaustive there is one job.

Examples:
  $ can-ota simulate --campaigns 1000 --seed 1 --faults all --json
  $ can-ota simulate --faults power,disk --campaigns 200
  $ can-ota simulate --seed 7 --episode 12 --trace episode-12.log
  $ can-ota simulate --sabotage no-fsync --campaigns 200
  $ can-ota simulate --exhaustive --image-bytes 300
${EXIT_CODES}
Of this command: 0 no violations, 1 an invariant was violated.`;

function whole(value: string, least: number): number {
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isSafeInteger(parsed) || parsed < least) {
    throw new InvalidArgumentError(`expected a whole number from ${least}`);
  }
  return parsed;
}

function count(value: string): number {
  return whole(value, 1);
}

function index(value: string): number {
  return whole(value, 0);
}
