// Messages that cannot be forged, replayed, reordered, reflected or moved to another session, nor read (except with `hmac`).
//
//     0  1  version, 1                  18  6  sequence number
//     1  1  suite of the session        24     body
//     2 16  session                            tag: 32 bytes of the HMAC, 16 of an AEAD
//
// Each direction has different keys. Sender, path, status of the answer and the whole head are authenticated with the body.
// A sequence number is used once in each direction: an answer has that of its request, and a sender never goes back, also
// not after a power cut. The nonce of the AEAD is made from it, so a repeated number would reveal plain text.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  bytesToUint,
  concatBytes,
  constantTimeEqual,
  flipBits,
  fromHex,
  toHex,
  uintToBytes,
} from '../core/bytes.ts';
import { lengthPrefixed } from './length-prefixed.ts';

/**
 * RFC 8439, NIST SP 800-38D, NIST SP 800-38C: 256 bit keys, nonces of 12 bytes, tags of 16. `hmac` is HMAC-SHA256 alone:
 * messages are authenticated, but not encrypted.
 */
export const SUITES = ['chacha20-poly1305', 'aes-256-gcm', 'aes-256-ccm', 'hmac'] as const;
export type Suite = (typeof SUITES)[number];

/** The second byte of a message, by suite. */
const CODES: Readonly<Record<Suite, number>> = {
  hmac: 0,
  'chacha20-poly1305': 1,
  'aes-256-gcm': 2,
  'aes-256-ccm': 3,
};

/** Whether the messages are encrypted. */
export function encrypts(suite: Suite): boolean {
  return suite !== 'hmac';
}

export const SEALED_TYPE = 'application/vnd.can-ota.sealed';

export interface SealedSession {
  /** 16 bytes as hexadecimal digits. */
  readonly id: string;
  /** Serial number of the device. */
  readonly serial: string;
  readonly suite: Suite;
  /** 32 bytes that only both sides know. */
  readonly secret: Uint8Array;
}

/** The facts that a message is bound to, besides its session. */
export interface MessageContext {
  readonly from: 'device' | 'server';
  /** Path of the request, without query. */
  readonly path: string;
  /** 1 to 2^48 - 1. */
  readonly sequence: number;
  /** HTTP status of an answer; 0 for a request. */
  readonly status: number;
}

/** The head of a message; it is not authenticated before `openMessage`. */
export interface MessageHead {
  readonly session: string;
  readonly sequence: number;
}

/** Why a message is refused: `MALFORMED` is not a message, `WRONG_SESSION` is of another session, `FORGED` was changed. */
type MessageFault = 'MALFORMED' | 'WRONG_SESSION' | 'FORGED';

export type OpenedMessage =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly code: MessageFault };

const VERSION = 1;
const ID_AT = 2;
const SEQUENCE_AT = 18;
export const HEAD_BYTES = 24;
const ID_BYTES = 16;
const SEQUENCE_BYTES = 6;
const MAC_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
export const LAST_SEQUENCE = 2 ** 48 - 1;
const LABELS = {
  keys: 'can-ota sealed session 1, keys',
  message: 'can-ota sealed session 1, message',
  exported: 'can-ota sealed session 1, exported key',
} as const;

/** The bytes to send. Throws RangeError for an impossible sequence number. */
export function sealMessage(
  session: SealedSession,
  context: MessageContext,
  body: Uint8Array,
): Uint8Array {
  if (context.sequence < 1) throw new RangeError(`not a sequence number: ${context.sequence}`);
  const keys = keysOf(session, context.from);
  const head = concatBytes(
    Uint8Array.of(VERSION, CODES[session.suite]),
    fromHex(session.id),
    uintToBytes(context.sequence, SEQUENCE_BYTES),
  );
  const bound = boundTo(context, head);
  if (session.suite === 'hmac') {
    return concatBytes(head, body, hmac(sha256, keys.mac, concatBytes(bound, body)));
  }
  const cipher = aead(session.suite, keys, context.sequence, 'seal');
  cipher.setAAD(bound, { plaintextLength: body.length });
  const text = concatBytes(cipher.update(body), cipher.final());
  return concatBytes(head, text, cipher.getAuthTag());
}

/** Undefined for bytes that cannot be a message. */
export function readHead(message: Uint8Array): MessageHead | undefined {
  const code = message[1];
  if (message[0] !== VERSION || code === undefined || code >= SUITES.length) return undefined;
  const tag = code === CODES.hmac ? MAC_BYTES : TAG_BYTES;
  if (message.length < HEAD_BYTES + tag) return undefined;
  return {
    session: toHex(message.subarray(ID_AT, ID_AT + ID_BYTES)),
    sequence: bytesToUint(message.subarray(SEQUENCE_AT, HEAD_BYTES)),
  };
}

