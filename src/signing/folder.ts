// The folder of a key ceremony: private keys, public keys, Roots, the image repository's Targets, and drafts.

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { describeError, InputError } from '../core/errors.ts';
import { type FolderLock, lockFolder } from '../core/lock.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { createSecretFile, requireOwnerOnly } from '../core/secret-file.ts';
import { DiskStorage } from '../core/storage.ts';
import { fileFault } from '../core/text-file.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import {
  generateSigner,
  keyIdOf,
  type PublicKeyJson,
  type Signer,
  type SigningAlgorithm,
  signerFromPem,
  toPem,
} from '../trust/signing-key.ts';
import type { Passphrases } from './passphrase.ts';
import { type TokenPlace, tokenPlace } from './token-place.ts';

export const REPOSITORIES = ['director', 'images'] as const;

/** Roles whose keys the backend has. The keys of other roles stay with their owners (5.3.1). */
export const ONLINE_ROLES: Readonly<Record<RepositoryName, readonly string[]>> = {
  director: ['targets', 'snapshot', 'timestamp', 'time'],
  images: ['snapshot', 'timestamp'],
};

/** `public/NAME.json`: the public facts of a key, which are needed to name it in a Root. */
const keyCard = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected 1 to 64 letters, digits, . _ -'),
  publicKey: z.strictObject({
    keytype: z.string(),
    scheme: z.string(),
    keyval: z.strictObject({ public: z.string() }),
  }),
  pkcs11: tokenPlace.optional(),
});
type KeyCard = z.infer<typeof keyCard>;

export interface KnownKey {
  readonly name: string;
  readonly keyId: string;
  readonly publicKey: PublicKeyJson;
  readonly kept: 'file' | 'encrypted-file' | 'token' | 'elsewhere';
  readonly token: TokenPlace | undefined;
}

/** Exclusive access to the folder. The caller must close it. */
export class KeyFolder implements AsyncDisposable {
  readonly storage: DiskStorage;
  readonly #lock: FolderLock;

  private constructor(storage: DiskStorage, lock: FolderLock) {
    this.storage = storage;
    this.#lock = lock;
  }

  /** Opens the folder. Throws InputError when it does not exist (`init` and `create` make it), FolderBusyError. */
  static async open(dir: string, make = false): Promise<KeyFolder> {
    if (!make) {
      try {
        if (!(await stat(dir)).isDirectory()) throw new InputError('--dir', `${dir} is no folder`);
      } catch (error) {
        if (error instanceof InputError) throw error;
        throw new InputError('--dir', `${fileFault(dir, error)}: make it by can-ota keys init`, {
          cause: error,
        });
      }
    }
    const storage = await DiskStorage.openOwn(dir);
    return new KeyFolder(storage, await lockFolder(storage.location));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lock.release();
  }

  path(name: string): string {
    return path.join(this.storage.location, name);
  }

