// Which vehicle a command works on: a file of the user, or the bench vehicle that comes with the package.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError, systemErrorCode } from '../core/errors.ts';
import { packageRoot } from '../core/package-root.ts';
import { parseVehicle } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';

export const benchVehicleFile = path.join(packageRoot, 'ecus', 'bench-vehicle.yaml');

/** Throws InputError that names the file and what to do. */
export async function loadVehicle(file: string | undefined, fd: boolean): Promise<Vehicle> {
  const where = file ?? benchVehicleFile;
  const vehicle = parseVehicle(await readTextFile(where, '--vehicle'), where);
  return fd ? { ...vehicle, ecus: vehicle.ecus.map(withFd) } : vehicle;
}

/** CAN FD with full frames, unless the file says more. */
export function withFd(ecu: VehicleEcu): VehicleEcu {
  return ecu.fd === false ? { ...ecu, fd: { txDl: 64, brs: true } } : ecu;
}

export async function readTextFile(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new InputError(option, fileFault(file, error), { cause: error });
  }
}

/** What a person can do about a file that cannot be read. */
export function fileFault(file: string, error: unknown): string {
  switch (systemErrorCode(error)) {
    case 'ENOENT':
      return `${file} does not exist`;
    case 'EISDIR':
      return `${file} is a folder, a file is expected`;
    case 'EACCES':
      return `${file} may not be read: check its owner and mode`;
    default:
      return `${file} cannot be read`;
  }
}
