// `can-ota vehicle new`, `check`, `schema`.

import { readFile } from 'node:fs/promises';
import { ExitCode } from '../../core/exit-code.ts';
import { packageRoot } from '../../core/package-root.ts';
import { peerText } from '../../drivers/exchange.ts';
import { newVehicleText } from '../../onboard/new-vehicle.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { parseVehicle } from '../../vehicle/load.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import { type CommonOptions, runCommand } from '../context.ts';

/** Prints YAML, also with --json: it is the product. */
export function newVehicle(vin: string, options: CommonOptions): Promise<void> {
  return runCommand(options, async () => {
    const text = await newVehicleText(vin);
    parseVehicle(text, 'the new vehicle file');
    process.stdout.write(text);
    return ExitCode.success;
  });
}

export function checkVehicle(file: string, options: CommonOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { vin, ecus, conditions } = await loadVehicle(file, false);
    context.say(`${file} is right: ${vin}, ${ecus.length} ECUs, ${conditions.length} conditions`);
    for (const ecu of ecus)
      context.say(`  ${peerText(ecu)}  ${ecu.hardwareId}, ${securityText(ecu)}`);
    context.emit({ file, vin, ecus: ecus.map(({ name, hardwareId }) => ({ name, hardwareId })) });
    return ExitCode.success;
  });
}

/** The published file, byte for byte. */
export function vehicleSchema(options: CommonOptions): Promise<void> {
  return runCommand(options, async () => {
    process.stdout.write(await readFile(`${packageRoot}/src/vehicle/vehicle.schema.json`, 'utf8'));
    return ExitCode.success;
  });
}

function securityText({ security }: VehicleEcu): string {
  return security.algorithm === 'none'
    ? 'no SecurityAccess'
    : `SecurityAccess ${security.algorithm}, level ${security.level}`;
}
