// Bytes of a request as the vehicle file writes them: hexadecimal digits, and names in braces for what is known later.

import { z } from 'zod';
import { bytesToUint, concatBytes, equalBytes, fromHex, uintToBytes } from '../core/bytes.ts';

type TemplatePart =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** A number of so many bytes, the most significant first unless `littleEndian`. */
  | {
      readonly kind: 'number';
      readonly name: string;
      readonly bytes: number;
      readonly littleEndian: boolean;
    }
  /** Bytes of a length of their own: `{sha256}`, `{date}`. */
  | { readonly kind: 'named-bytes'; readonly name: string };

/** What the names of a template stand for. */
export interface TemplateValues {
  readonly numbers: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, Uint8Array>>;
}

/** The names that one field of the vehicle file may use. */
export interface TemplateNames {
  /** Written `{name}`, which has `NUMBER_BYTES`, or `{name:2}`, `{name:4le}`. */
  readonly numbers: readonly string[];
  readonly bytes: readonly string[];
}

const NUMBER_BYTES = 4;
const LONGEST_TEXT = 600;
const PART = /\s*(?:((?:[0-9a-fA-F]{2})+)|\{([a-z0-9]+)(?::([1-8])(le)?)?\})/y;

/** The parts, or the sentence that says what is wrong. */
function parseTemplate(text: string, names: TemplateNames): TemplatePart[] | string {
  const parts: TemplatePart[] = [];
  const trimmed = text.trimEnd();
  for (let at = 0; at < trimmed.length; at = PART.lastIndex) {
    PART.lastIndex = at;
    const found = PART.exec(trimmed);
    if (found === null) {
      return `expected pairs of hexadecimal digits and ${namesText(names)}, found ${JSON.stringify(trimmed.slice(at).trim())}`;
    }
    const [whole, hex, name = '', width, littleEndian] = found;
    if (hex !== undefined) {
      parts.push({ kind: 'bytes', bytes: fromHex(hex) });
    } else if (names.numbers.includes(name)) {
      const bytes = width === undefined ? NUMBER_BYTES : Number(width);
      parts.push({ kind: 'number', name, bytes, littleEndian: littleEndian !== undefined });
    } else if (names.bytes.includes(name) && width === undefined) {
      parts.push({ kind: 'named-bytes', name });
    } else {
      return `${whole.trim()} is not known here: expected ${namesText(names)}`;
    }
  }
  return parts;
}

function namesText({ numbers, bytes }: TemplateNames): string {
  const all = [...numbers.map((name) => `{${name}:BYTES}`), ...bytes.map((name) => `{${name}}`)];
  return all.length === 0 ? 'no names' : all.join(', ');
}

/** A field of the vehicle file: one of the keywords, or a template. */
export function byteTemplate(names: TemplateNames, keywords: readonly string[] = []) {
  return z
    .string('expected text in quotes: hexadecimal digits, with names in braces')
    .max(LONGEST_TEXT)
    .superRefine((text, context) => {
      if (keywords.includes(text)) return;
      const parsed = parseTemplate(text, names);
      if (typeof parsed !== 'string') return;
      context.addIssue(keywords.length === 0 ? parsed : `${keywords.join(', ')}; or: ${parsed}`);
    });
}

/** The bytes of a template that the schema has checked, or what does not fit: the number and the room that it has. */
export function fillTemplate(
  template: string,
  { numbers, bytes }: TemplateValues,
): Uint8Array | { readonly problem: string } {
  const parts = parseTemplate(template, {
    numbers: Object.keys(numbers),
    bytes: Object.keys(bytes),
  });
  if (typeof parts === 'string') return { problem: parts };
  const filled: Uint8Array[] = [];
  for (const part of parts) {
    switch (part.kind) {
      case 'bytes':
        filled.push(part.bytes);
        break;
      case 'named-bytes':
        filled.push(bytes[part.name] ?? new Uint8Array());
        break;
      case 'number': {
        const value = numbers[part.name] ?? 0;
        if (value >= 2 ** (8 * part.bytes)) {
          const found = `0x${value.toString(16).toUpperCase()}`;
          return { problem: `{${part.name}:${part.bytes}} has no room for ${found}` };
        }
        const whole = uintToBytes(value, part.bytes);
        filled.push(part.littleEndian ? whole.reverse() : whole);
      }
    }
  }
  return concatBytes(...filled);
}

/** Whether the template uses one of the names. */
export function usesName(template: string, names: readonly string[]): boolean {
  return names.some((name) => new RegExp(`\\{${name}[:}]`).test(template));
}

/** The other way round: what the names stand for in bytes; undefined where they do not follow the template. */
export function readTemplate(
  template: string,
  names: TemplateNames,
  lengths: Readonly<Record<string, number>>,
  bytes: Uint8Array,
): TemplateValues | undefined {
  const parts = parseTemplate(template, names);
  if (typeof parts === 'string') return undefined;
  const numbers: Record<string, number> = {};
  const named: Record<string, Uint8Array> = {};
  let at = 0;
  for (const part of parts) {
    const length =
      part.kind === 'bytes'
        ? part.bytes.length
        : part.kind === 'number'
          ? part.bytes
          : (lengths[part.name] ?? 0);
    const found = bytes.slice(at, at + length);
    if (found.length < length) return undefined;
    at += length;
    if (part.kind === 'bytes') {
      if (!equalBytes(found, part.bytes)) return undefined;
    } else if (part.kind === 'named-bytes') {
      named[part.name] = found;
    } else {
      numbers[part.name] = bytesToUint(part.littleEndian ? found.reverse() : found);
    }
  }
  return at === bytes.length ? { numbers, bytes: named } : undefined;
}
