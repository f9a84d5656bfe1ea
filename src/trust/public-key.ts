// Public keys in metadata: read, compared by their material (not by their ids), and used to verify signatures.

import {
  constants,
  createPublicKey,
  ECDH,
  type JsonWebKey,
  type KeyObject,
  verify,
} from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { canonicalize } from '@tufjs/canonical-json';
import { toHex } from '../core/bytes.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { type DialectRules, SCHEMES, type SignatureScheme } from './profile.ts';
import { field, isObject, type JsonObject, type JsonValue, quoted } from './strict-json.ts';

interface VerificationKey {
  readonly keyId: string;
  /** The same for all spellings of the same key: `ed25519 <x>`. A threshold counts these. */
  readonly material: string;
  /** False for a wrong or malformed signature. */
  verify(bytes: Uint8Array, signature: string): boolean;
}

/** The usable keys of `keys` by key id. */
export type KeyRing = ReadonlyMap<string, VerificationKey>;

const CURVES: Readonly<Partial<Record<SignatureScheme, readonly [jwk: string, openssl: string]>>> =
  {
    'ecdsa-sha2-nistp256': ['P-256', 'prime256v1'],
    'ecdsa-sha2-nistp384': ['P-384', 'secp384r1'],
  };

const PEM = '-----BEGIN PUBLIC KEY-----';

/**
 * Reads the field `keys` of Root or of delegations. KEY_CONFUSION if the dialect demands that an id belongs to its key or
 * that a key is listed once; MALFORMED for an unreadable key if the dialect refuses those.
 */
export function readKeys(
  keys: JsonValue | undefined,
  rules: DialectRules,
  where: string,
): Verdict<KeyRing> {
  if (!isObject(keys)) return refused('MALFORMED', where, '"keys" is not an object');
  const ring = new Map<string, VerificationKey>();
  const owners = new Map<string, string>();
  for (const [keyId, json] of Object.entries(keys)) {
    const key = keyFields(json, rules);
    if (key === undefined) {
      if (rules.unreadableKey === 'ignored') continue;
      const reason = `key ${quoted(keyId)} is not {keytype, scheme, keyval: {public}}`;
      return refused('MALFORMED', where, reason);
    }
    // Uptane 5.2.1: an id is a hash over the value, the type and the scheme. A key with two ids would sign twice.
    if (rules.keyIds === 'recomputed' && keyIdOfJson(key) !== keyId) {
      const reason = `key id ${quoted(keyId)} is not the SHA-256 of its key: expected ${keyIdOfJson(key)}`;
      return refused('KEY_CONFUSION', where, reason);
    }
    const readable = verificationKey(keyId, key, rules);
    if (readable === undefined) continue;
    const owner = owners.get(readable.material);
    if (owner !== undefined && rules.sameKeyTwice === 'refused') {
      const reason = `${quoted(owner)} and ${quoted(keyId)} are one and the same key`;
      return refused('KEY_CONFUSION', where, reason);
    }
    owners.set(readable.material, keyId);
    ring.set(keyId, readable);
  }
  return accepted(ring);
}

interface KeyFields {
  readonly keytype: string;
  readonly scheme: string;
  readonly keyval: JsonObject;
}

function keyFields(json: JsonValue, { oldForm }: DialectRules): KeyFields | undefined {
  const type = field(json, 'keytype');
  const keyval = field(json, 'keyval');
  if (typeof type !== 'string' || !isObject(keyval)) return undefined;
  if (!Object.values(keyval).every((part) => typeof part === 'string')) return undefined;
  const keytype = oldForm ? type.toLowerCase() : type;
  const scheme = field(json, 'scheme') ?? (oldForm ? OLD_SCHEMES[keytype] : undefined);
  return typeof scheme === 'string' ? { keytype, scheme, keyval } : undefined;
}

/** The scheme of a key that names none, by its type. */
const OLD_SCHEMES: Readonly<Record<string, SignatureScheme | undefined>> = {
  ed25519: 'ed25519',
  rsa: 'rsassa-pss-sha256',
  ecdsa: 'ecdsa-sha2-nistp256',
};

