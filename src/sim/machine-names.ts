// The machines of a simulated vehicle, by the names that the bench vehicle gives them.

export const ECU_NAMES = ['CGW', 'EDT', 'INV', 'BMS'] as const;
export type EcuName = (typeof ECU_NAMES)[number];
export const MACHINE_NAMES = ['TMU', ...ECU_NAMES] as const;
export type MachineName = (typeof MACHINE_NAMES)[number];
