// The options of `can-ota provision`.

import type { Command } from 'commander';
import { command, withBeside, withVehicle } from './program-options.ts';

export function addProvision(program: Command): void {
  withBeside(
    withVehicle(
      command(
        program,
        'provision',
        'The factory tool: gives every ECU and the TMU its serial number, keys and Roots, and locks their readout.',
        `can-ota provision --server http://127.0.0.1:8080 --token-file factory.token --trust trust --state-dir state --vehicle vehicle.yaml --bus can0
       can-ota provision EDT --server http://127.0.0.1:8080 --token-file factory.token --trust trust --state-dir state --vehicle vehicle.yaml`,
      ).argument('[ecu...]', 'ECUs of the vehicle file (default: all of them)'),
    ),
  )
    .requiredOption('--server <url>', 'the backend with the registry')
    .requiredOption(
      '--token-file <file>',
      'token of "can-ota server token NAME --role factory", in a file',
    )
    .requiredOption(
      '--trust <dir>',
      'folder with director/N.root.json and images/N.root.json (can-ota keys export-online)',
    )
    .requiredOption('--state-dir <dir>', "the TMU's state directory: identity.json, trust/")
    .option(
      '--device-file <file>',
      "the TMU's chip number as text (default: device-id in the state directory; made where it is missing)",
    )
    .option(
      '--factory-key <file>',
      'key of this factory, 64 hexadecimal digits: with it a locked ECU can get another VIN or TMU later',
    )
    .action(async (ecus, options) => (await import('./provision.ts')).provision(ecus, options));
}