/** Returns the body only if the whole message is authentic. */
export function openMessage(
  session: SealedSession,
  context: MessageContext,
  message: Uint8Array,
): OpenedMessage {
  const head = readHead(message);
  if (head === undefined) return { ok: false, code: 'MALFORMED' };
  if (head.session !== session.id) return { ok: false, code: 'WRONG_SESSION' };
  // An answer to another request is authentic, but not valid here.
  if (head.sequence !== context.sequence) return { ok: false, code: 'FORGED' };
  // Both sides have agreed on one suite: a message of another suite is refused, above all one without encryption.
  if (message[1] !== CODES[session.suite]) return { ok: false, code: 'FORGED' };
  const keys = keysOf(session, context.from);
  const bound = boundTo(context, message.subarray(0, HEAD_BYTES));
  if (session.suite === 'hmac') {
    const end = message.length - MAC_BYTES;
    const body = message.slice(HEAD_BYTES, end);
    const expected = hmac(sha256, keys.mac, concatBytes(bound, body));
    return constantTimeEqual(expected, message.subarray(end))
      ? { ok: true, body }
      : { ok: false, code: 'FORGED' };
  }
  const end = message.length - TAG_BYTES;
  const text = message.subarray(HEAD_BYTES, end);
  const decipher = aead(session.suite, keys, context.sequence, 'open');
  try {
    // CCM needs the tag before the text, and reports a wrong one at once.
    decipher.setAuthTag(message.subarray(end));
    decipher.setAAD(bound, { plaintextLength: text.length });
    return { ok: true, body: concatBytes(decipher.update(text), decipher.final()) };
  } catch {
    return { ok: false, code: 'FORGED' };
  }
}

/** 32 bytes for another purpose of this session, such as the HMAC of each chunk of a download. */
export function exportKey({ secret, serial, id }: SealedSession, label: string): Uint8Array {
  return hkdf(sha256, secret, fromHex(id), lengthPrefixed(LABELS.exported, serial, label), 32);
}

interface DirectionKeys {
  readonly mac: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

function keysOf(session: SealedSession, from: MessageContext['from']): DirectionKeys {
  const { id, serial, suite, secret } = session;
  const info = lengthPrefixed(LABELS.keys, serial, suite, from);
  const derived = hkdf(sha256, secret, fromHex(id), info, 32 + 32 + NONCE_BYTES);
  return {
    mac: derived.subarray(0, 32),
    key: derived.subarray(32, 64),
    iv: derived.subarray(64),
  };
}

function boundTo({ from, path, status }: MessageContext, head: Uint8Array): Uint8Array {
  return lengthPrefixed(LABELS.message, from, path, String(status), head);
}

/** RFC 8446 5.3: the sequence number, xored with bytes that only both sides know. */
function nonceOf({ iv }: DirectionKeys, sequence: number): Uint8Array {
  const number = uintToBytes(sequence, SEQUENCE_BYTES);
  const nonce = Uint8Array.from(iv);
  const at = NONCE_BYTES - SEQUENCE_BYTES;
  for (const [index, byte] of number.entries()) flipBits(nonce, at + index, byte);
  return nonce;
}

type Aead = Exclude<Suite, 'hmac'>;
type Seal = ReturnType<typeof createCipheriv> & {
  setAAD(bytes: Uint8Array, options: { plaintextLength: number }): unknown;
  getAuthTag(): Uint8Array;
};
type Open = ReturnType<typeof createDecipheriv> & {
  setAAD(bytes: Uint8Array, options: { plaintextLength: number }): unknown;
  setAuthTag(tag: Uint8Array): unknown;
};

function aead(suite: Aead, keys: DirectionKeys, sequence: number, doing: 'seal'): Seal;
function aead(suite: Aead, keys: DirectionKeys, sequence: number, doing: 'open'): Open;
function aead(suite: Aead, keys: DirectionKeys, sequence: number, doing: 'seal' | 'open'): unknown {
  const nonce = nonceOf(keys, sequence);
  // Node's types have each mode under its own name; all three accept these options.
  const name = suite as 'aes-256-ccm';
  const options = { authTagLength: TAG_BYTES };
  return doing === 'seal'
    ? createCipheriv(name, keys.key, nonce, options)
    : createDecipheriv(name, keys.key, nonce, options);
}
