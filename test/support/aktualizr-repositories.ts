// A Director and an image repository in the dialect of aktualizr, written from nothing: what its servers would sign.

import {
  constants,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';

/** How files are written and signed. */
export interface AktualizrForm {
  readonly keys: 'ED25519' | 'RSA';
  /** One line, or indented as a person would read it. */
  readonly layout: 'compact' | 'indented';
}

export interface AktualizrImage {
  readonly name: string;
  readonly content: string;
  readonly hardwareId: string;
}

interface DialectKey {
  readonly id: string;
  readonly json: { readonly keytype: string; readonly keyval: { readonly public: string } };
  readonly privateKey: KeyObject;
}

type Fields = Record<string, unknown>;
type Edit = (signed: Fields) => Fields;

export const AKTUALIZR_EXPIRES = '2038-01-19T03:14:06Z';

/** Both repositories; changes count for what is asked for afterwards. */
export class AktualizrRepositories {
  readonly #form: AktualizrForm;
  readonly #keys = new Map<string, DialectKey>();
  readonly #roots = new Map<string, Uint8Array[]>();
  readonly #versions = new Map<string, number>();
  readonly #edits = new Map<string, Edit>();
  readonly #images: AktualizrImage[] = [];
  readonly #delegated = new Map<string, AktualizrImage[]>();
  readonly #assigned = new Map<string, AktualizrImage>();
  readonly #strangers = new Set<string>();

  constructor(form: AktualizrForm = { keys: 'ED25519', layout: 'compact' }) {
    this.#form = form;
    this.newRoot('director').newRoot('repo');
  }

  release(image: AktualizrImage): this {
    this.#images.push(image);
    return this;
  }

  /** A delegated role for all images whose name begins with its own. */
  delegate(role: string, ...images: readonly AktualizrImage[]): this {
    this.#delegated.set(role, [...images]);
    return this;
  }

  assign(serial: string, image: AktualizrImage): this {
    this.#assigned.set(serial, image);
    return this;
  }

  /** `director targets`, `repo snapshot`: the version that it says from now on. */
  setVersion(file: string, version: number): this {
    this.#versions.set(file, version);
    return this;
  }

  /** What is changed before it is signed. */
  edit(file: string, change: Edit): this {
    this.#edits.set(file, change);
    return this;
  }

  /** Signed by a key that nobody has named. */
  foreignKey(file: string): this {
    this.#strangers.add(file);
    return this;
  }

  /** The next Root, with new keys for these roles. */
  newRoot(repository: 'director' | 'repo', ...rotated: readonly string[]): this {
    const roots = this.#roots.get(repository) ?? [];
    const before = roots.length === 0 ? [] : [this.#key(`${repository} root`)];
    for (const role of rotated) this.#keys.delete(`${repository} ${role}`);
    const roles = ['root', 'targets', 'snapshot', 'timestamp'].filter(
      (role) => repository === 'repo' || role === 'root' || role === 'targets',
    );
    const keys = roles.map((role) => this.#key(`${repository} ${role}`));
    const signed = {
      _type: 'Root',
      consistent_snapshot: false,
      expires: AKTUALIZR_EXPIRES,
      keys: Object.fromEntries(keys.map(({ id, json }) => [id, json])),
      roles: Object.fromEntries(
        roles.map((role, index) => [role, { keyids: [keys[index]!.id], threshold: 1 }]),
      ),
      version: roots.length + 1,
    };
    const signers = [...new Set([...before, this.#key(`${repository} root`)])];
    this.#roots.set(repository, [...roots, this.#sign(signed, signers)]);
    return this;
  }

  /** Files of both by their place below one folder: `director/targets.json`, `repo/delegations/foo.json`. */
  files(): ReadonlyMap<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const [repository, roots] of this.#roots) {
      for (const [index, root] of roots.entries()) {
        files.set(`${repository}/${index + 1}.root.json`, root);
      }
      files.set(`${repository}/root.json`, roots.at(-1)!);
    }
    files.set('director/targets.json', this.#targets('director targets', this.#orders()));
    const meta: Fields = {};
    for (const [role, images] of this.#delegated) {
      files.set(`repo/delegations/${role}.json`, this.#targets(`repo ${role}`, released(images)));
      meta[`${role}.json`] = { version: this.#version(`repo ${role}`) };
    }
    const delegations = this.#delegations();
    const targets = this.#targets('repo targets', released(this.#images), delegations);
    files.set('repo/targets.json', targets);
    meta['targets.json'] = {
      ...canonicalFacts(targets),
      version: this.#version('repo targets'),
    };
    const snapshot = this.#file('repo snapshot', 'Snapshot', { meta });
    files.set('repo/snapshot.json', snapshot);
    const named = {
      ...canonicalFacts(snapshot),
      length: snapshot.length,
      version: this.#version('repo snapshot'),
    };
    files.set(
      'repo/timestamp.json',
      this.#file('repo timestamp', 'Timestamp', { meta: { 'snapshot.json': named } }),
    );
    return files;
  }

  #orders(): Fields {
    const targets: Record<string, { custom: { ecuIdentifiers: Fields } }> = {};
    for (const [serial, image] of this.#assigned) {
      const custom = targets[image.name]?.custom ?? { ecuIdentifiers: {} };
      custom.ecuIdentifiers[serial] = { hardwareId: image.hardwareId };
      targets[image.name] = { ...described(image), custom };
    }
    return targets;
  }

  #delegations(): Fields {
    if (this.#delegated.size === 0) return {};
    const roles = [...this.#delegated.keys()].map((name) => ({
      keyids: [this.#key(`repo ${name}`).id],
      name,
      paths: [`${name}*`],
      terminating: false,
      threshold: 1,
    }));
    const keys = [...this.#delegated.keys()].map((name) => this.#key(`repo ${name}`));
    return {
      delegations: { keys: Object.fromEntries(keys.map(({ id, json }) => [id, json])), roles },
    };
  }

  #targets(file: string, targets: Fields, more: Fields = {}): Uint8Array {
    return this.#file(file, 'Targets', { targets, ...more });
  }

  #file(file: string, type: string, fields: Fields): Uint8Array {
    const version = this.#version(file);
    const signed = { _type: type, expires: AKTUALIZR_EXPIRES, version, ...fields };
    const change = this.#edits.get(file) ?? ((same: Fields) => same);
    const key = this.#key(this.#strangers.has(file) ? 'a stranger' : file);
    return this.#sign(change(signed), [{ ...key, id: this.#key(file).id }]);
  }

  #version(file: string): number {
    return this.#versions.get(file) ?? 1;
  }

  #sign(signed: Fields, signers: readonly DialectKey[]): Uint8Array {
    const bytes = Buffer.from(sortedJson(signed));
    const signatures = signers.map(({ id, privateKey }) => ({
      keyid: id,
      method: this.#form.keys === 'RSA' ? 'rsassa-pss-sha256' : 'ed25519',
      sig: signatureOf(privateKey, bytes).toString('base64'),
    }));
    const file = { signatures, signed };
    const indented = this.#form.layout === 'indented';
    return Buffer.from(indented ? `${JSON.stringify(file, null, 2)}\n` : sortedJson(file));
  }

  #key(owner: string): DialectKey {
    const known = this.#keys.get(owner);
    if (known !== undefined) return known;
    const key = newKey(this.#form.keys);
    this.#keys.set(owner, key);
    return key;
  }
}

function released(images: readonly AktualizrImage[]): Fields {
  return Object.fromEntries(
    images.map((image) => [
      image.name,
      { ...described(image), custom: { hardwareIds: [image.hardwareId], targetFormat: null } },
    ]),
  );
}

function described({ content }: AktualizrImage): Fields {
  return {
    hashes: { sha256: digest('sha256', content), sha512: digest('sha512', content) },
    length: Buffer.byteLength(content),
  };
}

/** Files are named by their canonical form, however they are laid out. */
function canonicalFacts(file: Uint8Array): Fields {
  const form = sortedJson(JSON.parse(new TextDecoder().decode(file)));
  return {
    hashes: { sha256: digest('sha256', form), sha512: digest('sha512', form) },
    length: Buffer.byteLength(form),
  };
}

function digest(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

function newKey(type: 'ED25519' | 'RSA'): DialectKey {
  const { privateKey, value } = type === 'RSA' ? newRsaKey() : newEd25519Key();
  return {
    id: digest('sha256', JSON.stringify(value.trimEnd())),
    json: { keytype: type, keyval: { public: value } },
    privateKey,
  };
}

function newEd25519Key(): { privateKey: KeyObject; value: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const value = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('hex');
  return { privateKey, value };
}

function newRsaKey(): { privateKey: KeyObject; value: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { privateKey: createPrivateKey(privateKey), value: publicKey };
}

function signatureOf(key: KeyObject, bytes: Uint8Array): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key);
  // With the longest salt that fits, as that client's own tools do.
  return sign('sha256', bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING });
}

/** Sorted names, no spaces, otherwise plain JSON: a line break in a key is signed as `\n`. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${sortedJson(each)}`).join(',')}}`;
}
