// JSON for signed metadata: a text has the same meaning for every reader. Everything else is refused.

import { accepted, refused, type Verdict } from './attack.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export interface JsonOptions {
  /** Uptane 5.2, RFC 5198: every string in Unicode Normalization Form C. */
  readonly nfc?: boolean;
}

/** How deep arrays and objects may be nested; metadata need eight levels. */
const MAX_DEPTH = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses UTF-8 JSON. Refused with MALFORMED: damaged UTF-8 and a byte order mark, a name twice in an object (readers
 * differ in which one they use), numbers that are not whole and exact, half surrogate pairs, and deep nesting.
 */
export function parseJson(
  bytes: Uint8Array,
  where: string,
  options: JsonOptions = {},
): Verdict<JsonValue> {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return refused('MALFORMED', where, 'is not UTF-8 text');
  }
  try {
    return accepted(new Parser(text, options.nfc === true).document());
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return refused('MALFORMED', where, `is not JSON for metadata: ${error.message}`);
  }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own field of an object; undefined for anything else (`constructor` is not a field). */
export function field(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Text for messages: a string from outside, short and without control characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

class JsonFault extends Error {}

const SPACE = /[ \t\n\r]*/y;
const PLAIN = /"[\x20\x21\x23-\x5b\x5d-\x7e]*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORDS: readonly [string, boolean | null][] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

class Parser {
  readonly #text: string;
  readonly #nfc: boolean;
  #at = 0;

  constructor(text: string, nfc: boolean) {
    this.#text = text;
    this.#nfc = nfc;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) this.#fail('text after the end');
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} levels`);
    this.#skip();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    if (next === '"') return this.#string();
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  #object(depth: number): JsonObject {
    const object: Record<string, JsonValue> = {};
    this.#at += 1;
    this.#skip();
    if (this.#took('}')) return object;
    do {
      this.#skip();
      const name = this.#string();
      if (Object.hasOwn(object, name)) this.#fail(`the name ${quoted(name)} appears twice`);
      // An assignment would change the object's prototype and not add a field.
      if (name === '__proto__') this.#fail('the name __proto__');
      this.#skip();
      if (!this.#took(':')) this.#fail('":" expected');
      object[name] = this.#value(depth + 1);
      this.#skip();
    } while (this.#took(','));
    if (!this.#took('}')) this.#fail('"}" expected');
    return object;
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.#at += 1;
    this.#skip();
    if (this.#took(']')) return array;
    do {
      array.push(this.#value(depth + 1));
      this.#skip();
    } while (this.#took(','));
    if (!this.#took(']')) this.#fail('"]" expected');
    return array;
  }

  #string(): string {
    // Nearly all strings are plain ASCII, which needs no further check.
    const plain = this.#match(PLAIN);
    if (plain !== undefined) return plain.slice(1, -1);
    const value = this.#escapedString();
    if (!value.isWellFormed()) this.#fail('half of a surrogate pair');
    if (this.#nfc && value.normalize('NFC') !== value) {
      this.#fail(`${quoted(value)} is not in Unicode Normalization Form C`);
    }
    return value;
  }

  #escapedString(): string {
    const text = this.#text;
    if (text[this.#at] !== '"') this.#fail('a string expected');
    let end = this.#at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    const source = text.slice(this.#at, end + 1);
    try {
      const value = JSON.parse(source) as string;
      this.#at = end + 1;
      return value;
    } catch {
      return this.#fail('a damaged string');
    }
  }

  #number(): number {
    const source = this.#match(NUMBER) ?? this.#fail('a value expected');
    const value = Number(source);
    // Canonical JSON has whole numbers only, and the text must be the signed one.
    if (!Number.isSafeInteger(value) || String(value) !== source) {
      this.#fail(`the number ${source.slice(0, 40)} is not whole and exact`);
    }
    return value;
  }

  #skip(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #took(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return undefined;
    const source = this.#text.slice(this.#at, pattern.lastIndex);
    this.#at = pattern.lastIndex;
    return source;
  }

  #fail(what: string): never {
    throw new JsonFault(`${what} (character ${this.#at})`);
  }
}
