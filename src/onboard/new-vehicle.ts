// The text for a new vehicle file: that of the bench, with another VIN and without the public secrets.

import { readTextFile } from '../core/text-file.ts';
import { benchVehicleFile } from './vehicle-file.ts';

const HEADER = `# The description of one vehicle, for every command of can-ota (--vehicle). docs/vehicle-file.md explains each field.
# Secrets of ECUs and the key of the approval are not in here: "can-ota provision" makes them.`;

/** Keeps the lines of the shipped file. `vin` is not checked here: the text goes through `parseVehicle`. */
export async function newVehicleText(vin: string): Promise<string> {
  const shipped = await readTextFile(benchVehicleFile, 'the bench vehicle');
  const body = shipped
    .slice(shipped.indexOf('\nvin:') + 1)
    .replace(/^vin: .*$/m, `vin: ${vin}`)
    .replace(/^ +(?:secret|key): .*\n/gm, '')
    .replace(
      'ECU that asks the driver, and the key that authenticates the answer.',
      'ECU that asks the driver.',
    );
  return `${HEADER}\n${body}`;
}
