// The text at the beginning of a VBF file: `vbf_version = 2.6; header { name = value; ... }` with // comments.

import { InputError } from '../../core/errors.ts';
import { printable } from '../../core/text-table.ts';

/** Longest header that is read; those of real files have a few KiB. */
const LONGEST = 1 << 20;

export interface VbfHeaderText {
  readonly version: string;
  /** By name: the words, numbers and strings of the value in their order, without braces and commas. */
  readonly entries: ReadonlyMap<string, readonly string[]>;
  /** Offset behind the closing brace. */
  readonly end: number;
}

interface Token {
  readonly kind: 'word' | 'string' | 'mark';
  readonly text: string;
  /** Offset behind it. */
  readonly end: number;
}

/** Behind blanks and comments: does the file begin as a VBF file does? */
export function isVbf(bytes: Uint8Array): boolean {
  const head = latin1(bytes.subarray(0, 1 << 16));
  const first = nextToken(head, skipMark(bytes));
  return first?.kind === 'word' && first.text.toLowerCase() === 'vbf_version';
}

/** Throws InputError with the line. */
export function readVbfHeader(bytes: Uint8Array, name: string): VbfHeaderText {
  const text = latin1(bytes.subarray(0, LONGEST));
  const entries = new Map<string, readonly string[]>();
  let at = skipMark(bytes);
  let version: string | undefined;

  const fault = (message: string): InputError =>
    new InputError(name, `VBF header, line ${lineOf(text, at)}: ${message}`);
  const next = (): Token => {
    const token = nextToken(text, at);
    if (token === undefined) {
      throw fault(
        bytes.length > LONGEST
          ? 'it has no end within 1 MiB'
          : 'the file ends within the header: it is cut off',
      );
    }
    at = token.end;
    return token;
  };
  const expectMark = (mark: string, behind: string): void => {
    const token = next();
    if (token.kind !== 'mark' || token.text !== mark) {
      throw fault(`${quotedText(token.text)} behind ${behind}: expected ${JSON.stringify(mark)}`);
    }
  };
  /** Behind `name =`. */
  const value = (of: string): readonly string[] => {
    const parts: string[] = [];
    for (let depth = 0; ; ) {
      const token = next();
      if (token.kind !== 'mark') parts.push(token.text);
      else if (token.text === '{') depth++;
      else if (token.text === '}') depth--;
      else if (token.text === ';' && depth === 0) return parts;
      if (depth < 0 || (token.kind === 'mark' && '=;'.includes(token.text))) {
        throw fault(`${quotedText(token.text)} within the value of ${of}: expected ";"`);
      }
    }
  };

  // What stands before the header is an assignment, too: vbf_version.
  for (;;) {
    const token = next();
    if (token.kind !== 'word') throw fault(`${quotedText(token.text)}: expected "header"`);
    if (token.text.toLowerCase() === 'header') break;
    expectMark('=', token.text);
    const parts = value(token.text);
    if (token.text.toLowerCase() === 'vbf_version') version = parts.join(' ');
  }
  expectMark('{', 'header');
  for (;;) {
    const token = next();
    if (token.kind === 'mark' && token.text === '}') break;
    if (token.kind !== 'word') {
      throw fault(`${quotedText(token.text)}: expected a name or "}"`);
    }
    expectMark('=', token.text);
    entries.set(token.text.toLowerCase(), value(token.text));
  }
  return { version: version ?? '', entries, end: at };
}

/** What stands in the file, for a message. */
export function quotedText(text: string): string {
  return JSON.stringify(printable(text.slice(0, 40)));
}

function skipMark(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

const SKIPPED = [/\s+/y, /\/\/[^\r\n]*/y, /\/\*[\s\S]*?\*\//y] as const;
const TOKEN = /([{}=;,])|"([^"]*)"|((?:(?!\/\/)[^\s{}=;,"])+)/y;

/** Offset behind blanks and comments. */
function skipBlanks(text: string, from: number): number {
  let at = from;
  for (let before = -1; before !== at; ) {
    before = at;
    for (const pattern of SKIPPED) {
      pattern.lastIndex = at;
      if (pattern.test(text)) at = pattern.lastIndex;
    }
  }
  return at;
}

/** The next token that means something: commas do not. */
function nextToken(text: string, from: number): Token | undefined {
  for (let at = from; ; ) {
    TOKEN.lastIndex = skipBlanks(text, at);
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    at = TOKEN.lastIndex;
    const [, mark, string, word] = match;
    if (mark === ',') continue;
    if (mark !== undefined) return { kind: 'mark', text: mark, end: at };
    if (string !== undefined) return { kind: 'string', text: string, end: at };
    return { kind: 'word', text: word ?? '', end: at };
  }
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split(/\r\n|\r|\n/).length;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
