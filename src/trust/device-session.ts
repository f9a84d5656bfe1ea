// Challenge and response between a device and the server: both prove the same key, then derive the keys of a session.
//
//     device -> server   serial, number of its chip, clientNonce
//     server -> device   challenge id (it holds serial and chip), serverNonce, serverProof
//     device -> server   challenge id, clientProof
//
// A proof is an HMAC under the device's key over a label for its direction and everything that was exchanged: neither
// side's proof is of use to the other, to another device or in another exchange.

import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { constantTimeEqual, toHex } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';

/** A nonce has 128 bits, written as 32 lower-case hex digits. */
export const SESSION_NONCE_BYTES = 16;

/** What both sides know after the first two messages. */
export interface SessionExchange {
  readonly serial: string;
  /** Hexadecimal, the device's. */
  readonly clientNonce: string;
  /** Hexadecimal, the server's. */
  readonly serverNonce: string;
  /** Names this exchange on the server. */
  readonly challenge: string;
  /** What else both sides agree on with it: the device's proof and all keys hold for this alone. */
  readonly binding?: string;
}

export interface SessionKeys {
  /** For `Authorization: Bearer`. */
  readonly token: string;
  /** Of a sealed session: 16 bytes as hexadecimal digits, and the 32 bytes that its keys are made from. */
  readonly id: string;
  readonly secret: Uint8Array;
}

const LABELS = {
  client: 'can-ota device session 1, client proof',
  server: 'can-ota device session 1, server proof',
  keys: 'can-ota device session 1, keys',
} as const;

/**
 * SHA-256 of the device secret: the key of all proofs, and what the registry keeps as `device_secret_hash` (in hex).
 * It never travels; whoever reads it in the registry can be this device to this server, so it is a secret there too.
 */
export function deviceKeyOf(deviceSecret: Uint8Array): Uint8Array {
  return sha256(deviceSecret);
}

/** Hexadecimal. Made by the device after it has checked the server's. */
export function clientProof(key: Uint8Array, exchanged: SessionExchange): string {
  return proof(LABELS.client, key, exchanged, bound(exchanged));
}

/** Hexadecimal. The server gives it to whoever asks: it proves the server, and tells nothing of the key. */
export function serverProof(key: Uint8Array, exchanged: SessionExchange): string {
  return proof(LABELS.server, key, exchanged, []);
}

/** Without telling by time where they differ. */
export function sameProof(expected: string, given: string): boolean {
  const encoder = new TextEncoder();
  return constantTimeEqual(encoder.encode(expected), encoder.encode(given));
}

/** The same on both sides, and other ones for every exchange. */
export function sessionKeys(key: Uint8Array, exchanged: SessionExchange): SessionKeys {
  const { serial, clientNonce, serverNonce, challenge } = exchanged;
  const salt = lengthPrefixed(clientNonce, serverNonce);
  const info = lengthPrefixed(LABELS.keys, serial, challenge, ...bound(exchanged));
  const derived = hkdf(sha256, key, salt, info, 80);
  return {
    token: Buffer.from(derived.subarray(0, 32)).toString('base64url'),
    secret: derived.slice(32, 64),
    id: toHex(derived.subarray(64)),
  };
}

function bound({ binding }: SessionExchange): readonly string[] {
  return binding === undefined ? [] : [binding];
}

function proof(
  label: string,
  key: Uint8Array,
  { serial, clientNonce, serverNonce, challenge }: SessionExchange,
  bindings: readonly string[],
): string {
  const message = lengthPrefixed(label, serial, clientNonce, serverNonce, challenge, ...bindings);
  return toHex(hmac(sha256, key, message));
}
