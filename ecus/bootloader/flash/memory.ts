// Everything of an ECU that outlives a reset: flash, data, identity, trust, chip number.

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
  /** FD10: of the chip, or another one when that fault was asked for. */
  readonly deviceId: Uint8Array;
  /** F191; differs from the vehicle file when that fault was asked for. */
  readonly hardwareId: string;
}

/** From now on nothing reaches the disk any more, as when the supply breaks down. */
export function powerOff({ flash, nv, identity, trust, resume }: EcuMemory): void {
  for (const part of [flash, nv, identity, trust, resume]) part.powerOff();
}

/** Resolves when everything stored so far is durable or has failed, and no file is open. */
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
