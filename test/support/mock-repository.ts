// One repository in memory that signs anything, right or wrong. `mock-repositories.ts` has the pair of them.

import { createHash } from 'node:crypto';
import type { MetadataAnswer, MetadataRequest } from '../../src/trust/repository.ts';
import {
  buildRoot,
  buildSnapshot,
  buildTargets,
  buildTimestamp,
  type DelegationSpec,
  type MetaSpec,
  type MultiRoleSpec,
  payloadBytes,
  type RoleKeys,
  type RolePayload,
  type RoleSignature,
  type TargetSpec,
} from '../../src/trust/role-signing.ts';
import { type Signer, signerFromSeed } from '../../src/trust/signing-key.ts';

const DAY_MS = 86_400_000;

/** Keys of a mock are known to every test: the same name always makes the same key. */
export function mockSigner(name: string): Signer {
  return signerFromSeed(Uint8Array.from(createHash('sha256').update(`mock ${name}`).digest()));
}

export type Payload = Record<string, unknown> & RolePayload;

interface MockRole {
  signers: readonly Signer[];
  threshold: number;
}

/** What one role signs that its repository does not list in the Root: a supplier. */
interface DelegatedFile {
  readonly signers: readonly Signer[];
  readonly targets: Map<string, TargetSpec>;
  delegations: readonly (DelegationSpec | MultiRoleSpec)[];
  version: number;
}

type Lie = 'missing' | 'endless' | 'slow' | Uint8Array;

export interface MockOptions {
  readonly nowMs: number;
  /** Signers by role. Default: two of three for root, one of one for the others. */
  readonly roles?: Readonly<Record<string, number>>;
  readonly consistentSnapshot?: boolean;
}

export class MockRepository {
  readonly name: string;
  /** The repository's own clock: expiry of what it signs from now on counts from here. */
  nowMs: number;
  readonly #roles = new Map<string, MockRole>();
  readonly #versions = new Map<string, number>();
  readonly #expiresMs = new Map<string, number>();
  readonly #roots: Uint8Array[] = [];
  readonly #targets = new Map<string, TargetSpec>();
  readonly #delegated = new Map<string, DelegatedFile>();
  readonly #edits = new Map<string, ((payload: Payload) => object)[]>();
  readonly #texts = new Map<string, ((text: string) => string)[]>();
  readonly #signing = new Map<string, readonly Signer[] | 'twice'>();
  readonly #lies = new Map<string, Lie>();
  readonly #history: ReadonlyMap<string, Uint8Array>[] = [];
  readonly #consistent: boolean;
  #custom: Readonly<Record<string, unknown>> | undefined;
  #delegations: readonly (DelegationSpec | MultiRoleSpec)[] = [];
  #frozen: ReadonlyMap<string, Uint8Array> | undefined;
  /** Somebody has seen the present versions: a change makes new ones. */
  #served = false;

  constructor(name: string, options: MockOptions) {
    this.name = name;
    this.nowMs = options.nowMs;
    this.#consistent = options.consistentSnapshot ?? true;
    const roles = { root: 2, timestamp: 1, snapshot: 1, targets: 1, ...options.roles };
    for (const [role, threshold] of Object.entries(roles)) {
      const count = role === 'root' ? threshold + 1 : threshold;
      this.#roles.set(role, { signers: this.#newSigners(role, 1, count), threshold });
      this.#versions.set(role, 1);
    }
    this.#signRoot(this.signers('root'));
  }

  // ---- what an honest repository does ----

  addTarget(name: string, target: TargetSpec): this {
    this.#change();
    this.#targets.set(name, target);
    return this;
  }

  removeTarget(name: string): this {
    this.#change();
    this.#targets.delete(name);
    return this;
  }

  clearTargets(): this {
    this.#change();
    this.#targets.clear();
    return this;
  }

  /** `custom` of Targets as a whole; undefined takes it away. */
  setCustom(custom: Readonly<Record<string, unknown>> | undefined): this {
    this.#change();
    this.#custom = custom;
    return this;
  }

  /** Names a delegated role and writes its file; `from` is the delegated role that delegates further. */
  delegate(
    delegation: Omit<DelegationSpec, 'keys' | 'threshold'> & { readonly threshold?: number },
    targets: Readonly<Record<string, TargetSpec>> = {},
    from?: string,
  ): this {
    const { threshold = 1, name } = delegation;
    const signers = this.#newSigners(name, 1, threshold);
    this.#change();
    this.writeDelegated(name, signers, targets);
    return this.#addDelegation({ ...delegation, ...keysOf(signers, threshold) }, from);
  }

