// The machines of a simulated vehicle: those of the bench vehicle, and an ECU of another make that some vehicles have.

/** ECUs with the bootloader of this project. */
export const OUR_ECUS = ['CGW', 'EDT', 'INV', 'BMS'] as const;
/** The on-board charger, an ECU of another make: see other-make/. */
export const OTHER_MAKE = 'OBC';
export const ECU_NAMES = [...OUR_ECUS, OTHER_MAKE] as const;
export type EcuName = (typeof ECU_NAMES)[number];
/** The machines of every vehicle. */
export const OUR_MACHINES = ['TMU', ...OUR_ECUS] as const;
export const MACHINE_NAMES = ['TMU', ...ECU_NAMES] as const;
export type MachineName = (typeof MACHINE_NAMES)[number];

/** The machines of one vehicle, in the same order for all vehicles. */
export function fittedMachines(vehicle: {
  readonly machines: ReadonlyMap<string, unknown>;
}): readonly MachineName[] {
  return MACHINE_NAMES.filter((name) => vehicle.machines.has(name));
}

export function fittedEcus(vehicle: {
  readonly machines: ReadonlyMap<string, unknown>;
}): readonly EcuName[] {
  return ECU_NAMES.filter((name) => vehicle.machines.has(name));
}
