// Several fields as one byte string that can be split in one way only: input of MACs and key derivations.

import { concatBytes, uintToBytes } from '../core/bytes.ts';

/** Each field with its length in two bytes before it; text in UTF-8. Throws RangeError beyond 65535 bytes. */
export function lengthPrefixed(...fields: readonly (string | Uint8Array)[]): Uint8Array {
  const encoder = new TextEncoder();
  return concatBytes(
    ...fields.flatMap((field) => {
      const bytes = typeof field === 'string' ? encoder.encode(field) : field;
      return [uintToBytes(bytes.length, 2), bytes];
    }),
  );
}
