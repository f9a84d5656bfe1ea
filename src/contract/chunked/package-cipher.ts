// The image of a package, encrypted for one device.
//
//     0  4  magic "COD1"               6  16  salt
//     4  1  version, 1                22      default: blocks of 4096 bytes, the last one shorter, each with its tag
//     5  1  profile: 1 default, 2 rsa         rsa: IV (16), AES-256-CBC text, HMAC-SHA256 (32) over all before it
//
// HKDF-SHA256 derives the keys from the device key, the salt, and the identity of image and device: profile, serial,
// model, version, digest, length. The nonce of a block is prefix (7), block number (4), last flag (1) as in
// src/trust/image-encryption.ts, and the head is associated data of each block. With CBC the padding is checked only
// after the HMAC, so that an attacker learns nothing from padding errors.

import { createCipheriv, createHash, createHmac, type Hash } from 'node:crypto';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { asciiBytes, concatBytes, fromHex, uintToBytes } from '../../core/bytes.ts';
import type { Random } from '../../core/random.ts';
import { lengthPrefixed } from '../../trust/length-prefixed.ts';
import type { PackageManifest, Profile } from './package.ts';

export const BLOCK_BYTES = 4096;
export const TAG_BYTES = 16;
export const MAC_BYTES = 32;
const IV_BYTES = 16;
export const CBC_BYTES = 16;
const SALT_AT = 6;
const SALT_BYTES = 16;
const HEAD_BYTES = SALT_AT + SALT_BYTES;
const PREFIX_BYTES = 7;
const KEY_BYTES = 32;
const LABEL = 'can-ota device package encryption 1';
const CODES: Readonly<Record<Profile, number>> = { default: 1, rsa: 2 };

export interface PackageKey {
  readonly serial: string;
  /** `deviceKeyOf(secret)`: 32 bytes, known to the device and the registry. */
  readonly deviceKey: Uint8Array;
}

export interface PackageEncryptor {
  /** The bytes before the encrypted blocks. */
  readonly head: Uint8Array;
  /** Encrypts the next bytes of the image. */
  update(plain: Uint8Array): Uint8Array;
  /** The last encrypted bytes. Throws RangeError when the image does not match the manifest. */
  finish(): Uint8Array;
}

/** Length of the encrypted image in bytes. */
export function encryptedLength({
  profile,
  length,
}: Pick<PackageManifest, 'profile' | 'length'>): number {
  if (profile === 'default') {
    return HEAD_BYTES + length + TAG_BYTES * Math.ceil(length / BLOCK_BYTES);
  }
  return HEAD_BYTES + IV_BYTES + cbcLength(length) + MAC_BYTES;
}

/** Encrypts with a new salt, so that no two copies share a key. */
export function encryptPackage(
  manifest: PackageManifest,
  to: PackageKey,
  random: Random,
): PackageEncryptor {
  const salted = concatBytes(headStart(manifest.profile), random.bytes(SALT_BYTES));
  return manifest.profile === 'default'
    ? blockEncryptor(manifest, to, salted)
    : cbcEncryptor(manifest, to, concatBytes(salted, random.bytes(IV_BYTES)));
}

/** The first bytes of every head of a profile. */
export function headStart(profile: Profile): Uint8Array {
  return concatBytes(asciiBytes('COD1'), Uint8Array.of(1, CODES[profile]));
}

export function headBytes(profile: Profile): number {
  return HEAD_BYTES + (profile === 'rsa' ? IV_BYTES : 0);
}

export function ivOf(head: Uint8Array): Uint8Array {
  return head.subarray(HEAD_BYTES);
}

