// `can-ota vehicle`: a vehicle file to begin with, its check, and its schema.

import type { Command } from 'commander';
import { command, withOutput } from '../program-options.ts';

export function addVehicle(program: Command): void {
  const vehicle = command(
    program,
    'vehicle',
    'Vehicle files: one to begin with, its check, its schema.',
    `can-ota vehicle new 1CANXTATEST000001 > vehicle.yaml
       can-ota vehicle check vehicle.yaml`,
  );
  withOutput(
    command(
      vehicle,
      'new',
      'Print a vehicle file of four ECUs with a VIN of your own and without secrets.',
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
