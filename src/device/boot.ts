// Boots at power-on and after a reset: the boot record decides, the bank is verified, and then it runs.

import { z } from 'zod';
import {
  type PackageRecipient,
  type SignedManifest,
  signedManifest,
  verifyPackage,
} from '../contract/chunked/package.ts';
import { DurableFile, jsonFile, readFileOnce } from '../core/durable-file.ts';
import type { Storage } from '../core/storage.ts';
import { bankDigest } from './banks.ts';
import {
  bankLetter,
  bootRecordSchema,
  type DeviceBankRecord,
  type DeviceBootRecord,
  decideBoot,
  fellBack,
} from './boot-record.ts';
import type { DeviceEvent } from './device-event.ts';
import type { WorkingMemory } from './working-memory.ts';

const FILE = 'boot-record.json';

/** The started software. */
export interface StartedSoftware {
  readonly version: string;
  readonly counter: number;
  readonly sha256: string;
  readonly trial: boolean;
}

export interface BootOptions {
  readonly storage: Storage;
  readonly memory: WorkingMemory;
  /** Facts for the check of the image's signature at each boot. */
  readonly facts: Pick<PackageRecipient, 'model' | 'releaseKey'>;
  readonly onEvent: (event: DeviceEvent) => void;
  /** Fault: new software never starts. */
  readonly refuseNew: boolean;
}

const codec = jsonFile(bootRecordSchema);

/** Stores the boot record; durable when it resolves. */
export async function writeBootRecord(storage: Storage, record: DeviceBootRecord): Promise<void> {
  await DurableFile.create(storage, FILE, codec, record);
}

/** Reads the boot record; undefined where it is missing or damaged. Throws StorageError. */
export async function readBootRecord(storage: Storage): Promise<DeviceBootRecord | undefined> {
  const read = await readFileOnce(storage, FILE, codec);
  return read.state === 'known' ? read.content : undefined;
}

export class Bootloader {
  readonly #options: BootOptions;
  readonly #file: DurableFile<DeviceBootRecord>;

  constructor(options: BootOptions, record: DeviceBootRecord) {
    this.#options = options;
    this.#file = new DurableFile(options.storage, FILE, codec, record);
  }

  get record(): DeviceBootRecord {
    return this.#file.content;
  }

  /** Stores the record atomically: the next boot finds the old one or the new one. */
  async store(record: DeviceBootRecord): Promise<void> {
    await this.#file.update(() => record);
  }

  /** Boots; undefined when no bank may run and only an update helps. */
  async boot(): Promise<StartedSoftware | undefined> {
    const { onEvent, refuseNew } = this.#options;
    for (;;) {
      const { record, run, reason } = decideBoot(this.record);
      // Store the record first, so that a bank that never starts is not tried for ever.
      await this.store(record);
      if (run === 'recovery') {
        onEvent({ kind: 'boot', mode: 'recovery', bank: null, version: null, reason });
        return undefined;
      }
      const bank = bankLetter(run.bank);
      const image = record.banks[run.bank];
      const problem = await this.#problemOf(image, run.bank);
      if (problem !== undefined) {
        onEvent({ kind: 'boot-refused', bank, reason: problem });
        await this.store(fellBack(record, problem));
        continue;
      }
      if (run.trial && refuseNew) {
        onEvent({ kind: 'boot-refused', bank, reason: `${image.version} did not start` });
        continue;
      }
      const { version, counter, sha256 } = image;
      const mode = run.trial ? 'trial' : 'confirmed';
      onEvent({ kind: 'boot', mode, bank, version, reason });
      return { version, counter, sha256, trial: run.trial };
    }
  }

  /** Why the bank may not run; undefined when it may. */
  async #problemOf(image: DeviceBankRecord, bank: 0 | 1): Promise<string | undefined> {
    const { storage, memory, facts } = this.#options;
    if (image.content !== 'valid') return `bank ${bankLetter(bank)} holds no image`;
    if (image.signed !== null) {
      const signed = parseSigned(image.signed);
      if (signed === undefined) return 'its signed package cannot be read';
      const verdict = verifyPackage(signed, { ...facts, counter: this.record.counter });
      if (!verdict.ok) return `${verdict.code}: ${verdict.reason}`;
      if (verdict.manifest.sha256 !== image.sha256)
        return 'its signed package is for another image';
    } else if (image.counter < this.record.counter) {
      return `release counter ${image.counter} is below ${this.record.counter}`;
    }
    const found = await bankDigest(storage, bank, memory);
    if (found.length === image.length && found.sha256 === image.sha256) return undefined;
    return `bank ${bankLetter(bank)} holds other bytes than the image of ${image.version}`;
  }
}

function parseSigned(text: string): SignedManifest | undefined {
  try {
    return signedManifest.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
