// The package for small devices: a manifest that names one image, signed offline under one of two profiles.
//
//     default   Ed25519 (RFC 8032)                          AES-256-GCM in blocks of 4 KiB
//     rsa       RSA-2048, PKCS #1 v1.5 (RFC 8017), SHA-256  AES-256-CBC with PKCS #7 padding, HMAC-SHA256 over it
//
// The signature covers the canonical JSON of the manifest, which holds the digest of the plain image. A device that
// verifies the signature and computes the digest needs to trust no other party.

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { fromHex } from '../../core/bytes.ts';
import { LARGEST_IMAGE_BYTES } from '../../core/image-limit.ts';
import { sha256Hex } from '../../core/names.ts';

export const PROFILES = ['default', 'rsa'] as const;
export type Profile = (typeof PROFILES)[number];
export const profileName = z.enum(PROFILES, 'expected the profile default or rsa');

export const hardwareModel = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/, 'expected 1 to 64 letters, digits, . _ : + -');
export const packageVersion = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$/, 'expected 1 to 32 characters 0-9 A-Z a-z . + _ -')
  .refine((text) => !text.includes('..'), 'two dots in a row are not allowed');
export const releaseCounter = z
  .number()
  .int()
  .min(0)
  .max(2 ** 32 - 1);

export const manifestSchema = z.strictObject({
  type: z.literal('can-ota device package'),
  format: z.literal(1),
  /** Hardware model for which the image is made. */
  model: hardwareModel,
  version: packageVersion,
  /** Release counter: a device refuses a package below its confirmed counter. */
  counter: releaseCounter,
  profile: profileName,
  /** Length of the plain image in bytes. */
  length: z.number().int().min(1).max(LARGEST_IMAGE_BYTES),
  /** SHA-256 of the plain image. */
  sha256: sha256Hex,
});
export type PackageManifest = Readonly<z.output<typeof manifestSchema>>;

export const signedManifest = z.strictObject({
  manifest: manifestSchema,
  signature: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){1,512}$/, 'expected a signature as hexadecimal digits'),
});
export type SignedManifest = Readonly<z.output<typeof signedManifest>>;

/** Why a device refuses a package. */
export type PackageFaultCode =
  /** The package is not signed by the key that the device got at its enrolment. */
  | 'SIGNATURE'
  | 'PROFILE'
  | 'MODEL'
  | 'COUNTER'
  /** The image is damaged, or encrypted for another device or package. */
  | 'DECRYPTION'
  /** The image is not the signed one. */
  | 'DIGEST_MISMATCH'
  /** The image is longer or shorter than the manifest says. */
  | 'LENGTH';

export interface PackageFault {
  readonly ok: false;
  readonly code: PackageFaultCode;
  readonly reason: string;
}

export function packageFault(code: PackageFaultCode, reason: string): PackageFault {
  return { ok: false, code, reason };
}

/** A public key of a profile with which packages are verified. */
export interface ReleaseKey {
  readonly profile: Profile;
  /** SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * Canonical JSON of the manifest. Its fields are whole numbers and texts without characters that need escaping, so
 * sorted fields without spaces are enough.
 */
export function manifestBytes(manifest: PackageManifest): Uint8Array {
  const fields = Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1));
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
}

/** Reads a public key from PEM (SubjectPublicKeyInfo). Undefined for an invalid text or a key of no profile. */
export function readReleaseKey(pem: string): ReleaseKey | undefined {
  // A private key contains a public key, too, but handing one over is a mistake and must fail.
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return undefined;
  try {
    return releaseKeyOf(createPublicKey(pem));
  } catch {
    return undefined; // not a key
  }
}

/** The release key of a public key; undefined for a key of no profile. */
function releaseKeyOf(key: KeyObject): ReleaseKey | undefined {
  const profile = profileOf(key);
  if (profile === undefined) return undefined;
  const der = key.export({ type: 'spki', format: 'der' });
  return { profile, id: createHash('sha256').update(der).digest('hex'), key };
}

/** The profile of a key, by its type and size. */
export function profileOf(key: KeyObject): Profile | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'default';
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return key.asymmetricKeyType === 'rsa' && bits === 2048 ? 'rsa' : undefined;
}

/** Whether the signature is valid. A server that stores packages checks only this. */
export function signedBy({ manifest, signature }: SignedManifest, key: ReleaseKey): boolean {
  if (manifest.profile !== key.profile) return false;
  try {
    // node:crypto verifies RSA keys with PKCS #1 v1.5 by default.
    const digest = key.profile === 'rsa' ? 'sha256' : null;
    return verify(digest, manifestBytes(manifest), key.key, fromHex(signature));
  } catch {
    return false; // the bytes do not have the form of a signature
  }
}

/** The facts of a device that its packages must match. */
export interface PackageRecipient {
  readonly model: string;
  /** The highest release counter that the device has confirmed. */
  readonly counter: number;
  /** Release key, pinned at the enrolment. */
  readonly releaseKey: ReleaseKey;
}

/** Whether the package is an update for a device that runs `running`: another version, and no lower counter. */
export function isNewerPackage(
  { version, counter }: Pick<PackageManifest, 'version' | 'counter'>,
  running: Pick<PackageManifest, 'version' | 'counter'>,
): boolean {
  return version !== running.version && counter >= running.counter;
}

/** Checks a package as far as possible before its image is downloaded. */
export function verifyPackage(
  signed: SignedManifest,
  device: PackageRecipient,
): { readonly ok: true; readonly manifest: PackageManifest } | PackageFault {
  const { manifest } = signed;
  if (manifest.profile !== device.releaseKey.profile) {
    return packageFault(
      'PROFILE',
      `the package has profile ${manifest.profile}, this device takes ${device.releaseKey.profile}`,
    );
  }
  // Check the signature before the other facts of the manifest.
  if (!signedBy(signed, device.releaseKey)) {
    return packageFault(
      'SIGNATURE',
      `version ${manifest.version} is not signed by the release key of this device (${device.releaseKey.id.slice(0, 16)})`,
    );
  }
  if (manifest.model !== device.model) {
    return packageFault(
      'MODEL',
      `the package is for ${manifest.model}, this device is ${device.model}`,
    );
  }
  if (manifest.counter < device.counter) {
    return packageFault(
      'COUNTER',
      `the package has release counter ${manifest.counter}, this device has confirmed ${device.counter}: release it with a higher one`,
    );
  }
  return { ok: true, manifest };
}
