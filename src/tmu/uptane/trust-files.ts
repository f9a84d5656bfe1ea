// What the Primary trusts, on disk: metadata of both repositories, time floor, counters. Durable before it is used.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { DurableFile, type FileCodec } from '../../core/durable-file.ts';
import { InputError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { present } from '../../core/present.ts';
import type { Storage } from '../../core/storage.ts';
import { ATTACKS, type AttackCode, faultText } from '../../trust/attack.ts';
import type { RepositoryName, VehicleTrust } from '../../trust/full-verification.ts';
import { filesOf, type RepositoryTrust, restoreTrust, versionsOf } from '../../trust/repository.ts';
import { losesKey } from '../../trust/root-check.ts';
import { isObject, parseJson } from '../../trust/strict-json.ts';

const FOLDER = 'trust';
const TIME_FILE = `${FOLDER}/time.json`;
const REPORT_FILE = `${FOLDER}/report.json`;
const COUNTERS_FILE = `${FOLDER}/counters.json`;
const ROOT = 'root.json';
const NUMBERED_ROOT = /^([1-9]\d{0,8})\.root\.json$/;
const REPOSITORIES: readonly RepositoryName[] = ['director', 'images'];

const timeSchema = z.object({ timeMs: z.number().nonnegative() });
const reportSchema = z.object({
  counter: z.number().int().nonnegative(),
  attack: z.enum(ATTACKS).nullable(),
});
const countersSchema = z.record(z.string(), z.number().int().nonnegative());
type Counters = Readonly<Record<string, number>>;

/** What a floor guards, for the person who has to decide without the file. */
const FLOORS = {
  [TIME_FILE]:
    'the latest attested time, below which no time is accepted. ' +
    'Without a copy delete the file: the next check takes the time that the backend signs then',
  [REPORT_FILE]:
    'the number of the last version report, of which none may be used twice. ' +
    'Without a copy delete the file: the next number comes from the clock of this machine, so set that first',
  [COUNTERS_FILE]:
    'the release counters below which nothing is installed. ' +
    'Without a copy delete the file: then each ECU compares with its own counter only',
} as const;
type FloorFile = keyof typeof FLOORS;

export type Roots = ReadonlyMap<number, Uint8Array>;
/** The first Roots, for a state directory that has none yet. */
export type FirstRoots = Readonly<Record<RepositoryName, Uint8Array>>;

interface Repository {
  trust: RepositoryTrust;
  /** By storage name: the content on disk. */
  written: Map<string, Uint8Array>;
  roots: Map<number, Uint8Array>;
}

export class TrustFiles {
  readonly #storage: Storage;
  readonly #repositories: Record<RepositoryName, Repository>;
  readonly #time: DurableFile<z.infer<typeof timeSchema>>;
  readonly #report: DurableFile<z.infer<typeof reportSchema>>;
  readonly #counters: DurableFile<Counters>;

  private constructor(
    storage: Storage,
    repositories: Record<RepositoryName, Repository>,
    floors: {
      readonly time: DurableFile<z.infer<typeof timeSchema>>;
      readonly report: DurableFile<z.infer<typeof reportSchema>>;
      readonly counters: DurableFile<Counters>;
    },
  ) {
    this.#storage = storage;
    this.#repositories = repositories;
    this.#time = floors.time;
    this.#report = floors.report;
    this.#counters = floors.counters;
  }

  /** Throws InputError where there is no first Root, or where a Root, the time floor or a counter is damaged. */
  static async open(storage: Storage, logger: Logger, anchors?: FirstRoots): Promise<TrustFiles> {
    const opened: Partial<Record<RepositoryName, Repository>> = {};
    for (const name of REPOSITORIES) {
      opened[name] = await openRepository(storage, name, logger, anchors?.[name]);
    }
    return new TrustFiles(storage, opened as Record<RepositoryName, Repository>, {
      time: await openFloor(storage, TIME_FILE, timeSchema, { timeMs: 0 }),
      report: await openFloor(storage, REPORT_FILE, reportSchema, { counter: 0, attack: null }),
      counters: await openFloor(storage, COUNTERS_FILE, countersSchema, {}),
    });
  }

  get trust(): VehicleTrust {
    const { director, images } = this.#repositories;
    return { director: director.trust, images: images.trust };
  }

  /** Every Root that was ever trusted, for ECUs that still trust an old one. */
  get roots(): Readonly<Record<RepositoryName, Roots>> {
    const { director, images } = this.#repositories;
    return { director: director.roots, images: images.roots };
  }

  /** The latest attested time, milliseconds since 1970; 0 before the first. */
  get floorMs(): number {
    return this.#time.content.timeMs;
  }

  get attack(): AttackCode | null {
    return this.#report.content.attack;
  }

  /** By serial: the release counter installed last. */
  get counters(): Counters {
    return this.#counters.content;
  }

  /**
   * Durable when it resolves, and consistent after a power cut at any instant: a Root is written before the files
   * that it signs, and files that a new Root does not accept any more are dropped when they are read again.
   */
  async save(trust: VehicleTrust): Promise<void> {
    for (const name of REPOSITORIES) {
      const repository = this.#repositories[name];
      if (repository.trust === trust[name]) continue;
      // A stolen time key may have signed a time far in the future, which would keep everything expired. The time
      // floor is reset when that key is removed, before the Root is saved, so that no power cut can keep the floor.
      if (losesKey(repository.trust.root, trust[name].root, 'time')) await this.#forgetTime();
      await this.#saveOne(name, repository, trust[name]);
      repository.trust = trust[name];
    }
  }

  async #saveOne(
    name: RepositoryName,
    repository: Repository,
    trust: RepositoryTrust,
  ): Promise<void> {
    const files = storageNames(filesOf(trust));
    const root = present(files.get(ROOT), ROOT);
    const { root: version } = versionsOf(trust);
    if (!repository.roots.has(version)) {
      await this.#storage.replace(`${FOLDER}/${name}/${version}.${ROOT}`, root);
      repository.roots.set(version, root);
    }
    const others = [...files].filter(([file]) => file !== ROOT);
    for (const [file, bytes] of [[ROOT, root] as const, ...others]) {
      const before = repository.written.get(file);
      if (before !== undefined && equalBytes(before, bytes)) continue;
      await this.#storage.replace(`${FOLDER}/${name}/${file}`, bytes);
      repository.written.set(file, bytes);
    }
    for (const file of [...repository.written.keys()]) {
      if (files.has(file)) continue;
      await this.#storage.remove(`${FOLDER}/${name}/${file}`);
      repository.written.delete(file);
    }
  }

  /** Time never goes back (5.4.4.1), unless a key that may have signed it is removed. */
  async raiseFloor(timeMs: number): Promise<void> {
    await this.#time.update((time) => (timeMs <= time.timeMs ? time : { timeMs }));
  }

  async #forgetTime(): Promise<void> {
    await this.#time.update(() => ({ timeMs: 0 }));
  }

  /**
   * A number for reports that the Primary signs: never used before, and durable before it is used. At least the
   * seconds since 1970, so that a lost state directory does not start below the number that the Director knows.
   */
  async nextCounter(wallMs: number): Promise<number> {
    const report = await this.#report.update((before) => ({
      ...before,
      counter: Math.max(before.counter + 1, Math.floor(wallMs / 1000)),
    }));
    return report.counter;
  }

  /** The attack that the next manifest reports; null after a check that passed. */
  async setAttack(attack: AttackCode | null): Promise<void> {
    await this.#report.update((report) =>
      report.attack === attack ? report : { ...report, attack },
    );
  }

  async raiseCounters(changes: Readonly<Record<string, number>>): Promise<void> {
    await this.#counters.update((counters) => {
      const isNews = Object.entries(changes).some(
        ([serial, counter]) =>
          !Object.hasOwn(counters, serial) || counter > (counters[serial] ?? 0),
      );
      if (!isNews) return counters;
      const next: Record<string, number> = { ...counters };
      for (const [serial, counter] of Object.entries(changes)) {
        next[serial] = Math.max(counter, next[serial] ?? 0);
      }
      return next;
    });
  }
}

