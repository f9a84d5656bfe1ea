// Private keys: Ed25519 and ECDSA P-256 for signatures, X25519 for agreement; their PEM files and their public halves.

import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { canonicalize } from '@tufjs/canonical-json';
import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { type Random, systemRandom } from '../core/random.ts';

/** A public key as metadata writes it (TUF 4.2): Ed25519 as 64 hex digits, ECDSA as PEM. */
export interface PublicKeyJson {
  readonly keytype: string;
  readonly scheme: string;
  readonly keyval: { readonly public: string };
}

/** A signer: a key in memory, or one in a token that answers later. */
export interface Signer {
  readonly keyId: string;
  readonly publicKey: PublicKeyJson;
  /** Returns the signature as hexadecimal digits, for ECDSA of the DER form. A key that is not in memory may reject. */
  sign(bytes: Uint8Array): Promise<string> | string;
}

/** A signer whose key is in memory. */
export interface LocalSigner extends Signer {
  sign(bytes: Uint8Array): string;
}

const SIGNING_ALGORITHMS = ['ed25519', 'ecdsa-p256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Raw 32 byte keys of RFC 7748. */
export interface X25519KeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** Length in bytes of an Ed25519 seed, an Ed25519 public key, and both halves of an X25519 key. */
export const KEY_BYTES = 32;

/** RFC 8410 section 7: the bytes before the 32 bytes of the key in PKCS #8 (private) and in SPKI (public). */
const DER = {
  ed25519: { pkcs8: '302e020100300506032b657004220420', spki: '302a300506032b6570032100' },
  x25519: { pkcs8: '302e020100300506032b656e04220420', spki: '302a300506032b656e032100' },
} as const;
type RawCurve = keyof typeof DER;

/** Length of a SubjectPublicKeyInfo with an uncompressed point. */
const P256_SPKI_BYTES = 91;

/** Uptane 5.2.1: SHA-256 over the canonical JSON of type, scheme and value, without other fields of the key. */
export function keyIdOf({ keytype, scheme, keyval }: PublicKeyJson): string {
  const text = canonicalize({ keytype, scheme, keyval: { public: keyval.public } });
  return toHex(sha256(new TextEncoder().encode(text)));
}

/** A new key, and its private half for `toPem`. An ECDSA key takes its randomness from the system. */
export function generateSigner(
  algorithm: SigningAlgorithm = 'ed25519',
  random: Random = systemRandom,
): { readonly signer: LocalSigner; readonly privateKey: KeyObject } {
  const privateKey =
    algorithm === 'ed25519'
      ? rawPrivateKey('ed25519', random.bytes(KEY_BYTES))
      : generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
  return { signer: signerOf(privateKey), privateKey };
}

/** The Ed25519 key of a seed (RFC 8032 5.1.5). Throws RangeError if the seed does not have 32 bytes. */
export function signerFromSeed(seed: Uint8Array): LocalSigner {
  return signerOf(rawPrivateKey('ed25519', seed));
}

/**
 * Reads PKCS #8 PEM. Throws Error if the file is damaged, encrypted without a passphrase given, or the passphrase is
 * wrong, TypeError for a key of another kind.
 */
export function signerFromPem(pem: string, passphrase?: string): LocalSigner {
  return signerOf(createPrivateKey({ key: pem, format: 'pem', ...defined({ passphrase }) }));
}

/**
 * Writes PKCS #8 PEM; with a passphrase it is encrypted by AES-256-CBC under PBKDF2, which hardly slows down guessing: the
 * passphrase must be long. Throws RangeError for an empty passphrase.
 */
export function toPem(privateKey: KeyObject, passphrase?: string): string {
  if (passphrase === undefined) {
    return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }
  if (passphrase === '') throw new RangeError('an empty passphrase protects nothing');
  return privateKey
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString();
}

/** False for a wrong or malformed signature, and for a key of an unknown scheme. */
export function verifyWith(publicKey: PublicKeyJson, bytes: Uint8Array, sigHex: string): boolean {
  const key = importPublicKey(publicKey);
  if (key === undefined || !/^(?:[0-9a-fA-F]{2})+$/.test(sigHex)) return false;
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    return verify(digest, bytes, key, fromHex(sigHex));
  } catch {
    return false; // not even in the form of a signature
  }
}

/** The public half of an Ed25519 key in the form of metadata. Throws RangeError if it does not have 32 bytes. */
export function ed25519PublicKey(raw: Uint8Array): PublicKeyJson {
  requireLength(raw, 'an Ed25519 public key');
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: toHex(raw) } };
}

