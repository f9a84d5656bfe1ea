// How a sealed session is agreed on: what the device's proof covers, and the server's word for what it has stored.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { exportKey, type SealedSession, type Suite } from './sealed-session.ts';

export interface SessionWish {
  readonly suite: Suite;
  /** How many sessions this device has opened, with this one: a second device with the same key shows in it. */
  readonly counter: number;
}

/** `binding` of the exchange. */
export function bindingOf({ suite, counter }: SessionWish): string {
  return `sealed ${suite} ${counter}`;
}

/** Hexadecimal: the server has the session until `expiresAt`, and the last counter it knew was `counter`. */
export function openingProof(session: SealedSession, expiresAt: string, counter: number): string {
  const message = lengthPrefixed(expiresAt, String(counter));
  return toHex(hmac(sha256, exportKey(session, 'opened'), message));
}
