// The text of a JSON value for signatures and hashes. It depends on the dialect.

import { canonicalize } from '@tufjs/canonical-json';
import type { DialectRules } from './profile.ts';
import { isObject, type JsonValue } from './strict-json.ts';

/** The canonical forms in UTF-8: one, or two where the dialect has two and they differ for this value. */
export function canonicalForms(value: JsonValue, { canonical }: DialectRules): Uint8Array[] {
  const texts = new Set([canonicalize(value)]);
  if (canonical === 'OLPC or sorted JSON') texts.add(sortedJson(value));
  return [...texts].map((text) => new TextEncoder().encode(text));
}

/**
 * JSON in ASCII with sorted names and without spaces: a line break is `\n` here, where OLPC's form has the line break
 * itself. The text of every RSA key contains one.
 */
function sortedJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (isObject(value)) {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${asciiString(name)}:${sortedJson(value[name] ?? null)}`).join(',')}}`;
  }
  return typeof value === 'string' ? asciiString(value) : JSON.stringify(value);
}

function asciiString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
