// The memory of an ECU that survives a reset: flash, data, identity, trust, chip number.

import type { FactoryIdentity } from '../factory/identity.ts';
import type { ResumeStore } from '../programming/resume-point.ts';
import type { FlashMemory } from './flash-memory.ts';
import type { NvData } from './nv-data.ts';
import type { TrustStore } from './trust-store.ts';

export interface EcuMemory {
  readonly flash: FlashMemory;
  readonly nv: NvData;
  readonly identity: FactoryIdentity;
  readonly trust: TrustStore;
  readonly resume: ResumeStore;
  /** Chip number (FD10), or another one when that fault was requested. */
  readonly deviceId: Uint8Array;
  /** Hardware id (F191); it differs from the vehicle file when that fault was requested. */
  readonly hardwareId: string;
}

/** Simulates a power loss: from now on no data is written to disk. */
export function powerOff({ flash, nv, identity, trust, resume }: EcuMemory): void {
  for (const part of [flash, nv, identity, trust, resume]) part.powerOff();
}

/** Closes the memory; resolves when all writes are durable or have failed, and no file is open. */
export async function closeMemory({
  flash,
  nv,
  identity,
  trust,
  resume,
}: EcuMemory): Promise<void> {
  await flash.close();
  await Promise.all([nv, identity, trust, resume].map((part) => part.settled()));
}
