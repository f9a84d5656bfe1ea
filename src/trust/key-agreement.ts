// Keys that two sides agree on: for a session by key pairs, and for the next key of a device.

import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex } from '../core/bytes.ts';
import type { SessionExchange } from './device-session.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { exportKey, type SealedSession } from './sealed-session.ts';
import { x25519Agree } from './signing-key.ts';

/** Both public X25519 keys of one exchange, hexadecimal. */
export interface ExchangedKeys {
  readonly clientKey: string;
  readonly serverKey: string;
}

const LABELS = {
  pair: 'can-ota device session 1, key pairs',
  signature: 'can-ota device session 1, client signature',
  next: 'can-ota device key 1, next',
} as const;

/** The key in place of the shared key of a device: 32 bytes; undefined if the peer's key is invalid. */
export function agreedKey(
  privateKey: Uint8Array,
  keys: ExchangedKeys,
  own: 'client' | 'server',
): Uint8Array | undefined {
  const shared = agree(privateKey, own === 'client' ? keys.serverKey : keys.clientKey);
  if (shared === undefined) return undefined;
  const info = lengthPrefixed(LABELS.pair, keys.clientKey, keys.serverKey);
  return hkdf(sha256, shared, undefined, info, 32);
}

/** The bytes that the device signs: the whole exchange. */
export function signedByClient(exchanged: SessionExchange, keys: ExchangedKeys): Uint8Array {
  const { serial, clientNonce, serverNonce, challenge, binding = '' } = exchanged;
  return lengthPrefixed(
    LABELS.signature,
    ...[serial, clientNonce, serverNonce, challenge],
    ...[keys.clientKey, keys.serverKey, binding],
  );
}

/** The bytes that the backend signs (role `time` of the Director): the exchange up to its answer. */
export function signedByServer(
  exchanged: SessionExchange,
  keys: ExchangedKeys,
): Record<string, string> {
  const { serial, clientNonce, serverNonce, challenge } = exchanged;
  return { _type: 'session', serial, clientNonce, serverNonce, challenge, ...keys };
}

/**
 * The next key of a device, 32 bytes, agreed on in a session: an attacker who knew the old key and only listened does not
 * know the new one. Undefined if the peer's key is invalid.
 */
export function nextDeviceKey(
  session: SealedSession,
  privateKey: Uint8Array,
  keys: ExchangedKeys,
  own: 'client' | 'server',
): Uint8Array | undefined {
  const shared = agree(privateKey, own === 'client' ? keys.serverKey : keys.clientKey);
  if (shared === undefined) return undefined;
  const info = lengthPrefixed(LABELS.next, session.serial, keys.clientKey, keys.serverKey);
  return hkdf(sha256, shared, exportKey(session, 'next device key'), info, 32);
}

function agree(privateKey: Uint8Array, publicKey: string): Uint8Array | undefined {
  return /^[0-9a-f]{64}$/.test(publicKey) ? x25519Agree(privateKey, fromHex(publicKey)) : undefined;
}
