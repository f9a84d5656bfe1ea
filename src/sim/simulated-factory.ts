// The signers of a simulated world: the standard key ceremony with keys from a seed, and releases.

import { sha256 } from '@noble/hashes/sha2.js';
import type { TrustFolder } from '../../server/features/releases/trust-folder.ts';
import { asciiBytes, toHex } from '../core/bytes.ts';
import { itemAt, present } from '../core/present.ts';
import { ONLINE_ROLES, REPOSITORIES } from '../signing/folder.ts';
import { customOf, type ReleaseChoice } from '../signing/release.ts';
import { listed } from '../signing/release-list.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import { RepositoryWriter, ROOT_VALIDITY_MS } from '../trust/repository-writer.ts';
import type { RoleKeys } from '../trust/role-signing.ts';
import { type LocalSigner, signerFromSeed } from '../trust/signing-key.ts';

/** Number of Root keys; as in `can-ota keys init`, two of three sign. */
const ROOT_KEYS = 3;
const ROOT_THRESHOLD = 2;

/** What a factory has produced so far; each world starts from a copy. */
export interface FactoryFiles {
  readonly trust: TrustFolder;
  /** The image repository as its signers have it. */
  readonly images: ReadonlyMap<string, Uint8Array>;
}

export interface SignedImage {
  readonly ecu: string;
  readonly version: string;
  /** Name in Targets and of the file. */
  readonly name: string;
  readonly image: Uint8Array;
  readonly sha256: string;
  readonly counter: number;
}

/** Creates both Roots, an empty image Targets, and the keys that the backend gets. */
export async function keyCeremony(seed: string, nowMs: number): Promise<FactoryFiles> {
  const metadata: Record<RepositoryName, { role: string; version: number; bytes: Uint8Array }[]> = {
    director: [],
    images: [],
  };
  let images = new Map<string, Uint8Array>();
  for (const repository of REPOSITORIES) {
    const root = people(seed, repository);
    const roles: Record<string, RoleKeys> = {
      root: { keys: root.map(({ publicKey }) => publicKey), threshold: ROOT_THRESHOLD },
    };
    const targets = repository === 'images' ? [offlineTargets(seed)] : [];
    if (repository === 'images') roles.targets = single(itemAt(targets, 0));
    for (const role of ONLINE_ROLES[repository])
      roles[role] = single(online(seed, repository, role));
    const writer = await RepositoryWriter.create({
      signers: { root: root.slice(0, ROOT_THRESHOLD), ...(targets.length > 0 ? { targets } : {}) },
      roles,
      nowMs,
      rootExpiresMs: nowMs + ROOT_VALIDITY_MS,
    });
    await writer.publish(nowMs);
    const files = writer.files();
    metadata[repository].push({
      role: 'root',
      version: 1,
      bytes: present(files.get('1.root.json'), '1.root.json'),
    });
    if (repository === 'director') continue;
    metadata.images.push({
      role: 'targets',
      version: 1,
      bytes: present(files.get('1.targets.json'), '1.targets.json'),
    });
    images = files;
  }
  const keys = REPOSITORIES.flatMap((repository) =>
    ONLINE_ROLES[repository].map((role) => ({
      file: `online/${repository}-${role}.pem`,
      signer: online(seed, repository, role),
    })),
  );
  return { trust: { location: 'simulation', keys, metadata }, images };
}

/** Signs releases with the offline key of the image repository's Targets. */
export class ReleaseSigner {
  readonly #writer: RepositoryWriter;
  readonly #highest = new Map<string, number>();

  constructor(seed: string, images: FactoryFiles['images']) {
    const opened = RepositoryWriter.open(images, { signers: { targets: [offlineTargets(seed)] } });
    if (!opened.ok) throw new Error(`${opened.where}: ${opened.reason}`);
    this.#writer = opened.value;
  }

  /** Adds releases; one Targets file lists all of them. */
  async sign(
    orders: readonly (ReleaseChoice & { readonly image: Uint8Array })[],
    nowMs: number,
  ): Promise<{ readonly images: readonly SignedImage[]; readonly targets: Uint8Array }> {
    const images: SignedImage[] = [];
    for (const order of orders) {
      const { ecu, version, image } = order;
      const digest = toHex(sha256(image));
      const name = `${ecu}-${version}-${digest.slice(0, 12)}.bin`;
      const before = listed(this.#writer.targets);
      const custom = customOf(order, name, before, this.#highest.get(ecu));
      const hashes = { sha256: digest };
      this.#writer.putTarget(name, { length: image.length, hashes, custom: { ...custom } });
      this.#highest.set(ecu, Math.max(this.#highest.get(ecu) ?? 0, custom.releaseCounter));
      images.push({ ecu, version, name, image, sha256: digest, counter: custom.releaseCounter });
    }
    await this.#writer.publish(nowMs);
    return { images, targets: present(this.#writer.files().get('targets.json'), 'targets.json') };
  }
}

function keyOf(seed: string, use: string): LocalSigner {
  return signerFromSeed(sha256(asciiBytes(`can-ota simulation ${seed}: ${use}`)));
}

function people(seed: string, repository: RepositoryName): LocalSigner[] {
  return Array.from({ length: ROOT_KEYS }, (_, index) =>
    keyOf(seed, `${repository} root ${index + 1}`),
  );
}

function offlineTargets(seed: string): LocalSigner {
  return keyOf(seed, 'images targets');
}

function online(seed: string, repository: RepositoryName, role: string): LocalSigner {
  return keyOf(seed, `${repository} ${role}`);
}

function single({ publicKey }: LocalSigner): RoleKeys {
  return { keys: [publicKey], threshold: 1 };
}
