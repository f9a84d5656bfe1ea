// The verified data of an ECU: metadata of both repositories, accepted Roots, time, counters, attacks.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { equalBytes, toHex } from '../../../src/core/bytes.ts';
import { DurableFile } from '../../../src/core/durable-file.ts';
import { sha256Hex } from '../../../src/core/names.ts';
import type { Storage } from '../../../src/core/storage.ts';
import {
  ATTACKS,
  type AttackCode,
  accepted,
  refused,
  type Verdict,
} from '../../../src/trust/attack.ts';
import type { EcuTrustState } from '../../../src/trust/bundle.ts';
import type { VehicleTrust } from '../../../src/trust/full-verification.ts';
import { checkBankRecord, type ImageHeader } from '../../../src/trust/image-header.ts';
import {
  filesOf,
  type RepositoryTrust,
  restoreTrust,
  trustRoot,
  versionsOf,
} from '../../../src/trust/repository.ts';
import type { BankIndex } from '../boot/boot-record.ts';
import type { FactoryIdentity } from '../factory/identity.ts';
import { sealedFile } from './sealed-json.ts';

const TRUST_FILE = 'trust';
const COUNTERS_FILE = 'counters';
const PREVIOUS_FILE = 'previous.trust';
const RECORD_FILES = ['bank-a.trust', 'bank-b.trust'] as const;

const files = z.record(z.string(), z.base64());

const trustSchema = z.strictObject({
  format: z.literal(1),
  director: files,
  images: files,
  /** SHA-256 of every accepted Director Root, so that images verified with an older one still boot. */
  rootDigests: z.array(sha256Hex),
});
type TrustContent = z.infer<typeof trustSchema>;

const countersSchema = z.strictObject({
  format: z.literal(1),
  /** Highest confirmed release counter. */
  security: z.number().int().min(0),
  /** Counters of version reports up to this one are reserved; no later boot uses them again. */
  report: z.number().int().min(0),
  /** The latest attested time, milliseconds since 1970; 0 before the first. */
  timeMs: z.number().int().min(0),
  /** The last detected attack; every version report from the counter `since` on contains it. */
  attack: z.strictObject({ code: z.enum(ATTACKS), since: z.number().int().min(0) }).nullable(),
});
type Counters = z.infer<typeof countersSchema>;

const NO_TRUST: TrustContent = { format: 1, director: {}, images: {}, rootDigests: [] };
const NO_COUNTERS: Counters = { format: 1, security: 0, report: 0, timeMs: 0, attack: null };

/**
 * Number of report counters that one flash write reserves. Any node may read FD22, about 500 times a second on a bus of
 * 500 kbit/s, which gives one write in half an hour.
 */
const REPORTS_AHEAD = 2 ** 20;

/** State that RAM keeps across a reset by service 11; a power cut loses it. */
export interface RetainedReports {
  readonly next: number;
  readonly until: number;
}

/** Number of cached records: two banks and the previous image. */
const PASSED_RECORDS = 3;

interface PassedRecord {
  readonly record: Uint8Array;
  readonly serial: string;
  readonly header: ImageHeader;
}

export class TrustStore {
  readonly #storage: Storage;
  readonly #files: DurableFile<TrustContent>;
  readonly #counters: DurableFile<Counters>;
  #trust: VehicleTrust | undefined;
  #passed: readonly PassedRecord[] = [];
  /** Counter of the next version report; it needs a write when it is above `counters.report`. */
  #nextReport: number;
  #poweredOff = false;
  /** Why metadata cannot be verified; undefined without a fault. Provisioning or a repair ends it. */
  #fault: string | undefined;

  private constructor(
    storage: Storage,
    files: DurableFile<TrustContent>,
    counters: DurableFile<Counters>,
    retained: RetainedReports | undefined,
  ) {
    this.#storage = storage;
    this.#files = files;
    this.#counters = counters;
    const { report } = counters.content;
    this.#nextReport = retained?.until === report ? retained.next : report + 1;
  }

