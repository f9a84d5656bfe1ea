// The cost of full verification compared with the signatures alone, and of decryption compared with the cipher alone.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto';
import { itemAt, present } from '../../src/core/present.ts';
import { systemRandom } from '../../src/core/random.ts';
import { FullVerification, type VehicleTrust } from '../../src/trust/full-verification.ts';
import { BLOCK_BYTES, encryptImage, ImageDecryptor } from '../../src/trust/image-encryption.ts';
import { filesOf, restoreTrust, trustRoot } from '../../src/trust/repository.ts';
import { parseSignedRole, payloadBytes } from '../../src/trust/role-signing.ts';
import { generateX25519 } from '../../src/trust/signing-key.ts';
import { ECUS, type RepositoryName, SignedWorld, VIN } from './signed-world.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const serialOf = (ecu: string): string => `BENCHMARK-${ecu}`;

type Files = Readonly<Record<RepositoryName, ReadonlyMap<string, Uint8Array>>>;

export interface VerificationCost {
  /** Everything is read and checked, from the first Roots to three images. */
  readonly coldMs: number;
  /** The same verification again without a change. */
  readonly againMs: number;
  /** The stored state is read and checked. */
  readonly restoreMs: number;
  /** Only the Ed25519 verifications of `coldMs`. */
  readonly bareMs: number;
  readonly signatures: number;
  readonly jsonBytes: number;
}

export async function measureVerification(
  images: number,
  seconds: number,
): Promise<VerificationCost> {
  const files = await filesWith(images);
  const trust = verified(files, anchors(files));
  const signatures = signaturesIn(files);
  const each = seconds / 4;
  return {
    coldMs: median(each, () => verified(files, anchors(files))),
    againMs: median(each, () => verified(files, trust)),
    restoreMs: median(each, () => {
      for (const repository of Object.values(trust)) restoreTrust(filesOf(repository));
    }),
    bareMs: median(each, () => {
      for (const { bytes, key, signature } of signatures) {
        if (!verify(null, bytes, key, signature)) throw new Error('a signature is wrong');
      }
    }),
    signatures: signatures.length,
    jsonBytes: readFiles(files).reduce((sum, [, bytes]) => sum + bytes.length, 0),
  };
}

async function filesWith(images: number): Promise<Files> {
  const world = await SignedWorld.create(NOW_MS);
  for (let index = ECUS.length; index < images; index++) {
    world.release(`MODEL${index % 100}`, 1 + Math.floor(index / 100));
  }
  for (const ecu of ECUS) {
    const { name, target } = world.release(ecu, 2);
    world.assign(serialOf(ecu), name, target);
  }
  return world.publish(NOW_MS);
}

function anchors(files: Files): VehicleTrust {
  const anchor = (name: RepositoryName) => {
    const trust = trustRoot(fileOf(files, name, '1.root.json'));
    if (!trust.ok) throw new Error(trust.reason);
    return trust.value;
  };
  return { director: anchor('director'), images: anchor('images') };
}

function verified(files: Files, trust: VehicleTrust): VehicleTrust {
  const verification = new FullVerification({
    trust,
    nowMs: NOW_MS,
    vin: VIN,
    ecus: ECUS.map((ecu) => ({ serial: serialOf(ecu), hardwareId: `${ecu}-HW-1`, name: ecu })),
    primary: true,
    alwaysCheckImages: true,
  });
  for (let next = verification.next(); next !== undefined; next = verification.next()) {
    const bytes = files[next.repository].get(next.request.file);
    verification.accept(bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes });
  }
  const { outcome } = verification;
  if (outcome?.ok !== true) throw new Error(`not verified: ${JSON.stringify(outcome)}`);
  if (outcome.value.length !== ECUS.length) throw new Error('an image is missing');
  return verification.trust;
}

function fileOf(files: Files, repository: RepositoryName, name: string): Uint8Array {
  return present(files[repository].get(name), name);
}

/** The files of one verification, once each. */
function readFiles(files: Files): [RepositoryName, Uint8Array][] {
  const names = ['1.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json'];
  return (['director', 'images'] as const).flatMap((repository) =>
    names.map((name): [RepositoryName, Uint8Array] => [
      repository,
      fileOf(files, repository, name),
    ]),
  );
}

