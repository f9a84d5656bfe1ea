// What the Primary trusts, on disk: the metadata of both repositories, the time floor, counters. Durable before it counts.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import type { RepositoryName } from '../../campaign/ports.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Storage } from '../../core/storage.ts';
import { ATTACKS, type AttackCode, faultText } from '../../trust/attack.ts';
import type { VehicleTrust } from '../../trust/full-verification.ts';
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

/** What a floor guards, for the person who has to decide without it. */
const FLOORS = {
  [TIME_FILE]:
    'the latest attested time, below which no time is believed. ' +
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
/** The first Roots, where the state directory has none yet. */
export type TrustAnchors = Readonly<Record<RepositoryName, Uint8Array>>;

interface Repository {
  trust: RepositoryTrust;
  /** By storage name: what is on disk. */
  written: Map<string, Uint8Array>;
  roots: Map<number, Uint8Array>;
}

export class TrustFiles {
  readonly #storage: Storage;
  readonly #repositories: Record<RepositoryName, Repository>;
  #floorMs: number;
  #report: z.infer<typeof reportSchema>;
  #counters: Readonly<Record<string, number>>;

  private constructor(
    storage: Storage,
    repositories: Record<RepositoryName, Repository>,
    rest: {
      floorMs: number;
      report: z.infer<typeof reportSchema>;
      counters: Record<string, number>;
    },
  ) {
    this.#storage = storage;
    this.#repositories = repositories;
    this.#floorMs = rest.floorMs;
    this.#report = rest.report;
    this.#counters = rest.counters;
  }

  /** Throws InputError where there is no Root to begin with, or where a Root, the time floor or a counter is damaged. */
  static async open(storage: Storage, logger: Logger, anchors?: TrustAnchors): Promise<TrustFiles> {
    const opened: Partial<Record<RepositoryName, Repository>> = {};
    for (const name of REPOSITORIES) {
      opened[name] = await openRepository(storage, name, logger, anchors?.[name]);
    }
    const time = await readFloor(storage, TIME_FILE, timeSchema);
    const report = await readFloor(storage, REPORT_FILE, reportSchema);
    return new TrustFiles(storage, opened as Record<RepositoryName, Repository>, {
      floorMs: time?.timeMs ?? 0,
      report: report ?? { counter: 0, attack: null },
      counters: (await readFloor(storage, COUNTERS_FILE, countersSchema)) ?? {},
    });
  }

  get trust(): VehicleTrust {
    const { director, images } = this.#repositories;
    return { director: director.trust, images: images.trust };
  }

  /** Every Root that was ever trusted, for ECUs that are behind. */
  get roots(): Readonly<Record<RepositoryName, Roots>> {
    const { director, images } = this.#repositories;
    return { director: director.roots, images: images.roots };
  }

  /** The latest attested time, milliseconds since 1970; 0 before the first. */
  get floorMs(): number {
    return this.#floorMs;
  }

  get attack(): AttackCode | null {
    return this.#report.attack;
  }

  /** By serial: the release counter that was installed last. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  /**
   * Durable when it resolves, and whole after a power cut at any instant: a Root comes before what it signs, and what
   * a new Root does not accept any more is left out when the files are read again.
   */
  async save(trust: VehicleTrust): Promise<void> {
    for (const name of REPOSITORIES) {
      const repository = this.#repositories[name];
      if (repository.trust === trust[name]) continue;
      // A time far ahead that a stolen key has signed would keep everything expired for ever: it goes with that key.
      // It goes before the Root is saved, so that no power cut can keep it.
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
    const root = files.get(ROOT)!;
    const { root: version } = versionsOf(trust);
    if (!repository.roots.has(version)) {
      await this.#storage.replace(`${FOLDER}/${name}/${version}.${ROOT}`, root);
      repository.roots.set(version, root);
    }
    const order = [ROOT, ...[...files.keys()].filter((file) => file !== ROOT)];
    for (const file of order) {
      const bytes = files.get(file)!;
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

  /** Time never goes back (5.4.4.1), unless a key that may have signed it is taken away. */
  async raiseFloor(timeMs: number): Promise<void> {
    if (timeMs <= this.#floorMs) return;
    await this.#write(TIME_FILE, { timeMs });
    this.#floorMs = timeMs;
  }

  async #forgetTime(): Promise<void> {
    await this.#write(TIME_FILE, { timeMs: 0 });
    this.#floorMs = 0;
  }

  /**
   * For reports that the Primary signs: a number that was never used before, durable before it is used. Seconds since
   * 1970 where they are more, so that a state directory that was lost does not begin below what the Director knows.
   */
  async nextCounter(wallMs: number): Promise<number> {
    const counter = Math.max(this.#report.counter + 1, Math.floor(wallMs / 1000));
    await this.#setReport({ ...this.#report, counter });
    return counter;
  }

  /** What the next manifest says was detected; null after a check that passed. */
  async setAttack(attack: AttackCode | null): Promise<void> {
    if (this.#report.attack !== attack) await this.#setReport({ ...this.#report, attack });
  }

  async raiseCounters(changes: Readonly<Record<string, number>>): Promise<void> {
    const next = { ...this.#counters };
    for (const [serial, counter] of Object.entries(changes)) {
      next[serial] = Math.max(counter, next[serial] ?? 0);
    }
    if (JSON.stringify(next) === JSON.stringify(this.#counters)) return;
    await this.#write(COUNTERS_FILE, next);
    this.#counters = next;
  }

  async #setReport(report: z.infer<typeof reportSchema>): Promise<void> {
    await this.#write(REPORT_FILE, report);
    this.#report = report;
  }

  async #write(file: FloorFile, value: object): Promise<void> {
    const sealed = { ...value, sha256: digestOf(value) };
    await this.#storage.replace(file, new TextEncoder().encode(`${JSON.stringify(sealed)}\n`));
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
    const bytes = (await storage.read(`${folder}/${file}`))!;
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
    await storage.replace(`${folder}/${version}.${ROOT}`, written.get(ROOT)!);
    roots.set(version, written.get(ROOT)!);
  }
  return { trust, written, roots };
}

/** File names of roles are safe for a folder; one that looks like a numbered Root is not kept, but fetched each time. */
function storageNames(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...files].filter(([file]) => !NUMBERED_ROOT.test(file)));
}

/**
 * Undefined where there is none: nothing was verified yet, or a person has taken a damaged one away. A damaged floor is
 * no lower floor (5.4.4.1: time never goes back; 5.4.4.2 step 10.2.3): InputError. A file without `sha256` was written
 * by hand.
 */
async function readFloor<T>(
  storage: Storage,
  file: FloorFile,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const bytes = await storage.read(file);
  if (bytes === undefined) return undefined;
  const damaged = (what: string): InputError =>
    new InputError(
      `${storage.location}/${file}`,
      `is damaged (${what}): put a copy back. It holds ${FLOORS[file]}`,
    );
  const json = parseJson(bytes, file);
  if (!json.ok) throw damaged(json.reason);
  if (!isObject(json.value)) throw damaged('not a JSON object');
  const { sha256: digest, ...content } = json.value;
  if (digest !== undefined && digest !== digestOf(content)) {
    throw damaged('its SHA-256 is not that of its content');
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw damaged(z.prettifyError(parsed.error));
  return parsed.data;
}

function digestOf(content: object): string {
  return toHex(sha256(new TextEncoder().encode(JSON.stringify(content))));
}
