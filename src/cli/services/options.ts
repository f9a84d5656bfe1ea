// The options of `can-ota config`, `can-ota command` and `can-ota telemetry`.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { COMMAND_STATES } from '../../contract/command.ts';

import { command, withLogIn, withOutput } from '../program-options.ts';

const LOGIN = '--server http://127.0.0.1:8080 --token-file operator.token';

export function addServices(program: Command): void {
  addConfig(program);
  addCommand(program);
  addTelemetry(program);
}

function addConfig(program: Command): void {
  const config = command(
    program,
    'config',
    'The remote configuration of a vehicle, and the answer of the vehicle.',
    `can-ota config show WVWZZZ1JZXW000001 ${LOGIN}
     can-ota config set WVWZZZ1JZXW000001 pollInterval=5 ${LOGIN}
     can-ota config schema`,
  );
  const load = () => import('./config.ts');
  onVehicle(
    config,
    'show',
    'Show the wanted value and the value in force of each parameter.',
    `can-ota config show WVWZZZ1JZXW000001 ${LOGIN}`,
  ).action(async (vin, options) => (await load()).showConfiguration(vin, options));
  onVehicle(
    config,
    'set',
    'Set parameters; the vehicle applies them without a restart, and answers for each.',
    `can-ota config set WVWZZZ1JZXW000001 pollInterval=5 dids='["INV.FD40"]' --wait 60 ${LOGIN}
     can-ota config set WVWZZZ1JZXW000001 --file params.json --replace --comment 'as the fleet' ${LOGIN}
     can-ota config set WVWZZZ1JZXW000001 --reset dids ${LOGIN}`,
  )
    .argument('[name=value...]', 'JSON where it is JSON, text otherwise')
    .option('--file <file>', 'parameters as a JSON object, - for standard input')
    .option('--replace', 'all other parameters go back to their defaults')
    .option(
      '--reset <name>',
      'parameter that goes back to its default (repeatable)',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .option('--comment <text>', 'why, for the history')
    .option(
      '--wait <seconds>',
      'wait for the report of the vehicle (exit code 8: refused)',
      seconds,
    )
    .action(async (vin, given, options) => (await load()).setConfiguration(vin, given, options));
  onVehicle(
    config,
    'history',
    'List every version: who set it, when, why, and what the vehicle answered.',
    `can-ota config history WVWZZZ1JZXW000001 ${LOGIN}`,
  ).action(async (vin, options) => (await load()).showHistory(vin, options));
  withOutput(
    command(
      config,
      'schema',
      'List the parameters with their defaults; with --json also their schemas.',
      `can-ota config schema
       can-ota config schema --json`,
    ),
  ).action(async (options) => (await load()).showSchema(options));
}

function addCommand(program: Command): void {
  const orders = command(
    program,
    'command',
    'Commands for ECUs of a vehicle; each runs at most once.',
    `can-ota command actions WVWZZZ1JZXW000001 ${LOGIN}
     can-ota command send WVWZZZ1JZXW000001 INV setPowerLimit power=60 --wait 60 ${LOGIN}`,
  );
  const load = () => import('./command.ts');
  onVehicle(
    orders,
    'send',
    'Order a command; it waits at the backend until the next contact of the vehicle.',
    `can-ota command send WVWZZZ1JZXW000001 INV setPowerLimit power=60 --expires 10m --priority 7 --wait 60 ${LOGIN}
     can-ota command send WVWZZZ1JZXW000001 INV calibrate --key calibrate-2026-11 ${LOGIN}`,
  )
    .argument('<ecu>', 'name in the vehicle file')
    .argument('<action>', 'one of can-ota command actions')
    .argument('[name=value...]', 'its arguments')
    .option(
      '--expires <time>',
      'time after which it does not begin any more, like 90s 10m 2h 1d (default: 1h)',
      span,
    )
    .option('--priority <number>', '0 to 9, the highest first', priority, 5)
    .option('--key <text>', 'the same command under the same key is ordered once')
    .option('--wait <seconds>', 'wait until it is over (exit code 8: not done)', seconds)
    .action(async (vin, ecu, action, given, options) =>
      (await load()).sendCommand(vin, ecu, action, given, options),
    );
  onVehicle(
    orders,
    'list',
    'List the commands of a vehicle with their states, the newest first.',
    `can-ota command list WVWZZZ1JZXW000001 ${LOGIN}
     can-ota command list WVWZZZ1JZXW000001 --state failed --json ${LOGIN}`,
  )
    .addOption(new Option('--state <state>', 'only these').choices([...COMMAND_STATES]))
    .option('--limit <number>', 'largest number of commands', upTo(500), 20)
    .action(async (vin, options) => (await load()).listCommands(vin, options));
  onVehicle(
    orders,
    'show',
    'Show one command: its states with their times, and its result.',
    `can-ota command show WVWZZZ1JZXW000001 019ab1d2c3e4000000aabbccddee ${LOGIN}`,
  )
    .argument('<id>')
    .action(async (vin, id, options) => (await load()).showCommand(vin, id, options));
  onVehicle(
    orders,
    'cancel',
    'Cancel a command; the vehicle cancels it unless it has begun.',
    `can-ota command cancel WVWZZZ1JZXW000001 019ab1d2c3e4000000aabbccddee --wait 60 ${LOGIN}`,
  )
    .argument('<id>')
    .option('--wait <seconds>', "wait for the vehicle's answer (exit code 8: too late)", seconds)
    .action(async (vin, id, options) => (await load()).cancelCommand(vin, id, options));
  onVehicle(
    orders,
    'actions',
    'List the actions of the ECUs of a vehicle, with their arguments.',
    `can-ota command actions WVWZZZ1JZXW000001 ${LOGIN}`,
  ).action(async (vin, options) => (await load()).showActions(vin, options));
}

function addTelemetry(program: Command): void {
  const telemetry = command(
    program,
    'telemetry',
    'Measurements of vehicles: the DIDs that their configuration names.',
    `can-ota telemetry show WVWZZZ1JZXW000001 ${LOGIN}`,
  );
  onVehicle(
    telemetry,
    'show',
    'Show mean, minimum and maximum of each DID, the newest first.',
    `can-ota telemetry show WVWZZZ1JZXW000001 --did INV.FD40 --since 10m ${LOGIN}
     can-ota telemetry show WVWZZZ1JZXW000001 --since 2026-11-21T12:00:00Z --limit 20000 --json ${LOGIN}`,
  )
    .option('--did <name>', 'only this one, like INV.FD40')
    .option('--since <time>', 'not older than this: a time, or how long ago, like 10m', moment)
    .option('--limit <number>', 'largest number of samples', upTo(20_000), 50)
    .action(async (vin, options) => (await import('./telemetry.ts')).showTelemetry(vin, options));
}

function onVehicle(parent: Command, name: string, summary: string, examples: string): Command {
  return withLogIn(withOutput(command(parent, name, summary, examples)))
    .argument('<vin>', 'the vehicle')
    .requiredOption('--server <url>', 'the backend');
}

function seconds(value: string): number {
  const parsed = Number(value);
  if (value.trim() !== '' && parsed > 0 && parsed <= 86_400) return parsed;
  throw new InvalidArgumentError('expected seconds, more than 0 and at most 86400');
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const LONGEST_SPAN_S = 30 * 86_400;

/** Returns seconds. */
function span(value: string): number {
  const [, count, unit] = /^(\d{1,8})([smhd]?)$/.exec(value) ?? [];
  const parsed = Number(count) * (UNITS[unit || 's'] ?? Number.NaN);
  if (parsed >= 1 && parsed <= LONGEST_SPAN_S) return parsed;
  throw new InvalidArgumentError('expected a time like 90s, 10m, 2h or 1d, at most 30d');
}

function moment(value: string): string | number {
  if (/^\d{4}-/.test(value) && !Number.isNaN(Date.parse(value))) {
    return new Date(value).toISOString();
  }
  try {
    return span(value);
  } catch {
    throw new InvalidArgumentError('expected a time like 2026-11-21T12:00:00Z, or 10m, 2h, 1d ago');
  }
}

function priority(value: string): number {
  if (/^[0-9]$/.test(value)) return Number(value);
  throw new InvalidArgumentError('expected a whole number from 0 to 9');
}

function upTo(most: number): (value: string) => number {
  return (value) => {
    const parsed = Number(value);
    if (/^\d+$/.test(value) && parsed >= 1 && parsed <= most) return parsed;
    throw new InvalidArgumentError(`expected a whole number from 1 to ${most}`);
  };
}
