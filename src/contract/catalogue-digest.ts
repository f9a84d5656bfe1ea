// The digest by which vehicle and backend know whether they mean the same catalogue.

import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../core/bytes.ts';
import type { Catalogue } from './command.ts';

/** SHA-256 of its JSON with all names sorted and no spaces, 64 hexadecimal digits. */
export function catalogueDigest(catalogue: Catalogue): string {
  return toHex(sha256(new TextEncoder().encode(sortedJson(catalogue))));
}

/** JSON with sorted names: equal values have equal texts. Names without a value are left out. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}