function blockEncryptor(
  manifest: PackageManifest,
  to: PackageKey,
  head: Uint8Array,
): PackageEncryptor {
  const { key, prefix } = blockKeys(manifest, to, head);
  const check = new PlainCheck(manifest);
  const block = new Uint8Array(BLOCK_BYTES);
  let filled = 0;
  let index = 0;
  const seal = (): Uint8Array => {
    const last = check.left === 0;
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(prefix, index++, last), {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(head);
    const text = cipher.update(block.subarray(0, filled));
    filled = 0;
    return concatBytes(text, cipher.final(), cipher.getAuthTag());
  };
  return {
    head,
    update(plain) {
      const sealed: Uint8Array[] = [];
      for (let at = 0; at < plain.length; ) {
        const part = plain.subarray(at, at + BLOCK_BYTES - filled);
        check.update(part);
        block.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === BLOCK_BYTES || check.left === 0) sealed.push(seal());
      }
      return concatBytes(...sealed);
    },
    finish() {
      check.require();
      return new Uint8Array();
    },
  };
}

function cbcEncryptor(
  manifest: PackageManifest,
  to: PackageKey,
  head: Uint8Array,
): PackageEncryptor {
  const { key, macKey } = cbcKeys(manifest, to, head);
  const cipher = createCipheriv('aes-256-cbc', key, ivOf(head));
  const mac = createHmac('sha256', macKey).update(head);
  const check = new PlainCheck(manifest);
  return {
    head,
    update(plain) {
      check.update(plain);
      const text = cipher.update(plain);
      mac.update(text);
      return text;
    },
    finish() {
      check.require();
      const text = cipher.final();
      return concatBytes(text, mac.update(text).digest());
    },
  };
}

/** Checks length and digest of the plain image against the signed manifest. */
export class PlainCheck {
  readonly #hash: Hash = createHash('sha256');
  readonly #expected: string;
  left: number;

  constructor({ length, sha256: expected }: PackageManifest) {
    this.left = length;
    this.#expected = expected;
  }

  /** Adds plain bytes. Throws RangeError when they exceed the length in the manifest. */
  update(plain: Uint8Array): void {
    if (plain.length > this.left)
      throw new RangeError('the image is longer than the manifest says');
    this.left -= plain.length;
    this.#hash.update(plain);
  }

  /** Whether length and digest match; called once, at the end. */
  right(): boolean {
    return this.left === 0 && this.#hash.digest('hex') === this.#expected;
  }

  require(): void {
    if (!this.right()) throw new RangeError('the image does not match the manifest');
  }
}

/** Length of CBC text with PKCS #7, which always adds padding. */
export function cbcLength(length: number): number {
  return (Math.floor(length / CBC_BYTES) + 1) * CBC_BYTES;
}

function derive(
  manifest: PackageManifest,
  to: PackageKey,
  head: Uint8Array,
  length: number,
): Uint8Array {
  const info = lengthPrefixed(
    LABEL,
    manifest.profile,
    to.serial,
    manifest.model,
    manifest.version,
    fromHex(manifest.sha256),
    uintToBytes(manifest.length, 6),
  );
  return hkdf(sha256, to.deviceKey, head.subarray(SALT_AT, HEAD_BYTES), info, length);
}

export function blockKeys(
  manifest: PackageManifest,
  to: PackageKey,
  head: Uint8Array,
): { readonly key: Uint8Array; readonly prefix: Uint8Array } {
  const derived = derive(manifest, to, head, KEY_BYTES + PREFIX_BYTES);
  return { key: derived.subarray(0, KEY_BYTES), prefix: derived.subarray(KEY_BYTES) };
}

export function cbcKeys(
  manifest: PackageManifest,
  to: PackageKey,
  head: Uint8Array,
): { readonly key: Uint8Array; readonly macKey: Uint8Array } {
  const derived = derive(manifest, to, head, 2 * KEY_BYTES);
  return { key: derived.subarray(0, KEY_BYTES), macKey: derived.subarray(KEY_BYTES) };
}

export function nonceOf(prefix: Uint8Array, index: number, last: boolean): Uint8Array {
  return concatBytes(prefix, uintToBytes(index, 4), Uint8Array.of(last ? 1 : 0));
}