async function openRepository(
  storage: Storage,
  name: RepositoryName,
  logger: Logger,
  anchor: Uint8Array | undefined,
): Promise<Repository> {
  const folder = `${FOLDER}/${name}`;
  const written = new Map<string, Uint8Array>();
  const roots = new Map<number, Uint8Array>();
  for (const file of await storage.list(folder)) {
    if (!file.endsWith('.json')) continue;
    const bytes = present(await storage.read(`${folder}/${file}`), file);
    const version = NUMBERED_ROOT.exec(file)?.[1];
    if (version === undefined) written.set(file, bytes);
    else roots.set(Number(version), bytes);
  }
  if (!written.has(ROOT)) {
    const newest = roots.get(Math.max(...roots.keys())) ?? anchor;
    if (newest === undefined) {
      throw new InputError(
        `${storage.location}/${folder}/${ROOT}`,
        'there is no Root to trust: provision the vehicle with "can-ota provision", or use --bench-keys on a bench',
      );
    }
    await storage.replace(`${folder}/${ROOT}`, newest);
    written.set(ROOT, newest);
  }
  const restored = restoreTrust(written);
  if (!restored.ok) {
    throw new InputError(
      `${storage.location}/${folder}`,
      `what is trusted cannot be read (${faultText(restored)}): put the newest N.root.json there as root.json, ` +
        'or provision the vehicle again',
    );
  }
  const trust = restored.value;
  const whole = storageNames(filesOf(trust));
  const dropped = [...written.keys()].filter((file) => !whole.has(file));
  if (dropped.length > 0)
    logger.warn({ repository: name, dropped }, 'damaged metadata is fetched again');
  const { root: version } = versionsOf(trust);
  if (!roots.has(version)) {
    const root = present(written.get(ROOT), ROOT);
    await storage.replace(`${folder}/${version}.${ROOT}`, root);
    roots.set(version, root);
  }
  return { trust, written, roots };
}

