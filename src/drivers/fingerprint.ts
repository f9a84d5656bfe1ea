// DID F15A: the tester that programmed an ECU, and the date.

import { asciiBytes, concatBytes } from '../core/bytes.ts';

/** Name of the tester in fingerprints. */
export const TESTER_NAME = asciiBytes('can-ota');

/** Three BCD bytes: year, month, day (UTC). */
export function dateBytes(wallMs: number): Uint8Array {
  const date = new Date(wallMs);
  const bcd = (value: number): number => Math.floor(value / 10) * 16 + (value % 10);
  return Uint8Array.of(
    bcd(date.getUTCFullYear() % 100),
    bcd(date.getUTCMonth() + 1),
    bcd(date.getUTCDate()),
  );
}

/** Date of programming, then the name of the tester. */
export function fingerprintOf(wallMs: number): Uint8Array {
  return concatBytes(dateBytes(wallMs), TESTER_NAME);
}
