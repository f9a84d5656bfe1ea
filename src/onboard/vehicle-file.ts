// The vehicle of a command: a file of the user, or the bench vehicle that comes with the package.

import path from 'node:path';
import { packageRoot } from '../core/package-root.ts';
import { readTextFile } from '../core/text-file.ts';
import { parseVehicle } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { readProfile } from './profiles.ts';

export const benchVehicleFile = path.join(packageRoot, 'ecus', 'bench-vehicle.yaml');

/** Throws InputError that names the file and what to do. */
export async function loadVehicle(file: string | undefined, fd: boolean): Promise<Vehicle> {
  const where = file ?? benchVehicleFile;
  const folder = path.dirname(path.resolve(where));
  const text = await readTextFile(where, '--vehicle');
  const vehicle = parseVehicle(text, where, (name) => readProfile(name, folder));
  const ecus = vehicle.ecus.map((ecu) => withFolder(fd ? withFd(ecu) : ecu, folder));
  return { ...vehicle, ecus };
}

/** Files that the vehicle file names are relative to it. */
function withFolder(ecu: VehicleEcu, folder: string): VehicleEcu {
  const { secondBootLoader } = ecu.programming;
  if (secondBootLoader === undefined) return ecu;
  const file = path.resolve(folder, secondBootLoader.file);
  return {
    ...ecu,
    programming: { ...ecu.programming, secondBootLoader: { ...secondBootLoader, file } },
  };
}

/** CAN FD with full frames, unless the file has other settings. XCP 1.0 has classic frames. */
export function withFd(ecu: VehicleEcu): VehicleEcu {
  return ecu.fd === false && ecu.programming.protocol === 'uds'
    ? { ...ecu, fd: { txDl: 64, brs: true } }
    : ecu;
}
