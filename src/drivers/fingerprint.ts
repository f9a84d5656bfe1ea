// DID F15A: who programmed an ECU, and when.

import { asciiBytes, concatBytes } from '../core/bytes.ts';

/** Date of programming as three BCD bytes (year, month, day), then the name of the tester. */
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
