// The command `verify` with its options.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { withNetwork, withOutput } from '../program-options.ts';

/** Exit codes: 0 and 1 for a verdict, 2 for a wrong option. */
export function addVerify(program: Command): void {
  const repeated = (value: string, all: readonly string[] = []) => [...all, value];
  withNetwork(withOutput(program.command('verify')))
    .description('Verify the metadata of a Director and an image repository, as the vehicle does.')
    .requiredOption('--director <place>', 'metadata of the Director: a URL or a folder')
    .requiredOption('--images <place>', 'metadata of the image repository: a URL or a folder')
    .requiredOption('--ecu <id>', 'serial number of the ECU (repeatable)', repeated)
    .requiredOption('--hardware <id>', 'its hardware id (one for each --ecu)', repeated)
    .requiredOption(
      '--state <dir>',
      'trusted metadata between runs: director/*.json, images/*.json',
    )
    .addOption(
      new Option(
        '--profile <name>',
        'form of the metadata; aktualizr is the dialect of that client',
      )
        .choices(['strict', 'aktualizr'])
        .default('strict'),
    )
    .option('--director-root <file>', 'first Root, where the state has none')
    .option('--images-root <file>', 'the same for the image repository')
    .option(
      '--vin <vin>',
      'the vehicle (default: that of --identity; without both it is not compared)',
    )
    .option('--identity <file>', 'ask the Director as this vehicle: identity.json of its TMU')
    .option(
      '--time <time>',
      'verify as of this time, ISO 8601 (default: clock of the machine)',
      time,
    )
    .option('--counter <number>', 'release counter that the ECU has accepted', counter)
    .option('--primary', 'these are all ECUs: a further one is an attack (default with aktualizr)')
    .option('--no-primary', 'other ECUs of the vehicle are ignored (default with strict)')
    .option('--save <file>', 'write the metadata bundle for the first ECU, without a time')
    .addHelpText(
      'after',
      `
Examples:
  $ can-ota verify --director https://ota.example/director/WCANOTA0000000001/metadata \\
      --images https://ota.example/metadata --ecu CO-000002 --hardware EDT-HW-1 \\
      --state trust --identity identity.json
  $ can-ota verify --director repositories --images repositories --profile aktualizr \\
      --ecu CA:FE:A6:D2:84:9D --hardware primary_hw --state trust --json

Exit codes:
  0 verified    1 refused, or could not be verified    2 bad option    130 or 143 ended by a signal`,
    )
    .action(async (options) => (await import('./verify.ts')).verify(options));
}

/** A date, or a time with its zone. */
const ISO_8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

function time(value: string): number {
  const ms = ISO_8601.test(value) ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('expected a time like 2030-01-31T12:00:00Z');
}

function counter(value: string): number {
  const parsed = Number(value);
  if (/^\d{1,10}$/.test(value)) return parsed;
  throw new InvalidArgumentError('expected a whole number');
}
