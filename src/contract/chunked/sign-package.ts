// Makes keys of both profiles and signs manifests for a release. It never runs on the server or on a device.

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import {
  manifestBytes,
  type PackageManifest,
  type Profile,
  profileOf,
  type SignedManifest,
} from './package.ts';

/** Makes a new key of a profile with the system's random source. */
export function generateReleaseKey(profile: Profile): KeyObject {
  return profile === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    : generateKeyPairSync('ed25519').privateKey;
}

/** PEM of the public key, which devices pin and the server stores. */
export function publicPem(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
}

/** Makes the manifest of an image. */
export function manifestFor(
  image: Uint8Array,
  facts: Pick<PackageManifest, 'model' | 'version' | 'counter' | 'profile'>,
): PackageManifest {
  return {
    type: 'can-ota device package',
    format: 1,
    ...facts,
    length: image.length,
    sha256: createHash('sha256').update(image).digest('hex'),
  };
}

/** Signs a manifest. Throws TypeError for a key of another profile. */
export function signManifest(manifest: PackageManifest, privateKey: KeyObject): SignedManifest {
  const profile = profileOf(privateKey);
  if (profile !== manifest.profile) {
    throw new TypeError(
      `the key is for profile ${profile ?? 'none'}, the package has profile ${manifest.profile}`,
    );
  }
  const digest = profile === 'rsa' ? 'sha256' : null;
  const signature = sign(digest, manifestBytes(manifest), privateKey);
  return { manifest, signature: signature.toString('hex') };
}
