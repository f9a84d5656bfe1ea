// The trusted state of `can-ota verify` between runs: a folder for each repository, durable before the next request.

import { equalBytes } from '../../core/bytes.ts';
import { present } from '../../core/present.ts';
import type { Storage } from '../../core/storage.ts';
import { refused, type Verdict } from '../../trust/attack.ts';
import type { RootHistory } from '../../trust/bundle.ts';
import type { RepositoryName } from '../../trust/full-verification.ts';
import type { Dialect } from '../../trust/profile.ts';
import {
  filesOf,
  type RepositoryTrust,
  restoreTrust,
  trustRoot,
  versionsOf,
} from '../../trust/repository.ts';

const ROOT = 'root.json';
const NUMBERED_ROOT = /^([1-9]\d{0,8})\.root\.json$/;

/** `director/root.json`, `director/timestamp.json`, ... and every Root that was ever trusted as `director/N.root.json`. */
export class RepositoryState {
  readonly #storage: Storage;
  readonly #name: RepositoryName;
  readonly #dialect: Dialect;
  readonly #written = new Map<string, Uint8Array>();
  readonly #roots = new Map<number, Uint8Array>();
  #trust: RepositoryTrust | undefined;
  /** Files that are damaged or that the Root does not accept. */
  readonly dropped: string[] = [];

  private constructor(storage: Storage, name: RepositoryName, dialect: Dialect) {
    this.#storage = storage;
    this.#name = name;
    this.#dialect = dialect;
  }

  /** A damaged Root is an error: starting again with the Root that is served now would help an attacker. */
  static async open(
    storage: Storage,
    name: RepositoryName,
    dialect: Dialect,
  ): Promise<Verdict<RepositoryState>> {
    const state = new RepositoryState(storage, name, dialect);
    await state.#read();
    const newest = state.#roots.get(Math.max(...state.#roots.keys()));
    const root = state.#written.get(ROOT) ?? newest;
    if (root === undefined) return { ok: true, value: state };
    const restored = restoreTrust(new Map([...state.#written, [ROOT, root]]), dialect);
    if (!restored.ok) {
      const reason = `${storage.location}/${name}: ${restored.reason}: put the newest N.root.json there as ${ROOT}, name the --profile it was kept with, or begin with a new --state`;
      return refused(restored.code, `${name} ${restored.where}`, reason);
    }
    const kept = filesOf(restored.value);
    state.dropped.push(...[...state.#written.keys()].filter((file) => !kept.has(file)));
    await state.keep(restored.value);
    return { ok: true, value: state };
  }

  /** Undefined: nothing is trusted yet. */
  get trust(): RepositoryTrust | undefined {
    return this.#trust;
  }

  get roots(): RootHistory {
    return this.#roots;
  }

  /** Starts with a given Root. */
  async begin(root: Uint8Array): Promise<Verdict<void>> {
    const trust = trustRoot(root, this.#dialect);
    if (!trust.ok) return { ...trust, where: `${this.#name} ${trust.where}` };
    await this.keep(trust.value);
    return { ok: true, value: undefined };
  }

  /** Consistent after a power cut at any instant: a Root is written before what it signs, and removed files go last. */
  async keep(trust: RepositoryTrust): Promise<void> {
    if (trust === this.#trust) return;
    const files = filesOf(trust);
    const root = present(files.get(ROOT), ROOT);
    const { root: version } = versionsOf(trust);
    if (!this.#roots.has(version)) {
      await this.#storage.replace(`${this.#name}/${version}.${ROOT}`, root);
      this.#roots.set(version, root);
    }
    for (const [file, bytes] of files) {
      // A delegated role with such a name is not kept but fetched each time.
      if (NUMBERED_ROOT.test(file)) continue;
      const before = this.#written.get(file);
      if (before !== undefined && equalBytes(before, bytes)) continue;
      await this.#storage.replace(`${this.#name}/${file}`, bytes);
      this.#written.set(file, bytes);
    }
    for (const file of [...this.#written.keys()]) {
      if (files.has(file)) continue;
      await this.#storage.remove(`${this.#name}/${file}`);
      this.#written.delete(file);
    }
    this.#trust = trust;
  }

  async #read(): Promise<void> {
    for (const file of await this.#storage.list(this.#name)) {
      if (!file.endsWith('.json')) continue;
      const bytes = await this.#storage.read(`${this.#name}/${file}`);
      if (bytes === undefined) continue;
      const version = NUMBERED_ROOT.exec(file)?.[1];
      if (version === undefined) this.#written.set(file, bytes);
      else this.#roots.set(Number(version), bytes);
    }
  }
}
