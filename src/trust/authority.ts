// Authority over an ECU: the key by which a speaker (TMU or factory) authenticates single messages to it (service 84).
//
// X25519 makes the key from the speaker's key pair and the ECU's, which the ECU has generated: only the public halves
// are on the bus, also in the factory.

import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, uintToBytes } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { x25519Agree, x25519PublicKey } from './signing-key.ts';

/** The sender of a message. The factory may change what the lock has closed: the VIN, and the TMU that gives orders. */
export type AuthorityRole = 'tester' | 'factory';

/** signatureEncryptionCalculation of service 84: HMAC-SHA-256 cut to 16 bytes, with the key of this role. */
export const AUTHORITY_CALCULATION = { tester: 0x01, factory: 0x02 } as const satisfies Record<
  AuthorityRole,
  number
>;

/** Length of a MAC. RFC 2104 5: at least half of the hash. */
export const AUTHORITY_MAC_BYTES = 16;
/** Length of the ECU's challenge, which is new after each of its resets. */
export const AUTHORITY_CHALLENGE_BYTES = 16;

const LABEL = 'can-ota authority 1';

/** The speaker's key to one ECU, 32 bytes; undefined if the ECU's key is not an X25519 key. */
export function speakerKey(
  role: AuthorityRole,
  privateKey: Uint8Array,
  ecuKey: Uint8Array,
): Uint8Array | undefined {
  return derive(role, privateKey, ecuKey, x25519PublicKey(privateKey), ecuKey);
}

/** The same key, computed by the ECU. */
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
 * MAC over challenge and counter that an ECU tells a tester before its message. Without it another node could tell a
 * counter that is far ahead: an order with it could be held back and delivered after a newer one.
 */
export function challengeMac(key: Uint8Array, challenge: Uint8Array, counter: number): Uint8Array {
  return mac(key, lengthPrefixed('challenge', challenge, uintToBytes(counter, 2)));
}

/** MAC over the ECU's challenge and the whole request: service, arguments, counter. */
export function requestMac(
  key: Uint8Array,
  challenge: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  return mac(key, lengthPrefixed('request', challenge, authenticated));
}

/** MAC over the answer and its request: an answer to another request is not valid. */
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

/** Length of a receipt and of a commitment. */
export const RECEIPT_BYTES = 16;

/**
 * The value that an ECU tells about its receipt before it has confirmed. The receipt itself later proves the confirmation
 * to every ECU that knows this commitment.
 */
export function commitmentOf(campaign: Uint8Array, receipt: Uint8Array): Uint8Array {
  return sha256(lengthPrefixed('can-ota receipt 1', campaign, receipt)).slice(0, RECEIPT_BYTES);
}

/** Identifies a set of commitments in any order. */
export function commitmentsDigest(commitments: readonly Uint8Array[]): Uint8Array {
  const sorted = commitments.map((each) => Buffer.from(each)).sort(Buffer.compare);
  return sha256(concatBytes(...sorted));
}
