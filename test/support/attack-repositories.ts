// What an attacked vehicle is offered: honest repositories to begin with, orders, images, blobs, and what a thief makes.

import { expect } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { encryptImage } from '../../src/trust/image-encryption.ts';
import { ECUS, type EcuName, factoryVehicle, SERIALS, VIN } from './attack-factory.ts';
import { digestOf } from './ecu-bench.ts';
import {
  type AssignOptions,
  type MockRelease,
  type MockRepositories,
  type MockRepository,
  mockRepositories,
  mockSigner,
  type RepositoryName,
} from './mock-repositories.ts';

export const REPOSITORIES: readonly RepositoryName[] = ['director', 'images'];
export const ROLES = ['timestamp', 'snapshot', 'targets'] as const;
/** Of every role but Root on the day on which every row begins. */
const FIRST_VERSION = 5;

/** The ECU is to run this release and no other one. */
export function order(
  of: MockRepositories,
  ecu: EcuName,
  release: MockRelease,
  options: AssignOptions = {},
): void {
  for (const name of ordered.get(of)?.get(ecu) ?? []) of.director.removeTarget(name);
  of.assign(SERIALS[ecu], release, options);
  const names = ordered.get(of) ?? new Map<EcuName, string[]>();
  ordered.set(of, names.set(ecu, [release.name]));
}

/** What was ordered last, by ECU. */
const ordered = new WeakMap<MockRepositories, Map<EcuName, string[]>>();

/** The name of that image. */
export function orderedFor(of: MockRepositories, ecu: EcuName): string | undefined {
  return ordered.get(of)?.get(ecu)?.[0];
}

/** The repositories up to the day on which every row begins. */
export function honestRepositories(): MockRepositories {
  const mock = mockRepositories({ vin: VIN });
  for (const ecu of ECUS) order(mock, ecu, mock.release(ecu, { image: imageOf(ecu, '2.0.0') }));
  for (const name of REPOSITORIES) {
    // Not the first ones: there is something to go back to.
    for (const role of ROLES) mock.repository(name).setVersion(role, FIRST_VERSION);
    mock.files(name);
  }
  return mock;
}

/** 3,000 bytes that nothing else has. */
export function imageOf(ecu: string, version: string): Uint8Array {
  const seed = [...`${ecu} ${version}`].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  return seededRandom(seed).bytes(3000);
}

export async function encryptedFor(ecu: EcuName, release: MockRelease, seed = 1) {
  const { encryptionKey } = (await factoryVehicle())[ecu];
  const { length, hashes } = release.target;
  const facts = { serial: SERIALS[ecu], name: release.name, sha256: hashes.sha256!, length };
  const cipher = encryptImage({ recipient: encryptionKey, ...facts }, seededRandom(seed));
  const blob = Buffer.concat([cipher.header, cipher.update(release.image), cipher.finish()]);
  const sha256 = toHex(digestOf(blob));
  const encryption = {
    file: `${ecu}-${sha256.slice(0, 12)}.enc`,
    length: blob.length,
    sha256,
    method: 'X25519-HKDF-SHA256-AES-256-GCM',
  } as const;
  return { blob: Uint8Array.from(blob), encryption };
}

/** An image that was never in the image repository. */
export function unknownRelease(): MockRelease {
  return mockRepositories({ vin: VIN }).release('EDT', {
    version: '6.6.6',
    releaseCounter: 6,
    image: imageOf('EDT', 'malware'),
  });
}

/** The next Root of the same repository, made by a thief. */
export function forgedRoot(
  name: RepositoryName,
  make: (repository: MockRepository) => unknown,
): Uint8Array {
  const { [name]: repository } = mockRepositories({ vin: VIN });
  make(repository);
  return [...repository.roots().values()].at(-1)!;
}

/** The next Root with root keys of a thief, who has signed it with them alone: right in itself. */
export function thiefsRoot(name: RepositoryName): Uint8Array {
  return forgedRoot(name, (repository) => {
    const keys = strangers.map((_, index) => mockSigner(`${name} root 3 ${index}`));
    repository.signWith('root', keys).setVersion('root', 1).rotate('root');
    expect(repository.signers('root').map(({ keyId }) => keyId)).toEqual(
      keys.map(({ keyId }) => keyId),
    );
  });
}

/** Keys that no repository has named. */
export const strangers = [0, 1, 2].map((index) => mockSigner(`thief ${index}`));