  /** Opens the store. Throws StorageError. Damage does not throw: see `fault` and `warnings`. */
  static async open(
    storage: Storage,
    identity: FactoryIdentity,
    retained?: RetainedReports,
  ): Promise<{ readonly store: TrustStore; readonly warnings: readonly string[] }> {
    const trust = await DurableFile.open(storage, TRUST_FILE, sealedFile(trustSchema), NO_TRUST);
    const counters = await DurableFile.open(
      storage,
      COUNTERS_FILE,
      sealedFile(countersSchema),
      NO_COUNTERS,
    );
    const store = new TrustStore(storage, trust.file, counters.file, retained);
    const warnings: string[] = [];
    if (typeof trust.state === 'object') {
      // The factory's Roots still exist; all later metadata is fetched and verified again.
      warnings.push(
        `trusted metadata damaged, started again from the factory Roots: ${trust.state.damaged}`,
      );
    }
    if (typeof counters.state === 'object') {
      // Lost counters would restart too low, so programming is refused.
      store.#fault = `the counters are damaged (${counters.state.damaged}): the ECU must be replaced`;
    }
    store.reload(identity);
    if (store.#fault !== undefined) warnings.push(store.#fault);
    return { store, warnings };
  }

  /** Loads the files again, after the identity has got its Roots. */
  reload(identity: FactoryIdentity): void {
    this.#passed = [];
    const { directorRoot, imagesRoot } = identity.content;
    if (identity.damaged !== undefined || directorRoot === null || imagesRoot === null) {
      this.#trust = undefined;
      return;
    }
    const { director, images } = this.#files.content;
    const restored = both(restore(director, directorRoot), restore(images, imagesRoot));
    if (restored.ok) this.#trust = restored.value;
    else this.#fault = `the Roots cannot be used: ${restored.reason}`;
  }

  /** The trusted metadata; undefined before provisioning, and when the files are not valid. */
  get trust(): VehicleTrust | undefined {
    return this.#fault === undefined ? this.#trust : undefined;
  }

  get fault(): string | undefined {
    return this.#fault;
  }

  /** Digests of the Director Roots with which an image may have been verified, including the factory's. */
  rootDigests(identity: FactoryIdentity): ReadonlySet<string> {
    const { directorRoot } = identity.content;
    const first = directorRoot === null ? [] : [digestOf(Buffer.from(directorRoot, 'base64'))];
    return new Set([...first, ...this.#files.content.rootDigests]);
  }

  /**
   * The signed header of a record. A record that was verified since the boot is not verified again; the cache compares
   * exactly the bytes, which are read from the flash each time.
   */
  checkRecord(record: Uint8Array, identity: FactoryIdentity, serial: string): Verdict<ImageHeader> {
    const known = this.#passed.find(
      (each) => each.serial === serial && equalBytes(each.record, record),
    );
    if (known !== undefined) return accepted(known.header);
    const checked = checkBankRecord(record, this.rootDigests(identity), serial);
    if (checked.ok) {
      const passed = { record: Uint8Array.from(record), serial, header: checked.value };
      this.#passed = [passed, ...this.#passed].slice(0, PASSED_RECORDS);
    }
    return checked;
  }

  get counters(): Counters {
    return this.#counters.content;
  }

  /** The value of DID FD20, from which a bundle for this ECU is made. */
  state(verification: 'partial' | 'full'): EcuTrustState | undefined {
    const { trust } = this;
    if (trust === undefined) return undefined;
    const { timeMs } = this.counters;
    return {
      verification,
      director: versionsOf(trust.director),
      ...(verification === 'full' && { images: versionsOf(trust.images) }),
      counter: this.#nextReport - 1,
      time: timeMs === 0 ? null : new Date(timeMs).toISOString(),
    };
  }

  /**
   * Stores the changes of a verified bundle. The time is stored first: a power cut in between leaves older metadata
   * with a newer time, which can only refuse too much. The caller has compared the time with the previous one; it may
   * decrease only when a Root has removed a key of the role `time`.
   */
  async accept(trust: VehicleTrust, timeMs: number, roots: readonly Uint8Array[]): Promise<void> {
    await this.#counters.update((counters) => ({ ...counters, timeMs }));
    await this.#files.update((content) => ({
      format: 1,
      director: textOf(trust.director),
      images: textOf(trust.images),
      rootDigests: [...new Set([...content.rootDigests, ...roots.map(digestOf)])],
    }));
    if (!this.#poweredOff) this.#trust = trust;
  }

