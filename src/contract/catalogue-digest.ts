// The digest by which vehicle and backend compare their catalogues.

import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../core/bytes.ts';
import type { Catalogue } from './command.ts';

/** SHA-256 of the catalogue's JSON with sorted names and without spaces, 64 hexadecimal digits. */
export function catalogueDigest(catalogue: Catalogue): string {
  return toHex(sha256(new TextEncoder().encode(sortedJson(catalogue))));
}

/** JSON with sorted names, so that equal values have equal texts. Names without a value are left out. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}
