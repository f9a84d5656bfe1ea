// Challenge and response between a device and the server: both prove the same key, then derive the keys of a session.
//
//     device -> server   serial, number of its chip, clientNonce
//     server -> device   challenge id (it holds serial and chip), serverNonce, serverProof
//     device -> server   challenge id, clientProof
//
// A proof is an HMAC under the device's key over a label for its direction and all exchanged values. It is therefore not
// valid in the other direction, for another device or in another exchange.

import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { constantTimeEqual, toHex } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';

/** Length of a nonce: 128 bits, written as 32 lower-case hex digits. */
export const SESSION_NONCE_BYTES = 16;

/** The values that both sides know after the first two messages. */
export interface SessionExchange {
  readonly serial: string;
  /** Nonce of the device, hexadecimal. */
  readonly clientNonce: string;
  /** Nonce of the server, hexadecimal. */
  readonly serverNonce: string;
  /** Identifies this exchange on the server. */
  readonly challenge: string;
  /** Further values that both sides agree on: the device's proof and all keys depend on them. */
  readonly binding?: string;
}

export interface SessionKeys {
  /** Token for `Authorization: Bearer`. */
  readonly token: string;
  /** Identifier of a sealed session: 16 bytes as hexadecimal digits. `secret`: the 32 bytes that its keys are made from. */
  readonly id: string;
  readonly secret: Uint8Array;
}

const LABELS = {
  client: 'can-ota device session 1, client proof',
  server: 'can-ota device session 1, server proof',
  keys: 'can-ota device session 1, keys',
} as const;

/**
 * SHA-256 of the device secret: the key of all proofs, which the registry stores as `device_secret_hash` (in hex). It is
 * never sent. With it a reader of the registry could act as this device, so it is a secret there, too.
 */
export function deviceKeyOf(deviceSecret: Uint8Array): Uint8Array {
  return sha256(deviceSecret);
}

/** The device's proof, hexadecimal. The device makes it after it has checked the server's proof. */
export function clientProof(key: Uint8Array, exchanged: SessionExchange): string {
  return proof(LABELS.client, key, exchanged, bound(exchanged));
}

/** The server's proof, hexadecimal. Every client may get it: it authenticates the server and does not reveal the key. */
export function serverProof(key: Uint8Array, exchanged: SessionExchange): string {
  return proof(LABELS.server, key, exchanged, []);
}

/** Compares in constant time. */
export function sameProof(expected: string, given: string): boolean {
  const encoder = new TextEncoder();
  return constantTimeEqual(encoder.encode(expected), encoder.encode(given));
}

/** The keys of a session: the same on both sides, different for every exchange. */
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
