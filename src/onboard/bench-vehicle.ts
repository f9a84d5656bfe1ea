// The vehicle of a bench: as the user describes it, but without the public secrets, so that the provisioned ones are used.

import type { DiskStorage } from '../core/storage.ts';
import { isShippedSecret } from '../trust/bench-keys.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { usesProvisionedKey } from '../vehicle/security/all.ts';

const FILE = 'vehicle.json';

/** Writes the description into the bench's folder, for all of its processes (JSON is YAML). Returns the file name. */
export async function writeBenchVehicle(data: DiskStorage, vehicle: Vehicle): Promise<string> {
  const own = withoutShippedSecrets(vehicle);
  await data.replace(FILE, new TextEncoder().encode(`${JSON.stringify(own, undefined, 2)}\n`));
  return `${data.location}/${FILE}`;
}

/** The same vehicle without the secrets that come with can-ota, because those protect nothing. */
export function withoutShippedSecrets(vehicle: Vehicle): Vehicle {
  const { approval } = vehicle;
  return {
    ...vehicle,
    ecus: vehicle.ecus.map(withoutShippedSecret),
    ...(approval?.key !== undefined && isShippedSecret(approval.key)
      ? { approval: { ecu: approval.ecu } }
      : {}),
  };
}

function withoutShippedSecret(ecu: VehicleEcu): VehicleEcu {
  const { security } = ecu;
  if (!usesProvisionedKey(security)) return ecu;
  const { secret, ...rest } = security;
  return secret !== undefined && isShippedSecret(secret) ? { ...ecu, security: rest } : ecu;
}
