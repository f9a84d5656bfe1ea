// Length and hashes of a file as somebody signed them. Every hash that is named is checked (Uptane 5.4.3.2).

import { createHash } from 'node:crypto';
import { accepted, refused, type Verdict } from './attack.ts';
import { canonicalForms } from './canonical-form.ts';
import { type Dialect, RULES } from './profile.ts';
import { parseJson } from './strict-json.ts';

/** Hash functions that count; a file that names none of them cannot be checked. */
export const HASHES = ['sha256', 'sha384', 'sha512'] as const;

export interface NamedFile {
  readonly length?: number | undefined;
  readonly hashes?: Readonly<Record<string, string>> | undefined;
}

/** The same for metadata, as its dialect names it. */
export function checkMetadataFile(
  bytes: Uint8Array,
  named: NamedFile,
  where: string,
  dialect: Dialect,
): Verdict<void> {
  const rules = RULES[dialect];
  if (rules.namedFile === 'exact') return checkFileHashes(bytes, named, where);
  const { hashes } = named;
  const asReceived = checkFileHashes(bytes, { hashes }, where);
  if (asReceived.ok) return asReceived;
  const json = parseJson(bytes, where, rules);
  if (!json.ok) return json;
  const forms = canonicalForms(json.value, rules);
  return (
    forms.map((form) => checkFileHashes(form, { hashes }, where)).find(({ ok }) => ok) ?? asReceived
  );
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
