// The signed form of reports, manifests and times (Uptane 5.4.2.1): a payload, and signatures over its hash.

import { sha256 } from '@noble/hashes/sha2.js';
import { canonicalize } from '@tufjs/canonical-json';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { itemAt } from '../core/present.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import {
  keyIdOf,
  type LocalSigner,
  type PublicKeyJson,
  type Signer,
  verifyWith,
} from './signing-key.ts';
import { parseJson } from './strict-json.ts';

/** The five attributes of 5.4.2.1.1, `sig` over the canonical JSON of `signed`, whose hash is `hash.digest`. */
interface JsonSignature {
  readonly keyid: string;
  readonly method: string;
  readonly hash: { readonly function: 'sha256'; readonly digest: string };
  readonly sig: string;
}

export interface SignedJson {
  readonly signatures: readonly JsonSignature[];
  readonly signed: unknown;
}

/** Most signatures of one message. */
const MAX_SIGNATURES = 8;

const MAX_DEPTH = 8;

export const hexDigits = (length: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${length}}$`), `expected ${length} lower-case hex digits`);

/** A SHA-256 digest in signed messages. */
export const sha256Hex = hexDigits(64);

/** A serial number or another identifier of one ECU; also used as the key of an object. */
export const serialName = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/, 'expected 1 to 64 letters, digits, . _ -');

/** Text of a name or a version: half a surrogate pair would be signed as another character. */
export const plainText = (least: number, most: number) =>
  z
    .string()
    .min(least)
    .max(most)
    .refine((text) => text.isWellFormed(), 'expected whole characters');

/** A time in UTC with milliseconds, in the form of `toISOString`. */
export const isoTime = z.string().refine((text) => {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) ? Date.parse(text) : Number.NaN;
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text;
}, 'expected a time like 2030-01-31T12:00:00.000Z');

const signatures = z
  .array(
    z.strictObject({
      keyid: hexDigits(64),
      method: z.string().max(64),
      hash: z.strictObject({ function: z.literal('sha256'), digest: sha256Hex }),
      sig: z.string().regex(/^(?:[0-9a-f]{2}){1,512}$/, 'expected lower-case hex'),
    }),
  )
  .max(MAX_SIGNATURES);

/** The form around the payload `signed`. */
export function signedSchema<T extends z.ZodType>(signed: T) {
  return z.strictObject({ signatures, signed });
}

export function signJson(signed: unknown, signers: readonly LocalSigner[]): SignedJson;
export function signJson(
  signed: unknown,
  signers: readonly Signer[],
): SignedJson | Promise<SignedJson>;
/** Answers at once if all keys are in memory. Throws TypeError for a payload without a canonical form. */
export function signJson(
  signed: unknown,
  signers: readonly Signer[],
): SignedJson | Promise<SignedJson> {
  const bytes = canonicalBytes(signed);
  const digest = toHex(sha256(bytes));
  const sigs = signers.map((signer) => signer.sign(bytes));
  const whole = (values: readonly string[]): SignedJson => ({
    signatures: signers.map(({ keyId, publicKey }, index) => ({
      keyid: keyId,
      method: publicKey.scheme,
      hash: { function: 'sha256', digest },
      sig: itemAt(values, index),
    })),
    signed,
  });
  return sigs.every((sig) => typeof sig === 'string')
    ? whole(sigs)
    : Promise.all(sigs).then((values) => whole(values));
}

/**
 * Reads the form only, from bytes or from parsed JSON. Bytes get the strict parser, because other readers may understand a
 * name that appears twice differently. Refused with MALFORMED.
 */
export function readSigned<T>(input: unknown, schema: z.ZodType<T>, where: string): Verdict<T> {
  const json =
    input instanceof Uint8Array ? parseJson(input, where, { nfc: true }) : accepted(input);
  if (!json.ok) return json;
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return accepted(parsed.data);
  const issue = firstIssue(parsed.error);
  const place = issue.path.length === 0 ? '' : `"${issue.path.join('.')}": `;
  return refused('MALFORMED', where, `${place}${issue.message}`);
}

/** A key that may have signed. */
export interface CheckingKey {
  readonly keyId: string;
  /** Name of the signing method in 5.4.2.1.1. */
  readonly scheme: string;
  /** The same for one key with several ids, which counts once. */
  readonly material: string;
  verify(bytes: Uint8Array, sig: string): boolean;
}

/** How many different keys of `keys` have signed: the hash must be the payload's, and the signature valid. */
export function countSigners(
  { signed, signatures: given }: SignedJson,
  keys: Iterable<CheckingKey>,
): number {
  const bytes = canonicalBytes(signed);
  const digest = toHex(sha256(bytes));
  const signers = new Set<string>();
  for (const key of keys) {
    const found = given.some(
      ({ keyid, method, hash, sig }) =>
        keyid === key.keyId &&
        method === key.scheme &&
        hash.digest === digest &&
        key.verify(bytes, sig),
    );
    if (found) signers.add(key.material);
  }
  return signers.size;
}

export function isSignedBy(document: SignedJson, publicKey: PublicKeyJson): boolean {
  const keyId = keyIdOf(publicKey);
  const key: CheckingKey = {
    keyId,
    scheme: publicKey.scheme,
    material: keyId,
    verify: (bytes, sig) => verifyWith(publicKey, bytes, sig),
  };
  return countSigners(document, [key]) === 1;
}

/** JSON that has one canonical form: whole numbers, whole characters, and no more levels than any report has. */
export function isCanonical(value: unknown, level = 0): boolean {
  if (level > MAX_DEPTH) return false;
  if (value === null || typeof value === 'boolean') return true;
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (Array.isArray(value)) return value.every((each) => isCanonical(each, level + 1));
  return (
    typeof value === 'object' &&
    Object.entries(value).every(
      ([name, each]) => name.isWellFormed() && isCanonical(each, level + 1),
    )
  );
}

function canonicalBytes(signed: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalize(signed));
}