/**
 * File names of roles are safe for a folder; a name that looks like a numbered Root is not kept but fetched each time.
 */
function storageNames(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...files].filter(([file]) => !NUMBERED_ROOT.test(file)));
}

/**
 * `none` where there is no file: nothing was verified yet, or a person has removed a damaged file. A damaged floor does
 * not lower the floor (5.4.4.1: time never goes back; 5.4.4.2 step 10.2.3): InputError.
 */
async function openFloor<T extends object>(
  storage: Storage,
  file: FloorFile,
  schema: z.ZodType<T>,
  none: T,
): Promise<DurableFile<T>> {
  const opened = await DurableFile.open(storage, file, floorFile(schema, file), none);
  if (typeof opened.state !== 'object') return opened.file;
  throw new InputError(
    `${storage.location}/${file}`,
    `is damaged (${opened.state.damaged}): put a copy back. It holds ${FLOORS[file]}`,
  );
}

/** JSON with a member `sha256` over the other members. A file without it was written by hand. */
function floorFile<T extends object>(schema: z.ZodType<T>, file: FloorFile): FileCodec<T> {
  return {
    encode(value) {
      const sealed = { ...value, sha256: digestOf(value) };
      return new TextEncoder().encode(`${JSON.stringify(sealed)}\n`);
    },
    decode(bytes) {
      const json = parseJson(bytes, file);
      if (!json.ok) return { fault: json.reason };
      if (!isObject(json.value)) return { fault: 'not a JSON object' };
      const { sha256: digest, ...content } = json.value;
      if (digest !== undefined && digest !== digestOf(content)) {
        return { fault: 'its SHA-256 is not that of its content' };
      }
      const parsed = schema.safeParse(content);
      return parsed.success ? { value: parsed.data } : { fault: z.prettifyError(parsed.error) };
    },
  };
}

function digestOf(content: object): string {
  return toHex(sha256(new TextEncoder().encode(JSON.stringify(content))));
}
