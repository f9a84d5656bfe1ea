// `can-ota vehicle`: a vehicle file to begin with, its check, and its schema.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { command, withBeside, withBus, withOutput } from '../program-options.ts';

export function addVehicle(program: Command): void {
  const vehicle = command(
    program,
    'vehicle',
    'Vehicle files: one to begin with, its check, its schema.',
    `can-ota vehicle init vehicle.yaml --bus can0
       can-ota vehicle new 1CANXTATEST000001 > vehicle.yaml
       can-ota vehicle check vehicle.yaml`,
  );
  addInit(vehicle);
  withOutput(
    command(
      vehicle,
      'new',
      'Print the vehicle file of the bench with a VIN of your own: "init - --template bench --vin VIN".',
      'can-ota vehicle new 1CANXTATEST000001 > vehicle.yaml',
    ),
  )
    .argument('<vin>', '17 characters without I, O and Q')
    .action(async (vin, options) => (await import('./vehicle.ts')).newVehicle(vin, options));
  withOutput(
    command(
      vehicle,
      'check',
      'Check a vehicle file and say what is in it.',
      `can-ota vehicle check vehicle.yaml
       can-ota vehicle check vehicle.yaml --json`,
    ),
  )
    .argument('<file>', 'vehicle file')
    .action(async (file, options) => (await import('./vehicle.ts')).checkVehicle(file, options));
  withOutput(
    command(
      vehicle,
      'schema',
      'Print the JSON schema of vehicle files, for editors.',
      'can-ota vehicle schema > vehicle.schema.json',
    ),
  ).action(async (options) => (await import('./vehicle.ts')).vehicleSchema(options));
}

function addInit(vehicle: Command): void {
  withBeside(
    withBus(
      command(
        vehicle,
        'init',
        'Write a commented vehicle file from the ECUs that answer on the bus, or from a template.',
        `can-ota vehicle init vehicle.yaml --bus can0
       can-ota vehicle init --bus can0 --ids 29 --yes --json
       can-ota vehicle init engine.yaml --template vw-like --vin 1CANXTATEST000001
       can-ota vehicle init - --template bench`,
      ),
    ),
  )
    .argument('[file]', 'file to write, never replaced; - is standard output', 'vehicle.yaml')
    .option(
      '--template <name>',
      'send nothing: the bench vehicle of four ECUs (bench), or one ECU with a profile (plain-uds, vw-like, ..., or a file)',
    )
    .option('--vin <vin>', 'VIN of the vehicle (default: as an ECU tells it)')
    .addOption(
      new Option('--ids <width>', '11 bit: 700 to 7FF; 29 bit: 18DAxxF1')
        .choices(['11', '29', 'both'])
        .default('both'),
    )
    .option(
      '--wait <ms>',
      'pause behind each request: longer for slow ECUs, and for less load on the bus',
      wait,
      60,
    )
    .option('--yes', 'do not ask before the scan')
    .addHelpText(
      'after',
      `
The scan asks first, and says how many frames it sends and how long it takes. It listens for a second, leaves out
identifiers that other nodes send with, and sends 3E 00 to each other one; the identifier of the answer is heard, never
guessed, and confirmed by a second question (22 F186). Then each ECU is read (22). No session is changed.`,
    )
    .action(async (file, options) => (await import('./init.ts')).initVehicle(file, options));
}

function wait(value: string): number {
  const ms = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(ms >= 10 && ms <= 5000)) throw new InvalidArgumentError('expected 10 to 5000 ms');
  return ms;
}