  /** All keys, sorted by name. */
  async keys(): Promise<KnownKey[]> {
    const keys: KnownKey[] = [];
    for (const file of await this.storage.list('public')) {
      if (!file.endsWith('.json')) continue;
      const bytes = present(await this.storage.read(`public/${file}`), file);
      const card = parseCard(Buffer.from(bytes).toString('utf8'), this.path(`public/${file}`));
      keys.push(await this.#known(card));
    }
    return keys;
  }

  /** A key by name. Throws InputError that lists the existing keys. */
  async key(name: string): Promise<KnownKey> {
    const keys = await this.keys();
    const found = keys.find((key) => key.name === name);
    if (found !== undefined) return found;
    const names = keys.map((key) => key.name).join(', ');
    throw new InputError(
      name,
      `no such key in ${this.storage.location}: there are ${names || 'none'}`,
    );
  }

  /** Makes a new key in a separate file. Throws InputError when the name is taken. */
  async create(
    name: string,
    algorithm: SigningAlgorithm,
    passphrase: string | undefined,
  ): Promise<KnownKey> {
    await this.#requireFree(name);
    const { signer, privateKey } = generateSigner(algorithm);
    const pem = toPem(privateKey, passphrase);
    await createSecretFile(this.path(`private/${name}.pem`), pem, name);
    return this.#register({ name, publicKey: signer.publicKey });
  }

  /** Registers a key whose private key is elsewhere: with another person, or in a token. */
  async register(name: string, publicKey: PublicKeyJson, pkcs11?: TokenPlace): Promise<KnownKey> {
    await this.#requireFree(name);
    return this.#register({ name, publicKey, ...defined({ pkcs11 }) });
  }

  /**
   * Opens a key. Throws InputError for a key that is elsewhere, a wrong passphrase, a key file that others can read.
   */
  async signer(key: KnownKey, passphrases: Passphrases): Promise<Signer> {
    const { name, kept } = key;
    if (kept === 'elsewhere') {
      throw new InputError(name, 'its private key is not in this folder: its owner must sign');
    }
    const secret = kept === 'file' ? undefined : await passphrases.toOpen(name);
    if (kept !== 'file' && secret === undefined) {
      throw new InputError(
        name,
        'the key is encrypted: give --passphrase-file FILE, CAN_OTA_PASSPHRASE, or run it on a terminal',
      );
    }
    if (key.token !== undefined) {
      const { tokenSigner } = await import('./pkcs11.ts');
      return tokenSigner(key.token, key.publicKey, present(secret, 'the PIN of the token'));
    }
    const file = this.path(`private/${name}.pem`);
    await requireOwnerOnly(file, name);
    const signer = openPem(await readFile(file, 'utf8'), secret, name);
    if (signer.keyId !== key.keyId) {
      throw new InputError(name, `${file} holds another key than public/${name}.json says`);
    }
    return signer;
  }

  /** Versions of a role's files: `director`, `root` gives [1, 2, 3]. */
  async versions(repository: RepositoryName, role: string): Promise<number[]> {
    const pattern = new RegExp(`^([1-9]\\d*)\\.${role}\\.json$`);
    return (await this.storage.list(repository))
      .flatMap((file) => {
        const version = pattern.exec(file)?.[1];
        return version === undefined ? [] : [Number(version)];
      })
      .sort((a, b) => a - b);
  }

  /** All metadata of a repository by file name (`2.root.json`). */
  async metadata(repository: RepositoryName): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    for (const file of await this.storage.list(repository)) {
      if (/^[1-9]\d*\.[A-Za-z0-9._-]+\.json$/.test(file)) {
        files.set(file, present(await this.storage.read(`${repository}/${file}`), file));
      }
    }
    return files;
  }

  async #known(card: KeyCard): Promise<KnownKey> {
    const { name, publicKey, pkcs11: token } = card;
    const pem = token === undefined ? await this.storage.read(`private/${name}.pem`) : undefined;
    const encrypted = pem !== undefined && Buffer.from(pem).includes('BEGIN ENCRYPTED PRIVATE KEY');
    return {
      name,
      publicKey,
      keyId: keyIdOf(publicKey),
      token,
      kept:
        token !== undefined
          ? 'token'
          : pem === undefined
            ? 'elsewhere'
            : encrypted
              ? 'encrypted-file'
              : 'file',
    };
  }

  async #requireFree(name: string): Promise<void> {
    const checked = keyCard.shape.name.safeParse(name);
    if (!checked.success) throw new InputError(name, firstIssue(checked.error).message);
    if ((await this.keys()).some((key) => key.name === name)) {
      throw new InputError(
        name,
        'a key of this name exists already and is not replaced: choose another name',
      );
    }
  }

  async #register(card: KeyCard): Promise<KnownKey> {
    const keyId = keyIdOf(card.publicKey);
    const twin = (await this.keys()).find((key) => key.keyId === keyId);
    if (twin !== undefined) {
      throw new InputError(card.name, `this is the key ${twin.name}: one key has one name`);
    }
    const text = `${JSON.stringify(card, undefined, 2)}\n`;
    await this.storage.replace(`public/${card.name}.json`, Buffer.from(text));
    return this.#known(card);
  }
}

/** Parses `public/NAME.json`, also of another folder. Throws InputError. */
export function parseCard(text: string, where: string): KeyCard {
  try {
    return keyCard.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error);
    throw new InputError(where, `is no public key of can-ota keys: ${why}`, { cause: error });
  }
}

function openPem(pem: string, passphrase: string | undefined, name: string): Signer {
  try {
    return signerFromPem(pem, passphrase);
  } catch (error) {
    throw new InputError(
      name,
      passphrase === undefined
        ? 'the key file is damaged: restore it from a copy'
        : 'the passphrase is wrong, or the key file is damaged',
      { cause: error },
    );
  }
}
