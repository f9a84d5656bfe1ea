// The memory of an ECU at power-on: opens its parts together, and installs the factory image on a new device.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import type { Logger } from '../../../src/core/logger.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Storage } from '../../../src/core/storage.ts';
import type { BankDriver } from '../boot/bank-driver.ts';
import type { FactoryImage } from '../factory/factory-image.ts';
import { FactoryIdentity } from '../factory/identity.ts';
import { provisionForBench, refuseBenchIdentity } from '../factory/lock.ts';
import { ResumeStore } from '../programming/resume-point.ts';
import { openChipId } from './chip-id.ts';
import { FlashMemory, type ProgramGate } from './flash-memory.ts';
import type { EcuMemory } from './memory.ts';
import { NvData, type StoredDtc } from './nv-data.ts';
import { type RetainedReports, TrustStore } from './trust-store.ts';

export interface MemoryOptions {
  /** Name of the ECU, for its serial number and messages. */
  readonly name: string;
  readonly hardwareId: string;
  /** Chip number as hexadecimal digits in place of the stored one. */
  readonly chipId: string | undefined;
  readonly banks: BankDriver;
  /** Trouble codes of a new device. */
  readonly dtcs: readonly StoredDtc[];
  readonly storage: Storage;
  readonly random: Random;
  readonly logger: Logger;
  /** Image that is installed in the storage of a new device. */
  readonly factoryImage: FactoryImage;
  /** Whether a virgin ECU takes the well-known keys of a bench. */
  readonly benchKeys: boolean;
}

/**
 * Opens the memory. Missing parts are created; damaged parts are logged and created again. Throws StorageError, and
 * InputError for a flash of a bench.
 */
export async function openMemory(
  options: MemoryOptions,
  gate: ProgramGate,
  retained?: RetainedReports,
): Promise<EcuMemory> {
  const { storage, name, banks, logger, random, hardwareId } = options;
  const { flash, state } = await FlashMemory.open({ storage, banks, gate });
  if (state === 'missing') {
    const { image, version } = options.factoryImage;
    await flash.install(image, version);
    logger.info({ ecu: name, version, bytes: image.length }, 'factory image installed');
  } else if (state !== 'known') {
    logger.error({ ecu: name, reason: state.damaged }, 'boot record damaged');
  }
  const { nv, damaged } = await NvData.open(
    storage,
    () => `${name}-${toHex(random.bytes(4)).toUpperCase()}`,
    options.dtcs,
  );
  if (damaged !== undefined) {
    logger.error({ ecu: name, reason: damaged }, 'non-volatile data damaged, created again');
  }
  const ownId = await openChipId(storage, random);
  const deviceId = options.chipId === undefined ? ownId : fromHex(options.chipId);
  const identity = await FactoryIdentity.open(storage);
  if (options.benchKeys) await provisionForBench({ name, identity, flash, deviceId, hardwareId });
  else refuseBenchIdentity(identity, storage.location);
  const { store: trust, warnings } = await TrustStore.open(storage, identity, retained);
  for (const reason of warnings) logger.error({ ecu: name, reason }, 'trust store');
  const resume = await ResumeStore.open(storage);
  return { flash, nv, identity, trust, resume, deviceId, hardwareId };
}
