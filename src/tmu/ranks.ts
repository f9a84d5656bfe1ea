// Which ECUs are activated together: the ranks of a vehicle, from `order`, `dependsOn` and the bank layout.

import type { PlannedEcu } from '../campaign/decide.ts';
import { busOf } from '../vehicle/check-references.ts';
import { activationOrder } from '../vehicle/load.ts';
import { memoryRoom } from '../vehicle/memory.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';

/** All ECUs in their order of activation; ranks rise from 0. */
export function plannedEcus(vehicle: Vehicle): PlannedEcu[] {
  let rank = -1;
  let together: VehicleEcu[] = [];
  return activationOrder(vehicle).map((ecu) => {
    if (rank < 0 || !joins(ecu, together)) {
      rank++;
      together = [];
    }
    together.push(ecu);
    return {
      name: ecu.name,
      hardwareId: ecu.hardwareId,
      bankSize: memoryRoom(ecu.memory),
      address: ecu.programming.segments === 'one' ? ecu.memory.address : undefined,
      rank,
      bus: busOf(vehicle, ecu),
    };
  });
}

function joins(ecu: VehicleEcu, together: readonly VehicleEcu[]): boolean {
  return (
    // The activation itself writes a single bank, so a failure must concern one ECU only.
    !hasOneBank(ecu) &&
    together.every(
      (other) =>
        other.order === ecu.order && !hasOneBank(other) && !ecu.dependsOn.includes(other.name),
    )
  );
}

/** Whether the new image overwrites the running one; a rollback then transfers the previous image over the bus. */
export function hasOneBank({ programming }: VehicleEcu): boolean {
  return programming.activation === 'reset';
}