/** The key in the form of the models, with its scheme and id. Undefined for a key that the models cannot read. */
export function modelKey(json: JsonValue, rules: DialectRules): JsonObject | undefined {
  const key = keyFields(json, rules);
  return key === undefined || !isObject(json) ? undefined : { ...json, ...key };
}

function keyIdOfJson({ keytype, scheme, keyval }: KeyFields): string {
  return toHex(sha256(new TextEncoder().encode(canonicalize({ keytype, scheme, keyval }))));
}

/** Undefined for a scheme that is not accepted, and for a value that is not a key of the scheme. */
function verificationKey(
  keyId: string,
  { keytype, scheme: named, keyval }: KeyFields,
  rules: DialectRules,
): VerificationKey | undefined {
  const value = field(keyval, 'public');
  const scheme = SCHEMES.find((each) => each === named);
  if (typeof value !== 'string' || scheme === undefined || !rules.schemes.includes(scheme)) {
    return undefined;
  }
  const key = importKey(keytype, scheme, value.trim());
  if (key === undefined) return undefined;
  return {
    keyId,
    material: materialOf(key),
    verify: (bytes, signature) => {
      const decoded = signatureBytes(signature, rules);
      return decoded !== undefined && verifySignature(key, scheme, bytes, decoded);
    },
  };
}

function importKey(keytype: string, scheme: SignatureScheme, value: string): KeyObject | undefined {
  const curve = CURVES[scheme];
  try {
    if (scheme === 'ed25519') {
      if (keytype !== 'ed25519') return undefined;
      const key = value.startsWith(PEM)
        ? createPublicKey(value)
        : jwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(value, 32) });
      return key.asymmetricKeyType === 'ed25519' ? key : undefined;
    }
    if (curve !== undefined) {
      if (keytype !== 'ecdsa' && keytype !== scheme) return undefined;
      const key = value.startsWith(PEM) ? createPublicKey(value) : pointKey(value, ...curve);
      return key.asymmetricKeyDetails?.namedCurve === curve[1] ? key : undefined;
    }
    if (keytype !== 'rsa' || !value.startsWith(PEM)) return undefined;
    const key = createPublicKey(value);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    // Shorter keys can be broken, longer keys take an ECU too much time.
    return key.asymmetricKeyType === 'rsa' && bits >= 2048 && bits <= 8192 ? key : undefined;
  } catch {
    return undefined; // not a key: it signs nothing
  }
}

function jwk(key: JsonWebKey): KeyObject {
  return createPublicKey({ key, format: 'jwk' });
}

function base64url(hex: string, length: number): string {
  if (hex.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(hex)) throw new RangeError('not a key');
  return Buffer.from(hex, 'hex').toString('base64url');
}

/** An elliptic curve point in hex, compressed or not. */
function pointKey(hex: string, crv: string, curve: string): KeyObject {
  const point = ECDH.convertKey(hex, curve, 'hex', 'hex', 'uncompressed').toString();
  const half = (point.length - 2) / 2;
  const [x, y] = [point.slice(2, 2 + half), point.slice(2 + half)];
  return jwk({ kty: 'EC', crv, x: base64url(x, half / 2), y: base64url(y, half / 2) });
}

function materialOf(key: KeyObject): string {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  return [kty, crv, x, y, n, e].filter((part) => part !== undefined).join(' ');
}

function signatureBytes(signature: string, { oldForm }: DialectRules): Uint8Array | undefined {
  if (signature.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(signature)) {
    return Buffer.from(signature, 'hex');
  }
  return oldForm && /^[A-Za-z0-9+/]+={0,2}$/.test(signature)
    ? Buffer.from(signature, 'base64')
    : undefined;
}

function verifySignature(
  key: KeyObject,
  scheme: SignatureScheme,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    if (scheme === 'ed25519') return verify(null, bytes, key, signature);
    const digest = scheme.endsWith('256') ? 'sha256' : scheme.endsWith('384') ? 'sha384' : 'sha512';
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify(digest, bytes, scheme.startsWith('rsa') ? { key, padding } : key, signature);
  } catch {
    return false; // not even in the form of a signature
  }
}
