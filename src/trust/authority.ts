// Authority over an ECU: the key by which one speaker (the TMU, the factory) authenticates single messages to it (service 84).
//
// The key comes from X25519 between the speaker's key and the ECU's own key, which the ECU made by itself: the bus
// carries the public halves only, also in the factory.

import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, uintToBytes } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { x25519Agree, x25519PublicKey } from './signing-key.ts';

/** Who speaks. The factory changes what the lock has closed: the VIN, and which TMU gives orders. */
export type AuthorityRole = 'tester' | 'factory';

/** signatureEncryptionCalculation of service 84: HMAC-SHA-256 cut to 16 bytes, under the key of this role. */
export const AUTHORITY_CALCULATION = { tester: 0x01, factory: 0x02 } as const satisfies Record<
  AuthorityRole,
  number
>;

/** RFC 2104 5: at least half of the hash. */
export const AUTHORITY_MAC_BYTES = 16;
/** Of the ECU's challenge, new after each of its resets. */
export const AUTHORITY_CHALLENGE_BYTES = 16;

const LABEL = 'can-ota authority 1';

/** The speaker's key to one ECU, 32 bytes; undefined for a foreign key that is no X25519 key. */
export function speakerKey(
  role: AuthorityRole,
  privateKey: Uint8Array,
  ecuKey: Uint8Array,
): Uint8Array | undefined {
  return derive(role, privateKey, ecuKey, x25519PublicKey(privateKey), ecuKey);
}

/** The same key, from the ECU's side. */
export function listenerKey(
  role: AuthorityRole,
  privateKey: Uint8Array,
  speaker: Uint8Array,
): Uint8Array | undefined {
  return derive(role, privateKey, speaker, speaker, x25519PublicKey(privateKey));
}

function derive(
  role: AuthorityRole,
  privateKey: Uint8Array,
  peer: Uint8Array,
  speaker: Uint8Array,
  ecu: Uint8Array,
): Uint8Array | undefined {
  const shared = x25519Agree(privateKey, peer);
  if (shared === undefined) return undefined;
  return hkdf(sha256, shared, undefined, lengthPrefixed(LABEL, role, speaker, ecu), 32);
}

/**
 * Over what an ECU tells a tester before its message: nobody else can tell a number that is far ahead, which would let an
 * order that was held back be delivered behind a newer one.
 */
export function challengeMac(key: Uint8Array, challenge: Uint8Array, counter: number): Uint8Array {
  return mac(key, lengthPrefixed('challenge', challenge, uintToBytes(counter, 2)));
}

/** Over the ECU's challenge and the whole request: service, arguments, counter. */
export function requestMac(
  key: Uint8Array,
  challenge: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  return mac(key, lengthPrefixed('request', challenge, authenticated));
}

/** Over the request that is answered, too: no answer fits another request. */
export function responseMac(
  key: Uint8Array,
  challenge: Uint8Array,
  macOfRequest: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  return mac(key, lengthPrefixed('response', challenge, macOfRequest, authenticated));
}

function mac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return hmac(sha256, key, message).slice(0, AUTHORITY_MAC_BYTES);
}

/** Bytes of a receipt and of a commitment. */
export const RECEIPT_BYTES = 16;

/**
 * What an ECU tells of its receipt before it has confirmed. The receipt itself proves later, to every ECU that was told
 * this commitment, that it has.
 */
export function commitmentOf(campaign: Uint8Array, receipt: Uint8Array): Uint8Array {
  return sha256(lengthPrefixed('can-ota receipt 1', campaign, receipt)).slice(0, RECEIPT_BYTES);
}

/** Names a set of commitments, whatever their order. */
export function commitmentsDigest(commitments: readonly Uint8Array[]): Uint8Array {
  const sorted = commitments.map((each) => Buffer.from(each)).sort(Buffer.compare);
  return sha256(concatBytes(...sorted));
}
