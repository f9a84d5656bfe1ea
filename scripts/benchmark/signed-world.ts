// A Director and an image repository with any number of validly signed images, for measurements.

import { createHash, type KeyObject } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { present } from '../../src/core/present.ts';
import { RepositoryWriter } from '../../src/trust/repository-writer.ts';
import type { RoleKeys, TargetSpec } from '../../src/trust/role-signing.ts';
import { generateSigner, type LocalSigner, toPem } from '../../src/trust/signing-key.ts';

export type RepositoryName = 'director' | 'images';

export const VIN = 'BENCHMARK00000001';
export const ECUS = ['EDT', 'INV', 'BMS'] as const;
/** Number of Root keys as in `can-ota keys init`: two of three must sign a Root; other roles have one key. */
const ROOT_KEYS = 3;
const ROOT_THRESHOLD = 2;

interface Key {
  readonly signer: LocalSigner;
  readonly privateKey: KeyObject;
}

const ROLES: Readonly<Record<RepositoryName, readonly string[]>> = {
  director: ['targets', 'snapshot', 'timestamp', 'time'],
  images: ['targets', 'snapshot', 'timestamp'],
};

export class SignedWorld {
  readonly #keys = new Map<string, readonly Key[]>();
  readonly #writers = new Map<RepositoryName, RepositoryWriter>();

  private constructor() {
    for (const repository of ['director', 'images'] as const) {
      for (const role of ['root', ...ROLES[repository]]) {
        const count = role === 'root' ? ROOT_KEYS : 1;
        this.#keys.set(
          `${repository}-${role}`,
          Array.from({ length: count }, () => generateSigner()),
        );
      }
    }
  }

  static async create(nowMs: number): Promise<SignedWorld> {
    const world = new SignedWorld();
    for (const repository of ['director', 'images'] as const) {
      const names = ['root', ...ROLES[repository]];
      const signersOf = (role: string) =>
        present(world.#keys.get(`${repository}-${role}`), role).map(({ signer }) => signer);
      const roles = names.map((role): [string, RoleKeys] => [
        role,
        {
          keys: signersOf(role).map(({ publicKey }) => publicKey),
          threshold: role === 'root' ? ROOT_THRESHOLD : 1,
        },
      ]);
      const writer = await RepositoryWriter.create({
        signers: Object.fromEntries(names.map((role) => [role, signersOf(role)])),
        roles: Object.fromEntries(roles),
        nowMs,
        ...(repository === 'director' ? { custom: { vin: VIN } } : {}),
      });
      world.#writers.set(repository, writer);
    }
    return world;
  }

  /** Adds a new image of the ECU to the lists. */
  release(ecu: string, counter: number): { readonly name: string; readonly target: TargetSpec } {
    const image = imageOf(ecu, counter);
    const sha256 = createHash('sha256').update(image).digest('hex');
    const version = `${counter}.0.0`;
    const name = `${ecu}-${version}-${sha256.slice(0, 12)}.bin`;
    const target: TargetSpec = {
      length: image.length,
      hashes: { sha256 },
      custom: {
        ecu,
        version,
        hardwareIds: [`${ecu}-HW-1`],
        releaseCounter: counter,
        dependencies: {},
        encrypt: false,
        notes: '',
      },
    };
    this.#writer('images').putTarget(name, target);
    return { name, target };
  }

  #writer(name: RepositoryName): RepositoryWriter {
    return present(this.#writers.get(name), name);
  }

  assign(serial: string, name: string, target: TargetSpec): void {
    const { hardwareIds } = target.custom as { hardwareIds: readonly string[] };
    const ecuIdentifiers = { [serial]: { hardwareId: hardwareIds[0] } };
    const custom = { ...target.custom, ecuIdentifiers };
    this.#writer('director').putTarget(name, { ...target, custom });
  }

  /** Signs the changes and returns all files under all their names. */
  async publish(nowMs: number): Promise<Record<RepositoryName, ReadonlyMap<string, Uint8Array>>> {
    for (const writer of this.#writers.values()) await writer.publish(nowMs);
    const files = (name: RepositoryName) => this.#writer(name).files();
    return { director: files('director'), images: files('images') };
  }

  /** Writes the files for a backend: keys of online roles, Roots, and the Targets that were signed offline. */
  async writeTrustFolder(folder: string, nowMs: number): Promise<void> {
    const { director, images } = await this.publish(nowMs);
    for (const part of ['online', 'director', 'images']) {
      await mkdir(path.join(folder, part), { recursive: true });
    }
    for (const [name, [key]] of this.#keys) {
      if (name.endsWith('-root') || name === 'images-targets') continue;
      await writeFile(
        path.join(folder, 'online', `${name}.pem`),
        toPem(present(key, name).privateKey),
        {
          mode: 0o600,
        },
      );
    }
    await writeFile(
      path.join(folder, 'director/1.root.json'),
      present(director.get('1.root.json'), '1.root.json'),
    );
    await writeFile(
      path.join(folder, 'images/1.root.json'),
      present(images.get('1.root.json'), '1.root.json'),
    );
    await writeFile(
      path.join(folder, 'images/1.targets.json'),
      present(images.get('1.targets.json'), '1.targets.json'),
    );
  }
}

/** A small image that differs from those of all other releases. */
export function imageOf(ecu: string, counter: number): Buffer {
  return Buffer.from(`image ${counter} of ${ecu}, `.repeat(40));
}
