// The options of `can-ota check`.

import { type Command, InvalidArgumentError } from 'commander';
import { withAskFields } from '../flash/field-options.ts';
import { command, withBeside, withVehicle } from '../program-options.ts';

export function addCheck(program: Command): void {
  withAskFields(
    withBeside(
      withVehicle(
        command(
          program,
          'check',
          'Ask every ECU what it is and what it answers, and change none: before a first update on a real bus.',
          `can-ota check --vehicle vehicle.yaml --bus can0
       can-ota check ENGINE BRAKES --vehicle vehicle.yaml --bus can0 --json
       can-ota check 7E0:7E8 --bus can0`,
        ).argument(
          '[ecu...]',
          'names in the vehicle file, or REQUEST:RESPONSE identifiers (default: every ECU of the file)',
        ),
      ),
    ),
  )
    .option(
      '--level <number>',
      'security access level whose seed is requested, odd (default: that of the vehicle file, else 1)',
      level,
    )
    .addHelpText(
      'after',
      `
Sent are 3E 00, 22 with the identifiers F180 to F19F, 10 03, 27 with an odd level (a seed is requested, no key is
sent), and 10 01 at the end. Never sent are 10 02, 11, 14, 28, 2E, 2F, 31, 34 to 38 and 85. An ECU that another
tester has put into a session of its own stays in it.
Exit code: 0 where every ECU answered, 13 where one did not.`,
    )
    .action(async (ecus, options) => (await import('./check.ts')).check(ecus, options));
}

function level(value: string): number {
  const parsed = /^(?:0x[0-9a-fA-F]+|\d+)$/.test(value) ? Number(value) : Number.NaN;
  if (!(parsed >= 1 && parsed <= 0x7d && parsed % 2 === 1)) {
    throw new InvalidArgumentError('expected an odd number from 1 to 125');
  }
  return parsed;
}
