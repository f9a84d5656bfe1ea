// Changes a repository's Root and offline Targets: begin, change keys and thresholds, sign, renew.

import type { Clock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { RepositoryWriter } from '../trust/repository-writer.ts';
import {
  addSignature,
  buildRoot,
  fileBytes,
  type RoleKeys,
  type RolePayload,
  roleKeysOf,
  type TargetSpec,
} from '../trust/role-signing.ts';
import { keyIdOf, type Signer } from '../trust/signing-key.ts';
import {
  currentRoot,
  type Draft,
  draftName,
  finalName,
  keepDraft,
  missingOf,
  type Need,
  needsOf,
  openDraft,
  parse,
  signDraft,
} from './draft.ts';
import type { KeyFolder, KnownKey } from './folder.ts';
import type { Passphrases } from './passphrase.ts';
import { highestAside } from './set-aside.ts';

export const DAY_MS = 86_400_000;
export const DEFAULT_VALIDITY_DAYS = 365;

export interface CeremonyOptions {
  readonly folder: KeyFolder;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly passphrases: Passphrases;
  /** Validity of a new signature in days. */
  readonly validityDays: number;
  /** The keys that sign; undefined: all needed keys in files of this folder that can be opened. */
  readonly signWith: readonly string[] | undefined;
}

/** The result of a change. */
export interface CeremonyOutcome {
  readonly repository: RepositoryName;
  readonly role: 'root' | 'targets';
  readonly version: number;
  readonly state: 'draft' | 'finished';
  /** Present place of the file, relative to the folder. */
  readonly file: string;
  readonly needs: readonly Need[];
  /** Names of the keys that signed in this step. */
  readonly signedBy: readonly string[];
  /** Needed keys of this folder that did not sign, with the reason. */
  readonly skipped: readonly { readonly key: string; readonly reason: string }[];
  /** Number of signatures of an earlier draft that are no longer valid. */
  readonly dropped: number;
}

export class Ceremony {
  readonly #options: CeremonyOptions;

  constructor(options: CeremonyOptions) {
    this.#options = options;
  }

  /** Makes Root version 1. Throws InputError when there is already a Root. */
  async begin(
    repository: RepositoryName,
    roles: Readonly<Record<string, RoleKeys>>,
  ): Promise<CeremonyOutcome> {
    const { folder } = this.#options;
    if ((await currentRoot(folder, repository)) !== undefined) {
      throw new InputError(
        folder.path(repository),
        'there is a Root already: change it by can-ota keys rotate, revoke, threshold',
      );
    }
    const root = buildRoot({ version: 1, expiresMs: this.#expiresMs(), roles });
    return this.#collect({ repository, role: 'root', version: 1, bytes: unsigned(root) }, 0);
  }

  /**
   * Makes the next Root. A draft of it that waits for signatures is changed, and its signers must sign again. `change`
   * edits the roles by name; without it only the expiry changes.
   */
  async changeRoot(
    repository: RepositoryName,
    change: (roles: Map<string, RoleKeys>) => void = () => {},
  ): Promise<CeremonyOutcome[]> {
    const { folder } = this.#options;
    const current = await currentRoot(folder, repository);
    if (current === undefined) {
      throw new InputError(folder.path(repository), 'there is no Root yet: can-ota keys init');
    }
    const draft = await openDraft(folder, repository, 'root');
    const base = draft === undefined ? undefined : parse(draft.bytes, draftName(draft));
    const roles = rolesOf(base?.signed ?? current.signed);
    change(roles);
    for (const [name, role] of roles) requirePossible(repository, name, role);
    const version = current.signed.version + 1;
    const root = buildRoot({
      version,
      expiresMs: this.#expiresMs(),
      roles: Object.fromEntries(roles),
    });
    const outcome = await this.#collect(
      { repository, role: 'root', version, bytes: unsigned(root) },
      base?.signatures.length ?? 0,
    );
    return [outcome, ...(await this.#followRoot(outcome))];
  }

  /** Changes the Targets of the image repository by `change`; it continues with a draft that waits for signatures. */
  async changeTargets(
    change: (writer: RepositoryWriter) => void = () => {},
  ): Promise<CeremonyOutcome> {
    const { folder, clock, validityDays } = this.#options;
    const opened = RepositoryWriter.open(await folder.metadata('images'), {
      signers: {},
      validityMs: { targets: validityDays * DAY_MS },
    });
    if (!opened.ok) {
      throw new InputError(
        folder.path(`images/${opened.where}`),
        `${opened.code}: ${opened.reason}`,
      );
    }
    const writer = opened.value;
    const waiting = await openDraft(folder, 'images', 'targets');
    const draft = waiting === undefined ? undefined : parse(waiting.bytes, draftName(waiting));
    if (draft !== undefined) {
      writer.setTargets(
        new Map(Object.entries(draft.signed.targets as Record<string, TargetSpec>)),
      );
    }
    change(writer);
    const following = writer.nextTargets(clock.wallMs());
    const version = Math.max(following.version, (await highestAside(folder)) + 1);
    const next = { ...following, version };
    return this.#collect(
      { repository: 'images', role: 'targets', version: next.version, bytes: unsigned(next) },
      draft?.signatures.length ?? 0,
    );
  }

  /**
   * Adds signatures of keys in this folder. After a finished Root, Targets are signed again where their keys changed.
   */
  async sign(draft: Draft): Promise<CeremonyOutcome[]> {
    const outcome = await this.#collect(draft, 0);
    return [outcome, ...(await this.#followRoot(outcome))];
  }

  /** Signs a file whose draft is in another folder. */
  async signElsewhere(file: Uint8Array, keys: readonly KnownKey[]): Promise<Uint8Array> {
    let bytes = file;
    for (const key of keys) bytes = await addSignature(bytes, await this.#signer(key));
    return bytes;
  }

  async #collect(draft: Draft, dropped: number): Promise<CeremonyOutcome> {
    const { folder, clock } = this.#options;
    const named = this.#options.signWith !== undefined;
    let candidates = await this.#candidates();
    let current = draft;
    const signedBy: string[] = [];
    const skipped: { key: string; reason: string }[] = [];
    for (;;) {
      const needs = await needsOf(folder, current);
      if (named) for (const key of candidates) requireUseful(key, needs);
      const key = mostUseful(candidates, needs, named);
      if (key === undefined) break;
      candidates = candidates.filter((other) => other !== key);
      try {
        current = await signDraft(current, [await this.#signer(key)]);
        signedBy.push(key.name);
      } catch (error) {
        // Each person has a separate passphrase: a key that this one does not open is left to its owner.
        if (named || key.kept !== 'encrypted-file' || !(error instanceof InputError)) throw error;
        skipped.push({ key: key.name, reason: error.message });
      }
    }
    const needs = await needsOf(folder, current);
    const state = await keepDraft(folder, current, clock.wallMs());
    return {
      repository: draft.repository,
      role: draft.role,
      version: draft.version,
      state,
      file: state === 'finished' ? finalName(draft) : draftName(draft),
      needs,
      signedBy,
      skipped,
      dropped,
    };
  }

  /** Signs Targets again when a new Root removes the keys with which they were signed. */
  async #followRoot(root: CeremonyOutcome): Promise<CeremonyOutcome[]> {
    const { folder } = this.#options;
    if (root.role !== 'root' || root.state !== 'finished' || root.repository !== 'images')
      return [];
    const version = (await folder.versions('images', 'targets')).at(-1);
    if (version === undefined) return [];
    const name = `images/${version}.targets.json`;
    const bytes = present(await folder.storage.read(name), name);
    const needs = await needsOf(folder, { repository: 'images', role: 'targets', version, bytes });
    return missingOf(needs) === 0 ? [] : [await this.changeTargets()];
  }

  /** The keys that may sign, sorted by name. */
  async #candidates(): Promise<KnownKey[]> {
    const { folder, signWith } = this.#options;
    if (signWith !== undefined) return Promise.all(signWith.map((name) => folder.key(name)));
    // A token counts wrong PINs, so it signs only when it is named.
    return (await folder.keys()).filter(({ kept }) => kept === 'file' || kept === 'encrypted-file');
  }

  #signer(key: KnownKey): Promise<Signer> {
    return this.#options.folder.signer(key, this.#options.passphrases);
  }

  #expiresMs(): number {
    return this.#options.clock.wallMs() + this.#options.validityDays * DAY_MS;
  }
}

/** The roles by name, with their keys. */
export function rolesOf(root: RolePayload): Map<string, RoleKeys> {
  const names = Object.keys(root.roles as Record<string, unknown>);
  return new Map(names.map((name) => [name, present(roleKeysOf(root, name), `role ${name}`)]));
}

function requirePossible(repository: string, name: string, { keys, threshold }: RoleKeys): void {
  const count = new Set(keys.map(keyIdOf)).size;
  if (threshold >= 1 && threshold <= count) return;
  throw new InputError(
    `${repository} ${name}`,
    `a threshold of ${threshold} with ${count} ${count === 1 ? 'key' : 'keys'} cannot be met: ` +
      'add a key, or lower the threshold first',
  );
}

/**
 * The key whose signature counts for most of the missing groups. A key that the change removes signs only when the
 * others are too few. Without being named, no key adds a signature that is not needed.
 */
function mostUseful(
  candidates: readonly KnownKey[],
  needs: readonly Need[],
  named: boolean,
): KnownKey | undefined {
  const use = ({ keyId }: KnownKey): number =>
    needs.filter(({ count }) => (named || count.missing > 0) && count.unsigned.includes(keyId))
      .length;
  const [best] = [...candidates].sort((a, b) => use(b) - use(a));
  return best !== undefined && use(best) > 0 ? best : undefined;
}

function requireUseful({ name, keyId }: KnownKey, needs: readonly Need[]): void {
  const may = ({ count }: Need): boolean =>
    count.signed.includes(keyId) || count.unsigned.includes(keyId);
  if (needs.some(may)) return;
  throw new InputError(
    name,
    `no Root names this key for what is to be signed (${needs.map(({ by }) => by).join(', ')})`,
  );
}

function unsigned(signed: RolePayload): Uint8Array {
  return fileBytes({ signatures: [], signed });
}
