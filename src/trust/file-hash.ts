// Length and hashes of a file as they were signed. Every listed hash is checked (Uptane 5.4.3.2).

import { createHash } from 'node:crypto';
import { accepted, refused, type Verdict } from './attack.ts';
import { canonicalForms } from './canonical-form.ts';
import { type Dialect, RULES } from './profile.ts';
import { parseJson, quoted } from './strict-json.ts';

/** Known hash functions; a file without any of them cannot be checked. */
export const HASHES = ['sha256', 'sha384', 'sha512'] as const;

const HEX_DIGITS = { sha256: 64, sha384: 96, sha512: 128 } as const;

/** Hashes in addition to SHA-256, which identifies an image in all other places. */
export type FurtherHashes = Readonly<Partial<Record<'sha384' | 'sha512', string>>>;

/** Undefined if only SHA-256 is listed. */
export function furtherHashes(hashes: Readonly<Record<string, string>>): FurtherHashes | undefined {
  const further = HASHES.flatMap((name) => {
    const hash = Object.hasOwn(hashes, name) ? hashes[name] : undefined;
    return name === 'sha256' || hash === undefined ? [] : [[name, hash]];
  });
  return further.length === 0 ? undefined : Object.fromEntries(further);
}

/** "Check that all hashes listed in the metadata match": what is wrong with a list if one cannot be checked. */
export function hashesFault(hashes: Readonly<Record<string, string>>): string | undefined {
  for (const [name, value] of Object.entries(hashes)) {
    const known = HASHES.find((each) => each === name);
    if (known === undefined) {
      return `lists hash ${quoted(name)}, which cannot be checked here: expected ${HASHES.join(', ')}`;
    }
    if (!/^[0-9a-f]*$/.test(value) || value.length !== HEX_DIGITS[known]) {
      return `its ${known} is not ${HEX_DIGITS[known]} hexadecimal digits in lower case`;
    }
  }
  return undefined;
}

export interface NamedFile {
  readonly length?: number | undefined;
  readonly hashes?: Readonly<Record<string, string>> | undefined;
}

/** The same for metadata, in the form of its dialect. */
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

/** MIX_AND_MATCH if the bytes do not have the named length and hashes. */
export function checkFileHashes(bytes: Uint8Array, named: NamedFile, where: string): Verdict<void> {
  const wrong = (reason: string): Verdict<void> => refused('MIX_AND_MATCH', where, reason);
  if (named.length !== undefined && bytes.length !== named.length) {
    return wrong(`has ${bytes.length} bytes, ${named.length} were named`);
  }
  const { hashes = {} } = named;
  const known = HASHES.filter((name) => Object.hasOwn(hashes, name));
  if (Object.keys(hashes).length > 0 && known.length === 0) {
    return wrong(`none of its hashes is one of ${HASHES.join(', ')}`);
  }
  for (const name of known) {
    const actual = createHash(name).update(bytes).digest('hex');
    if (actual !== hashes[name]) return wrong(`its ${name} is not the one that was named`);
  }
  return accepted(undefined);
}
