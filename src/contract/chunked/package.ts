// What is released for small devices: a manifest that names one image, signed offline under one of two profiles.
//
//     default   Ed25519 (RFC 8032)                          AES-256-GCM in blocks of 4 KiB
//     rsa       RSA-2048, PKCS #1 v1.5 (RFC 8017), SHA-256  AES-256-CBC with PKCS #7 padding, HMAC-SHA256 over it
//
// The signature is over the canonical JSON of the manifest, and the manifest holds the digest of the plain image: who
// believes the manifest and computes the digest himself needs to believe nobody else.

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
  /** Hardware that it runs on. */
  model: hardwareModel,
  version: packageVersion,
  /** Never goes back: a device takes nothing below the one that it has confirmed. */
  counter: releaseCounter,
  profile: profileName,
  /** bytes of the plain image */
  length: z.number().int().min(1).max(LARGEST_IMAGE_BYTES),
  /** Of the plain image. */
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

/** Why a device does not take a package. */
export type PackageFaultCode =
  /** Not signed by the key that the device has known since it was enrolled. */
  | 'SIGNATURE'
  | 'PROFILE'
  | 'MODEL'
  | 'COUNTER'
  /** Damaged, or encrypted for another device or package. */
  | 'DECRYPTION'
  /** Not the image that was signed. */
  | 'DIGEST_MISMATCH'
  /** More or fewer bytes than there should be. */
  | 'LENGTH';

export interface PackageFault {
  readonly ok: false;
  readonly code: PackageFaultCode;
  readonly reason: string;
}

export function packageFault(code: PackageFaultCode, reason: string): PackageFault {
  return { ok: false, code, reason };
}

/** A public key of a profile, that packages are verified with. */
export interface ReleaseKey {
  readonly profile: Profile;
  /** SHA-256 of its SubjectPublicKeyInfo, hexadecimal. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * Canonical JSON: its fields are texts without characters that need escaping and whole numbers, so sorted fields
 * without spaces are all there is to it.
 */
export function manifestBytes(manifest: PackageManifest): Uint8Array {
  const fields = Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1));
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
}

/** From PEM (SubjectPublicKeyInfo). Undefined for what is none, or a key of no profile. */
export function readReleaseKey(pem: string): ReleaseKey | undefined {
  // A private key has a public half, too: whoever hands one over has made a mistake that must not work.
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return undefined;
  try {
    return releaseKeyOf(createPublicKey(pem));
  } catch {
    return undefined; // no key at all
  }
}

/** Of a public key. Undefined for a key of no profile. */
function releaseKeyOf(key: KeyObject): ReleaseKey | undefined {
  const profile = profileOf(key);
  if (profile === undefined) return undefined;
  const der = key.export({ type: 'spki', format: 'der' });
  return { profile, id: createHash('sha256').update(der).digest('hex'), key };
}

/** The profile that a key can sign for, by what it is. */
export function profileOf(key: KeyObject): Profile | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'default';
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return key.asymmetricKeyType === 'rsa' && bits === 2048 ? 'rsa' : undefined;
}

/** The signature alone, as whoever stores packages checks it. */
export function signedBy({ manifest, signature }: SignedManifest, key: ReleaseKey): boolean {
  if (manifest.profile !== key.profile) return false;
  try {
    // RSA keys are verified with PKCS #1 v1.5 where nothing else is said.
    const digest = key.profile === 'rsa' ? 'sha256' : null;
    return verify(digest, manifestBytes(manifest), key.key, fromHex(signature));
  } catch {
    return false; // not even in the form of a signature
  }
}

/** What a device knows of itself. */
export interface PackageRecipient {
  readonly model: string;
  /** The highest release counter that it has confirmed. */
  readonly counter: number;
  /** Pinned when it was enrolled. */
  readonly releaseKey: ReleaseKey;
}

/** Whether a device that runs `running` wants this package: another version, and no step back. */
export function isNewerPackage(
  { version, counter }: Pick<PackageManifest, 'version' | 'counter'>,
  running: Pick<PackageManifest, 'version' | 'counter'>,
): boolean {
  return version !== running.version && counter >= running.counter;
}

/** Everything about a package that can be judged before its first byte has come. */
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
  // Before anything in it is believed.
  if (!signedBy(signed, device.releaseKey)) {
    return packageFault(
      'SIGNATURE',
      `version ${manifest.version} is not signed by the release key of this device (${device.releaseKey.id.slice(0, 16)})`,
    );
  }
  if (manifest.model !== device.model) {
    return packageFault('MODEL', `is for ${manifest.model}, this device is ${device.model}`);
  }
  if (manifest.counter < device.counter) {
    return packageFault(
      'COUNTER',
      `has release counter ${manifest.counter}, this device has confirmed ${device.counter}: release it with a higher one`,
    );
  }
  return { ok: true, manifest };
}
