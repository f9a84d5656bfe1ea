// Length and hashes of a file as somebody signed them. Every hash that is named is checked (Uptane 5.4.3.2).

import { createHash } from 'node:crypto';
import { accepted, refused, type Verdict } from './attack.ts';

/** Hash functions that count; a file that names none of them cannot be checked. */
export const HASHES = ['sha256', 'sha384', 'sha512'] as const;

export interface NamedFile {
  readonly length?: number | undefined;
  readonly hashes?: Readonly<Record<string, string>> | undefined;
}

/** MIX_AND_MATCH when the bytes are not the ones that were named. */
export function checkFileHashes(bytes: Uint8Array, named: NamedFile, where: string): Verdict<void> {
  const wrong = (reason: string): Verdict<void> => refused('MIX_AND_MATCH', where, reason);
  if (named.length !== undefined && bytes.length !== named.length) {
    return wrong(`has ${bytes.length} bytes, ${named.length} were named`);
  }
  const entries = Object.entries(named.hashes ?? {});
  const known = HASHES.filter((name) => Object.hasOwn(named.hashes ?? {}, name));
  if (entries.length > 0 && known.length === 0) {
    return wrong(`none of its hashes is one of ${HASHES.join(', ')}`);
  }
  for (const name of known) {
    const actual = createHash(name).update(bytes).digest('hex');
    if (actual !== named.hashes![name]) return wrong(`its ${name} is not the one that was named`);
  }
  return accepted(undefined);
}
