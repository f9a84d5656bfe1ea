// The options of `can-ota provision`.

import { type Command, InvalidArgumentError } from 'commander';
import type { ImageOption } from '../../factory/first-images.ts';
import { command, withBeside, withNetwork, withVehicle } from '../program-options.ts';

export function addProvision(program: Command): void {
  withNetwork(
    withBeside(
      withVehicle(
        command(
          program,
          'provision',
          'The factory tool: programs first images, gives every ECU and the TMU its serial number, keys and Roots, and locks their readout.',
          `can-ota provision --server http://127.0.0.1:8080 --token-file factory.token --trust trust --state-dir state --vehicle vehicle.yaml --bus can0
       can-ota provision EDT --server http://127.0.0.1:8080 --token-file factory.token --trust trust --state-dir state --vehicle vehicle.yaml
       can-ota provision --image EDT=edt.bin@1.0.0 --image INV=inv.bin@1.0.0 --server http://127.0.0.1:8080 --token-file factory.token --trust trust --state-dir state`,
        ).argument('[ecu...]', 'ECUs of the vehicle file (default: all of them)'),
      ),
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
    .requiredOption(
      '--state-dir <dir>',
      "the TMU's state directory: identity.json, device-id, trust/",
    )
    .option(
      '--device-file <file>',
      "the TMU's chip number as text (default: device-id in the state directory; made where it is missing)",
    )
    .option(
      '--factory-key <file>',
      'key of this factory, 64 hexadecimal digits: with it a locked ECU can get another VIN or TMU later',
    )
    .option(
      '--image <ecu=file[@version]>',
      'program this first image before the lock, and compare digest and version that the ECU tells afterwards (repeatable)',
      (value: string, all: readonly ImageOption[]) => [...all, imageOption(value)],
      [] as readonly ImageOption[],
    )
    .action(async (ecus, options) => (await import('./provision.ts')).provision(ecus, options));
}

function imageOption(value: string): ImageOption {
  const match = /^([^=]+)=(.+)$/.exec(value);
  if (match === null) {
    throw new InvalidArgumentError('expected ECU=FILE or ECU=FILE@VERSION, like EDT=edt.bin@1.0.0');
  }
  const [, ecu = '', place = ''] = match;
  return { ecu, place };
}