  /** Stores an attack until the Director has a version report with it. */
  async noteAttack(code: AttackCode): Promise<void> {
    if (this.counters.attack?.code === code) return;
    const since = this.#nextReport;
    await this.#counters.update((counters) => ({ ...counters, attack: { code, since } }));
  }

  /** Notes that the Director has the version report of this counter; false when there was none. */
  async reportReceived(counter: number): Promise<boolean> {
    if (counter < 1 || counter >= this.#nextReport) return false;
    const { attack } = this.counters;
    if (attack === null || counter < attack.since) return true;
    await this.#counters.update((counters) => ({ ...counters, attack: null }));
    return true;
  }

  /** Raises the security counter; it never decreases. */
  async raiseSecurityCounter(counter: number): Promise<void> {
    if (counter <= this.counters.security) return;
    await this.#counters.update((counters) => ({
      ...counters,
      security: Math.max(counters.security, counter),
    }));
  }

  /**
   * Counter and attack of the next version report. Counters are reserved in blocks, durably before the first of them is
   * used.
   */
  async nextReport(): Promise<{ readonly counter: number; readonly attack: AttackCode | '' }> {
    const counter = this.#nextReport++;
    if (counter > this.counters.report) {
      await this.#counters.update((counters) => ({
        ...counters,
        report: Math.max(counters.report, counter - 1 + REPORTS_AHEAD),
      }));
    }
    return { counter, attack: this.counters.attack?.code ?? '' };
  }

  /** The state for the next boot, where the reset keeps the RAM. */
  get retained(): RetainedReports {
    return { next: this.#nextReport, until: this.counters.report };
  }

  /** The signed header of a bank; undefined where there is none, as for the factory image. */
  bankRecord(bank: BankIndex): Promise<Uint8Array | undefined> {
    return this.#storage.read(RECORD_FILES[bank]);
  }

  /** Stores the header of a bank; undefined removes it. */
  storeBankRecord(bank: BankIndex, record: Uint8Array | undefined): Promise<void> {
    return this.#storeRecord(RECORD_FILES[bank], record);
  }

  /** Single bank only: the header of the previous image. */
  previousRecord(): Promise<Uint8Array | undefined> {
    return this.#storage.read(PREVIOUS_FILE);
  }

  storePrevious(record: Uint8Array | undefined): Promise<void> {
    return this.#storeRecord(PREVIOUS_FILE, record);
  }

  async #storeRecord(file: string, record: Uint8Array | undefined): Promise<void> {
    if (this.#poweredOff) return;
    if (record === undefined) await this.#storage.remove(file);
    else await this.#storage.replace(file, record);
  }

  powerOff(): void {
    this.#poweredOff = true;
    this.#files.powerOff();
    this.#counters.powerOff();
  }

  async settled(): Promise<void> {
    await Promise.all([this.#files.settled(), this.#counters.settled()]);
  }
}

/** Restores the stored metadata, or the factory's Root where none is stored. */
function restore(kept: Readonly<Record<string, string>>, anchor: string): Verdict<RepositoryTrust> {
  const entries = Object.entries(kept);
  if (entries.length === 0) return trustRoot(Buffer.from(anchor, 'base64'), 'strict');
  return restoreTrust(
    new Map(entries.map(([name, text]) => [name, Uint8Array.from(Buffer.from(text, 'base64'))])),
    'strict',
  );
}

function both(
  director: Verdict<RepositoryTrust>,
  images: Verdict<RepositoryTrust>,
): Verdict<VehicleTrust> {
  if (!director.ok) return refused(director.code, 'director', director.reason);
  if (!images.ok) return refused(images.code, 'images', images.reason);
  return accepted({ director: director.value, images: images.value });
}

function textOf(trust: RepositoryTrust): Record<string, string> {
  return Object.fromEntries(
    [...filesOf(trust)].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
  );
}

/** SHA-256 of a Root, hexadecimal. */
function digestOf(root: Uint8Array): string {
  return toHex(sha256(root));
}
