// The memory of an ECU as the vehicle file describes it.

import type { VehicleEcu } from './schema.ts';

type EcuMemory = VehicleEcu['memory'];
export type MemoryRegion = NonNullable<EcuMemory['regions']>[number];

/** Where an image may lie: the regions of the vehicle file, or the bank. */
export function regionsOf({ regions, address, bankSize }: EcuMemory): readonly MemoryRegion[] {
  return regions ?? [{ address, size: bankSize, eraseUnit: 1 }];
}

/** Bytes that the longest image may have. */
export function memoryRoom(memory: EcuMemory): number {
  return regionsOf(memory).reduce((sum, { size }) => sum + size, 0);
}

/** The field of the vehicle file that limits it. */
export function roomField({ regions }: EcuMemory): string {
  return regions === undefined ? 'memory.bankSize' : 'memory.regions';
}
