// Everything of an ECU that outlives a reset, opened together at power-on: flash, data, identity, trust, chip number.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { InputError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Storage } from '../../../src/core/storage.ts';
import type { VehicleEcu } from '../../../src/vehicle/schema.ts';
import type { EcuProfile } from '../../profile.ts';
import type { FactoryImage } from '../factory/factory-image.ts';
import { FactoryIdentity } from '../factory/identity.ts';
import { hasShippedSecret, provisionForBench } from '../factory/lock.ts';
import type { EcuFaults } from '../faults.ts';
import { ResumeStore } from '../programming/resume-point.ts';
import { openChipId } from './chip-id.ts';
import { FlashMemory, type ProgramGate } from './flash-memory.ts';
import { NvData } from './nv-data.ts';
import { type RetainedReports, TrustStore } from './trust-store.ts';

export interface MemoryOptions {
  readonly ecu: VehicleEcu;
  readonly profile: EcuProfile;
  readonly storage: Storage;
  readonly random: Random;
  readonly logger: Logger;
  readonly faults: EcuFaults;
  /** Installed when the storage is that of a new device. */
  readonly factoryImage: FactoryImage;
  /** A virgin ECU takes the well-known keys of a bench by itself. */
  readonly benchKeys: boolean;
}

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

/** What is missing is made anew, what is damaged is told. Throws StorageError, InputError for a flash of a bench. */
export async function openMemory(
  options: MemoryOptions,
  gate: ProgramGate,
  retained?: RetainedReports,
): Promise<EcuMemory> {
  const { storage, ecu, logger, faults, random } = options;
  const { flash, state } = await FlashMemory.open({ storage, banks: ecu.memory.banks, gate });
  if (state === 'missing') {
    const { image, version } = options.factoryImage;
    await flash.install(image, version);
    logger.info({ ecu: ecu.name, version, bytes: image.length }, 'factory image installed');
  } else if (state !== 'known') {
    logger.error({ ecu: ecu.name, reason: state.damaged }, 'boot record damaged');
  }
  const { nv, damaged } = await NvData.open(
    storage,
    () => `${ecu.name}-${toHex(random.bytes(4)).toUpperCase()}`,
    options.profile.dtcs,
  );
  if (damaged !== undefined) {
    logger.error({ ecu: ecu.name, reason: damaged }, 'non-volatile data damaged, made anew');
  }
  const ownId = await openChipId(storage, random);
  const deviceId = faults.chipId === undefined ? ownId : fromHex(faults.chipId);
  const hardwareId = faults.hardwareId ?? ecu.hardwareId;
  const identity = await FactoryIdentity.open(storage);
  if (options.benchKeys) {
    await provisionForBench({ name: ecu.name, identity, flash, deviceId, hardwareId });
  } else if (hasShippedSecret(identity)) {
    throw new InputError(
      storage.location,
      'this flash was provisioned with the public keys of the bench: add --bench-keys, or begin with an empty folder',
    );
  }
  const { store: trust, warnings } = await TrustStore.open(storage, identity, retained);
  for (const reason of warnings) logger.error({ ecu: ecu.name, reason }, 'trust store');
  const resume = await ResumeStore.open(storage);
  return { flash, nv, identity, trust, resume, deviceId, hardwareId };
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
