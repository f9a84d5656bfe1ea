// DID F15A: the tester that programmed an ECU, and the date.

import { asciiBytes, concatBytes } from '../core/bytes.ts';

/** The date of programming as three BCD bytes (year, month, day), followed by the name of the tester. */
export function fingerprintOf(wallMs: number): Uint8Array {
  const date = new Date(wallMs);
  const bcd = (value: number): number => Math.floor(value / 10) * 16 + (value % 10);
  return concatBytes(
    Uint8Array.of(
      bcd(date.getUTCFullYear() % 100),
      bcd(date.getUTCMonth() + 1),
      bcd(date.getUTCDate()),
    ),
    asciiBytes('can-ota'),
  );
}