  /** Several roles that must agree; the image is listed by each of those in `targets`. */
  delegateToSeveral(
    delegation: Omit<MultiRoleSpec, 'roles'>,
    targets: Readonly<Record<string, Readonly<Record<string, TargetSpec>>>>,
    from?: string,
  ): this {
    this.#change();
    const roles = Object.entries(targets).map(([name, listed]) => {
      const signers = this.#newSigners(name, 1, 1);
      this.writeDelegated(name, signers, listed);
      return { name, ...keysOf(signers, 1) };
    });
    return this.#addDelegation({ ...delegation, roles }, from);
  }

  /** The file of a delegated role, whoever signs it. */
  writeDelegated(
    name: string,
    signers: readonly Signer[],
    targets: Readonly<Record<string, TargetSpec>>,
  ): this {
    this.#change();
    const { version = 0, delegations = [] } = this.#delegated.get(name) ?? {};
    this.#delegated.set(name, {
      signers,
      targets: new Map(Object.entries(targets)),
      delegations,
      version: version + 1,
    });
    return this;
  }

  /** New versions of the roles that a repository signs by itself, without any other change. */
  publish(): this {
    this.#served = true;
    this.#change();
    return this;
  }

  /** The next Root, in which these roles have new keys: what a rotation after a theft looks like. */
  rotate(...roles: readonly string[]): this {
    const before = this.signers('root');
    for (const name of roles) {
      const role = this.#roles.get(name)!;
      const generation = this.#roots.length + 1;
      const count = role.signers.length;
      this.#roles.set(name, { ...role, signers: this.#newSigners(name, generation, count) });
    }
    return this.newRoot([...new Set([...before, ...this.signers('root')])]);
  }

  /** The next Root, in which the role has exactly these keys. */
  setKeys(name: string, signers: readonly Signer[], threshold = 1): this {
    const before = this.signers('root');
    this.#roles.set(name, { signers, threshold });
    return this.newRoot([...new Set([...before, ...this.signers('root')])]);
  }

  /** The next Root with these thresholds, with as many keys as they take (and one to spare for root). */
  setThreshold(name: string, threshold: number): this {
    const before = this.signers('root');
    const count = name === 'root' ? threshold + 1 : threshold;
    this.#roles.set(name, { signers: this.#newSigners(name, 1, count), threshold });
    return this.newRoot([...new Set([...before, ...this.signers('root')])]);
  }

  /** One more Root of the present keys, signed by whom the test wants. */
  newRoot(signers: readonly Signer[] = this.signers('root')): this {
    this.#change();
    this.#versions.set('root', this.version('root') + 1);
    this.#signRoot(signers);
    return this;
  }

  // ---- what is known of it ----

  signers(role: string): readonly Signer[] {
    return this.#roles.get(role)?.signers ?? this.#delegated.get(role)?.signers ?? [];
  }

  version(role: string): number {
    return this.#versions.get(role) ?? this.#delegated.get(role)?.version ?? 0;
  }

  target(name: string): TargetSpec {
    const target = this.#targets.get(name);
    if (target === undefined) throw new Error(`the ${this.name} mock lists no target ${name}`);
    return target;
  }

  lists(name: string): boolean {
    return this.#targets.has(name);
  }

  /** The trust anchor of a new reader: `1.root.json`. */
  get anchor(): Uint8Array {
    return this.#roots[0]!;
  }

  roots(): ReadonlyMap<number, Uint8Array> {
    return new Map(this.#roots.map((bytes, index) => [index + 1, bytes]));
  }

  // ---- what an attacker makes of it ----

  /** The role's file ran out a second ago. */
  expire(role: string): this {
    return this.expireAt(role, this.nowMs - 1000);
  }

  expireAt(role: string, ms: number): this {
    this.#change();
    this.#expiresMs.set(role, ms);
    return role === 'root' ? this.newRoot() : this;
  }

  /** Any version, in either direction; the roles above name it as it is. */
  setVersion(role: string, version: number): this {
    this.#change();
    const delegated = this.#delegated.get(role);
    if (delegated !== undefined) delegated.version = version;
    else this.#versions.set(role, version);
    return this;
  }

  /** One signature less than the threshold. */
  tooFewSignatures(role: string): this {
    const { signers, threshold } = this.#roles.get(role)!;
    return this.signWith(role, signers.slice(0, threshold - 1));
  }

  /** As many signatures as are wanted, by keys that nobody has named. */
  foreignKeys(role: string): this {
    const count = this.#roles.get(role)?.signers.length ?? 1;
    return this.signWith(role, this.#newSigners(`stranger as ${role}`, 1, count));
  }

  signWith(role: string, signers: readonly Signer[]): this {
    this.#change();
    this.#signing.set(role, signers);
    return role === 'root' ? this.newRoot(signers) : this;
  }

  /** The next Root wants two signatures of the role and names one key under two ids; that key signs twice. */
  oneKeyUnderTwoIds(role: string): this {
    const { signers } = this.#roles.get(role)!;
    const before = this.signers('root');
    this.#roles.set(role, { signers: signers.slice(0, 1), threshold: 2 });
    this.#signing.set(role, 'twice');
    this.#addEdit('root', (root) => {
      const [keyid] = signers.map(({ keyId }) => keyId);
      const keys = root.keys as Record<string, unknown>;
      const roles = root.roles as Record<string, { keyids: string[]; threshold: number }>;
      return {
        ...root,
        keys: { ...keys, [otherIdOf(keyid!)]: keys[keyid!] },
        roles: { ...roles, [role]: { ...roles[role], keyids: [keyid, otherIdOf(keyid!)] } },
      };
    });
    return this.newRoot(before);
  }

  /** Changes what the role signs, before it is signed: the attacker has the key. */
  edit(role: string, change: (payload: Payload) => object): this {
    this.#addEdit(role, change);
    return role === 'root' ? this.newRoot() : this;
  }

  /** Changes the text of the file after it was signed. */
  editText(role: string, change: (text: string) => string): this {
    this.#change();
    this.#texts.set(role, [...(this.#texts.get(role) ?? []), change]);
    return role === 'root' ? this.newRoot() : this;
  }

  /** The name `version` stands in the signed part twice; readers of JSON differ in which one they take. */
  duplicateJsonKey(role: string): this {
    return this.editText(role, (text) => text.replace('"version":', '"version":999,"version":'));
  }

  /** The request for this file is answered with nothing, with bytes without end, drop by drop, or with other bytes. */
  omit(file: string): this {
    return this.#lie(file, 'missing');
  }

  endless(file: string): this {
    return this.#lie(file, 'endless');
  }

  slow(file: string): this {
    return this.#lie(file, 'slow');
  }

  replace(file: string, bytes: Uint8Array): this {
    return this.#lie(file, bytes);
  }

  /** From now on everybody gets what was there at this moment. */
  freeze(): this {
    this.#frozen = this.files();
    return this;
  }

  /** Everybody gets what was served before the last changes (0: the very first), newer Roots too. */
  replay(publication: number): this {
    this.files();
    this.#frozen = this.#history[publication]!;
    return this;
  }

  /** Ends what changes answers (not what was signed wrongly). */
  behave(): this {
    this.#frozen = undefined;
    this.#lies.clear();
    return this;
  }

  // ---- what it answers ----

  /** All files under all their names. */
  files(): ReadonlyMap<string, Uint8Array> {
    if (this.#frozen !== undefined) return this.#frozen;
    const files = new Map<string, Uint8Array>();
    for (const [index, bytes] of this.#roots.entries()) files.set(`${index + 1}.root.json`, bytes);
    files.set('root.json', this.#roots.at(-1)!);
    const put = (role: string, bytes: Uint8Array): MetaSpec => {
      files.set(`${role}.json`, bytes);
      const version = versionIn(bytes) ?? this.version(role);
      if (role !== 'timestamp') files.set(`${version}.${role}.json`, bytes);
      return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
    };
    const meta: Record<string, MetaSpec> = {};
    for (const role of ['targets', ...this.#delegated.keys()]) {
      meta[`${role}.json`] = put(role, this.#file(role, this.#targetsPayload(role)));
    }
    const snapshot = put(
      'snapshot',
      this.#file('snapshot', buildSnapshot({ ...this.#header('snapshot'), meta })),
    );
    put(
      'timestamp',
      this.#file('timestamp', buildTimestamp({ ...this.#header('timestamp'), snapshot })),
    );
    for (const [file, lie] of this.#lies) {
      if (lie instanceof Uint8Array) files.set(file, lie);
      else files.delete(file);
    }
    if (!this.#served) this.#history.push(files);
    this.#served = true;
    return files;
  }

  file(name: string): Uint8Array {
    const bytes = this.files().get(name);
    if (bytes === undefined) throw new Error(`the ${this.name} mock has no file ${name}`);
    return bytes;
  }

  answer(request: MetadataRequest): MetadataAnswer {
    const lie = this.#lies.get(request.file);
    if (lie === 'endless') return { kind: 'too-long' };
    if (lie === 'slow') return { kind: 'too-slow' };
    const bytes = this.files().get(request.file);
    if (bytes === undefined) return { kind: 'missing' };
    return bytes.length > request.maxBytes ? { kind: 'too-long' } : { kind: 'bytes', bytes };
  }

  // ---- inside ----

  /** New versions of everything that is signed by itself, once somebody has seen the old ones. */
  #change(): void {
    if (!this.#served) return;
    this.#served = false;
    for (const role of ['targets', 'snapshot', 'timestamp']) {
      this.#versions.set(role, this.version(role) + 1);
    }
  }

  #addEdit(role: string, change: (payload: Payload) => object): void {
    this.#change();
    this.#edits.set(role, [...(this.#edits.get(role) ?? []), change]);
  }

  #lie(file: string, lie: Lie): this {
    this.#lies.set(file, lie);
    return this;
  }

  #addDelegation(delegation: DelegationSpec | MultiRoleSpec, from: string | undefined): this {
    if (from === undefined) this.#delegations = [...this.#delegations, delegation];
    else {
      const file = this.#delegated.get(from)!;
      file.delegations = [...file.delegations, delegation];
    }
    return this;
  }

  #newSigners(role: string, generation: number, count: number): Signer[] {
    return Array.from({ length: count }, (_, index) =>
      mockSigner(`${this.name} ${role} ${generation} ${index}`),
    );
  }

  #header(role: string): { version: number; expiresMs: number } {
    const lasts = role === 'root' ? 365 : role === 'timestamp' ? 1 : 30;
    return {
      version: this.version(role),
      expiresMs: this.#expiresMs.get(role) ?? this.nowMs + lasts * DAY_MS,
    };
  }

  #targetsPayload(role: string): RolePayload {
    const file = this.#delegated.get(role);
    const delegations = file?.delegations ?? this.#delegations;
    const custom = role === 'targets' ? this.#custom : undefined;
    return buildTargets({
      ...this.#header(role),
      targets: Object.fromEntries(file?.targets ?? this.#targets),
      ...(custom === undefined ? {} : { custom }),
      ...(delegations.length === 0 ? {} : { delegations }),
    });
  }

  #signRoot(signers: readonly Signer[]): void {
    const roles = Object.fromEntries(
      [...this.#roles].map(([name, { signers: held, threshold }]): [string, RoleKeys] => [
        name,
        keysOf(held, threshold),
      ]),
    );
    const spec = { ...this.#header('root'), roles, consistentSnapshot: this.#consistent };
    this.#roots.push(this.#file('root', buildRoot(spec), signers));
  }

  #file(role: string, honest: RolePayload, signers: readonly Signer[] = this.signers(role)) {
    let payload: object = honest;
    for (const change of this.#edits.get(role) ?? []) payload = change(payload as Payload);
    const bytes = payloadBytes(payload);
    const told = this.#signing.get(role);
    const own = told === undefined || told === 'twice' ? signers : told;
    let signatures: RoleSignature[] = own.map((signer) => ({
      keyid: signer.keyId,
      sig: signer.sign(bytes) as string,
    }));
    if (told === 'twice') {
      signatures = signatures.flatMap((each) => [each, { ...each, keyid: otherIdOf(each.keyid) }]);
    }
    let text = JSON.stringify({ signatures, signed: payload });
    for (const change of this.#texts.get(role) ?? []) text = change(text);
    return new TextEncoder().encode(text);
  }
}

function keysOf(signers: readonly Signer[], threshold: number): RoleKeys {
  return { keys: signers.map(({ publicKey }) => publicKey), threshold };
}

function otherIdOf(keyid: string): string {
  return sha256(new TextEncoder().encode(`another id of ${keyid}`));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** As it stands in the file, which an edit may have changed. */
function versionIn(bytes: Uint8Array): number | undefined {
  try {
    const { signed } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof signed.version === 'number' ? signed.version : undefined;
  } catch {
    return undefined;
  }
}
