// The agreement on a sealed session: the values that the device's proof covers, and the server's proof of what it stored.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { exportKey, type SealedSession, type Suite } from './sealed-session.ts';

export interface SessionWish {
  readonly suite: Suite;
  /** How many sessions this device has opened, this one included: it reveals a second device with the same key. */
  readonly counter: number;
}

/** `binding` of the exchange. */
export function bindingOf({ suite, counter }: SessionWish): string {
  return `sealed ${suite} ${counter}`;
}

/** Hexadecimal. Proves that the server has the session until `expiresAt`, and that `counter` was its last counter. */
export function openingProof(session: SealedSession, expiresAt: string, counter: number): string {
  const message = lengthPrefixed(expiresAt, String(counter));
  return toHex(hmac(sha256, exportKey(session, 'opened'), message));
}
