// Service 84 around one request, and the answer to it, byte by byte: made beside the code that is tested, not by it.

import { createHmac } from 'node:crypto';
import { concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { type AuthorityRole, speakerKey } from '../../src/trust/authority.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';

export interface Sealing {
  readonly role: AuthorityRole;
  readonly key: Uint8Array;
  readonly challenge: Uint8Array;
  readonly counter: number;
}

/** The key of the bench's TMU to one ECU of the bench. */
export function benchTesterKey(ecu: string): Uint8Array {
  const { privateKey } = benchEcuIdentity('TMU').encryption;
  return speakerKey('tester', privateKey, benchEcuIdentity(ecu).encryption.publicKey)!;
}

/** `84 0069 <01 tester, 02 factory> 0010 <counter> <inner> <MAC>` */
export function sealRequest(inner: string | Uint8Array, sealing: Sealing): Uint8Array {
  const { role, key, challenge, counter } = sealing;
  const bytes = typeof inner === 'string' ? fromHex(inner) : inner;
  const head = fromHex(role === 'tester' ? '840069010010' : '840069020010');
  const authenticated = concatBytes(head, uintToBytes(counter, 2), bytes);
  return concatBytes(authenticated, macOf(key, 'request', challenge, authenticated));
}

/** `C4 0028 <calculation> 0010 <counter> <inner> <MAC>`: the inner answer in upper case. Throws when the MAC is wrong. */
export function openAnswer(
  answer: string | Uint8Array,
  request: Uint8Array,
  { role, key, challenge, counter }: Sealing,
): string {
  const bytes = typeof answer === 'string' ? fromHex(answer) : answer;
  const authenticated = bytes.subarray(0, -16);
  const mac = macOf(key, 'response', challenge, request.subarray(-16), authenticated);
  if (toHex(mac) !== toHex(bytes.subarray(-16))) throw new Error(`${toHex(bytes)}: wrong MAC`);
  const number = toHex(uintToBytes(counter, 2));
  const head = `${role === 'tester' ? 'c40028010010' : 'c40028020010'}${number}`;
  if (!toHex(bytes).startsWith(head)) throw new Error(`${toHex(bytes)}: expected ${head}`);
  return toHex(authenticated.subarray(8)).toUpperCase();
}

/** The plain message inside of service 84 or its answer, hexadecimal in upper case; any other message as it is. */
export function plainOf(message: string | Uint8Array): string {
  const hex = (typeof message === 'string' ? message : toHex(message)).toUpperCase();
  return /^(84|C4)/.test(hex) ? hex.slice(16, -32) : hex;
}

/** What an ECU answers; for a test that plays one. */
export function sealAnswer(
  inner: string | Uint8Array,
  request: Uint8Array,
  { role, key, challenge, counter }: Sealing,
): Uint8Array {
  const bytes = typeof inner === 'string' ? fromHex(inner) : inner;
  const head = fromHex(role === 'tester' ? 'c40028010010' : 'c40028020010');
  const authenticated = concatBytes(head, uintToBytes(counter, 2), bytes);
  const mac = macOf(key, 'response', challenge, request.subarray(-16), authenticated);
  return concatBytes(authenticated, mac);
}

/** HMAC-SHA-256, the first 16 bytes, over parts with their lengths. */
function macOf(key: Uint8Array, label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key);
  for (const part of [Buffer.from(label), ...parts]) hmac.update(lengthOf(part)).update(part);
  return Uint8Array.from(hmac.digest().subarray(0, 16));
}

function lengthOf(part: Uint8Array): Uint8Array {
  return uintToBytes(part.length, 2);
}