interface BareSignature {
  readonly bytes: Uint8Array;
  readonly key: KeyObject;
  readonly signature: Uint8Array;
}

interface RootFields {
  readonly keys: Readonly<Record<string, { readonly keyval: { readonly public: string } }>>;
  readonly roles: Readonly<Record<string, { readonly threshold: number }>>;
}

/** The signatures of each file, as many as its threshold needs. */
function signaturesIn(files: Files): BareSignature[] {
  return readFiles(files).flatMap(([repository, file]) => {
    const { keys, roles } = parseSignedRole(fileOf(files, repository, '1.root.json'))
      .signed as unknown as RootFields;
    const { signed, signatures } = parseSignedRole(file);
    const bytes = payloadBytes(signed);
    return signatures
      .slice(0, present(roles[signed._type], signed._type).threshold)
      .map(({ keyid, sig }) => ({
        bytes,
        key: createPublicKey({
          key: {
            kty: 'OKP',
            crv: 'Ed25519',
            x: Buffer.from(present(keys[keyid], keyid).keyval.public, 'hex').toString('base64url'),
          },
          format: 'jwk',
        }),
        signature: Buffer.from(sig, 'hex'),
      }));
  });
}

/** Median duration of a call in milliseconds, without the first calls, in which code is compiled. */
function median(seconds: number, work: () => void): number {
  for (let warm = 0; warm < 3; warm++) work();
  const took: number[] = [];
  const endMs = performance.now() + seconds * 1000;
  do {
    const startMs = performance.now();
    work();
    took.push(performance.now() - startMs);
  } while (performance.now() < endMs);
  return itemAt(
    took.sort((a, b) => a - b),
    took.length >> 1,
  );
}

export interface DecryptionRate {
  readonly bytesPerSecond: number;
  /** AES-256-GCM alone, as one stream. */
  readonly bareBytesPerSecond: number;
  /** AES-256-GCM alone, with a cipher and a tag for each block as in images. */
  readonly blocksBytesPerSecond: number;
}

const IMAGE_BYTES = 8 << 20;
const CHUNK_BYTES = 65_536;

export function measureDecryption(seconds: number): DecryptionRate {
  const image = randomBytes(IMAGE_BYTES);
  const { privateKey, publicKey } = generateX25519();
  const sha256 = createHash('sha256').update(image).digest('hex');
  const facts = { serial: 'BENCHMARK', name: 'image.bin', sha256, length: image.length };
  const encryptor = encryptImage({ ...facts, recipient: publicKey }, systemRandom);
  const blob = Buffer.concat([encryptor.header, encryptor.update(image), encryptor.finish()]);
  const rate = (work: () => void): number => (IMAGE_BYTES / median(seconds / 3, work)) * 1000;

  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const encrypted = Buffer.concat([cipher.update(image), cipher.final()]);
  const tag = cipher.getAuthTag();
  const nonces = Array.from({ length: IMAGE_BYTES / BLOCK_BYTES }, () => randomBytes(12));
  const blocks = nonces.map((blockNonce, index) => {
    const block = createCipheriv('aes-256-gcm', key, blockNonce);
    const plain = image.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    const text = Buffer.concat([block.update(plain), block.final()]);
    return { text, tag: block.getAuthTag() };
  });
  return {
    bytesPerSecond: rate(() => {
      const decryptor = new ImageDecryptor({ ...facts, privateKey });
      for (const chunk of chunks(blob)) {
        const plain = decryptor.update(chunk);
        if (!plain.ok) throw new Error(plain.reason);
      }
      if (!decryptor.finish().ok) throw new Error('the image has no end');
    }),
    bareBytesPerSecond: rate(() => {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce);
      decipher.setAuthTag(tag);
      for (const chunk of chunks(encrypted)) decipher.update(chunk);
      decipher.final();
    }),
    blocksBytesPerSecond: rate(() => {
      for (const [at, { text, tag: blockTag }] of blocks.entries()) {
        const decipher = createDecipheriv('aes-256-gcm', key, itemAt(nonces, at));
        decipher.setAuthTag(blockTag);
        decipher.update(text);
        decipher.final();
      }
    }),
  };
}

function* chunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}