export function generateX25519(random: Random = systemRandom): X25519KeyPair {
  const privateKey = random.bytes(KEY_BYTES);
  return { privateKey, publicKey: x25519PublicKey(privateKey) };
}

/** Throws RangeError if the private key does not have 32 bytes. */
export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return rawBytesOf(createPublicKey(rawPrivateKey('x25519', privateKey)));
}

/** The bytes of a public key of Curve25519 (RFC 8037 2). */
function rawBytesOf(publicKey: KeyObject): Uint8Array {
  const { x } = publicKey.export({ format: 'jwk' });
  return Uint8Array.from(Buffer.from(present(x, 'x of the public key'), 'base64url'));
}

/**
 * The secret that two X25519 keys share (RFC 7748 6.1). Undefined if the peer's key is invalid: another length, or a point
 * of small order, which would give every private key the same secret.
 */
export function x25519Agree(
  privateKey: Uint8Array,
  peerPublicKey: Uint8Array,
): Uint8Array | undefined {
  const own = rawPrivateKey('x25519', privateKey);
  if (peerPublicKey.length !== KEY_BYTES) return undefined;
  try {
    const publicKey = rawPublicKey('x25519', peerPublicKey);
    return Uint8Array.from(diffieHellman({ privateKey: own, publicKey }));
  } catch {
    return undefined; // OpenSSL refuses a secret of zeros
  }
}

function signerOf(privateKey: KeyObject): LocalSigner {
  const publicKey = publicKeyOf(privateKey);
  const digest = publicKey.keytype === 'ed25519' ? null : 'sha256';
  return {
    keyId: keyIdOf(publicKey),
    publicKey,
    sign: (bytes) => sign(digest, bytes, privateKey).toString('hex'),
  };
}

function publicKeyOf(key: KeyObject): PublicKeyJson {
  const json = key.type === 'private' ? jsonOf(createPublicKey(key)) : jsonOf(key);
  if (json !== undefined) return json;
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown';
  throw new TypeError(`a key of kind ${kind} signs nothing here: use Ed25519 or ECDSA P-256`);
}

function jsonOf(key: KeyObject): PublicKeyJson | undefined {
  if (key.asymmetricKeyType === 'ed25519') {
    return ed25519PublicKey(rawBytesOf(key));
  }
  if (!isP256(key)) return undefined;
  const keyval = { public: key.export({ type: 'spki', format: 'pem' }).toString() };
  return { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval };
}

/** Imported keys. An import takes a third of the time of a verification, and the same few keys come again and again. */
const imported = new Map<string, KeyObject>();
/** Limit of the cache, because peers choose the keys. A key in its one spelling has at most 200 bytes. */
const MAX_IMPORTED = 500;

/**
 * Accepts one spelling of a key, and so one id: 64 lower-case digits, or the PEM that OpenSSL writes. A second spelling
 * would count as a second key.
 */
function importPublicKey(json: PublicKeyJson): KeyObject | undefined {
  const { keytype, scheme, keyval } = json;
  const name = `${keytype} ${scheme} ${keyval.public}`;
  const known = imported.get(name);
  if (known !== undefined) return known;
  try {
    const key =
      scheme === 'ed25519'
        ? rawPublicKey('ed25519', fromHex(keyval.public))
        : createPublicKey(keyval.public);
    const own = jsonOf(key);
    const same =
      own?.keytype === keytype && own.scheme === scheme && own.keyval.public === keyval.public;
    if (!same) return undefined;
    if (imported.size >= MAX_IMPORTED) imported.clear();
    imported.set(name, key);
    return key;
  } catch {
    return undefined; // not a key: it has signed nothing
  }
}

/** Expects the point in its uncompressed form, which is the common one. */
function isP256(key: KeyObject): boolean {
  return (
    key.asymmetricKeyType === 'ec' &&
    key.asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
    key.export({ type: 'spki', format: 'der' }).length === P256_SPKI_BYTES
  );
}

function rawPrivateKey(curve: RawCurve, raw: Uint8Array): KeyObject {
  requireLength(raw, `an ${curve} private key`);
  const key = Buffer.from(concatBytes(fromHex(DER[curve].pkcs8), raw));
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function rawPublicKey(curve: RawCurve, raw: Uint8Array): KeyObject {
  requireLength(raw, `an ${curve} public key`);
  const key = Buffer.from(concatBytes(fromHex(DER[curve].spki), raw));
  return createPublicKey({ key, format: 'der', type: 'spki' });
}

function requireLength(raw: Uint8Array, what: string): void {
  if (raw.length !== KEY_BYTES) {
    throw new RangeError(`${what} has ${KEY_BYTES} bytes, this has ${raw.length}`);
  }
}
