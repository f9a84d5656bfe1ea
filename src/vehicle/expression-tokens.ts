// The tokens of the language of conditions: numbers with their units, times of day, names, operators.

import { CanOtaError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { isUnitName, UNIT_NAMES, type UnitName } from './quantity.ts';

/** A mistake in an expression: its text, its names or its units. `column` counts from 1. */
export class ExpressionError extends CanOtaError {
  readonly code = 'EXPRESSION';
  readonly column: number;

  constructor(column: number, message: string) {
    super(`column ${column}: ${message}`);
    this.column = column;
  }
}

/** Longest expression. It limits the depth of the tree, too, because every level takes a character. */
export const MAX_EXPRESSION_LENGTH = 500;
export const KEYWORDS: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in']);

export type Token =
  | {
      readonly kind: 'number';
      readonly column: number;
      readonly text: string;
      readonly unit?: UnitName;
    }
  | {
      readonly kind: 'clock';
      readonly column: number;
      readonly text: string;
      readonly minutes: number;
    }
  | { readonly kind: 'word' | 'symbol' | 'end'; readonly column: number; readonly text: string };

/** Returns whether a word is reserved: signals and named values must have other names. */
export function isReservedWord(word: string): boolean {
  return KEYWORDS.has(word) || isUnitName(word) || word === 'true' || word === 'false';
}

const CLOCK = /(\d{1,2}):(\d{2})(?![\d:])/y;
const NUMBER = /\d+(?:\.\d+)?/y;
// Longest first, so that `min` is not read as `m`, nor `km/h` as `km`.
const UNIT = new RegExp(
  `\\s*(${[...UNIT_NAMES].sort((a, b) => b.length - a.length).join('|')})(?![A-Za-z0-9_])`,
  'y',
);
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const SYMBOL = /==|!=|<=|>=|\.\.|[<>()+\-*/]/y;

/** Operators of other languages, and the ones to write here. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['&&', 'and'],
  ['||', 'or'],
  ['!', 'not'],
  ['=', '=='],
];

/** The tokens of `text`, ended by one of kind `end`. Throws ExpressionError. */
export function tokensOf(text: string): Token[] {
  if (text.length > MAX_EXPRESSION_LENGTH) {
    throw new ExpressionError(
      MAX_EXPRESSION_LENGTH + 1,
      `the expression has ${text.length} characters, at most ${MAX_EXPRESSION_LENGTH} are possible: make two conditions of it`,
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    take(/\s*/y);
    const column = at + 1;
    if (at === text.length) return [...tokens, { kind: 'end', column, text: '' }];
    const clock = take(CLOCK);
    if (clock !== undefined) {
      tokens.push({ kind: 'clock', column, text: clock[0], minutes: minutesOf(clock, column) });
      continue;
    }
    const number = take(NUMBER);
    if (number !== undefined) {
      const unit = take(UNIT)?.[1] as UnitName | undefined;
      if (unit === undefined) refuseUnit(text, at);
      tokens.push({
        kind: 'number',
        column,
        text: number[0],
        ...defined({ unit }),
      });
      continue;
    }
    const word = take(WORD);
    const symbol = word === undefined ? take(SYMBOL) : undefined;
    if (word !== undefined) tokens.push({ kind: 'word', column, text: word[0] });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', column, text: symbol[0] });
    else throw foreign(text, at);
  }
}

function minutesOf(match: RegExpExecArray, column: number): number {
  const minutes = Number(match[1]) * 60 + Number(match[2]);
  if (Number(match[2]) > 59 || minutes > 24 * 60) {
    throw new ExpressionError(
      column,
      `found ${match[0]}, expected a time of day from 00:00 to 24:00`,
    );
  }
  return minutes;
}

/** Refuses an unknown unit: a word after a number can only be meant as its unit. */
function refuseUnit(text: string, at: number): void {
  const word = /^\s*([A-Za-z_°][A-Za-z0-9_°/]*)/.exec(text.slice(at));
  if (word === null) return;
  const [whole, unit = ''] = word;
  if (KEYWORDS.has(unit)) return;
  throw new ExpressionError(
    at + whole.length - unit.length + 1,
    `"${unit}" is no unit, expected one of ${UNIT_NAMES.join(' ')}`,
  );
}

function foreign(text: string, at: number): ExpressionError {
  const [found = ''] = text.slice(at);
  const hint = FOREIGN.find(([theirs]) => text.startsWith(theirs, at));
  return new ExpressionError(
    at + 1,
    hint === undefined
      ? `${JSON.stringify(found)} means nothing here, expected a number, a name, an operator or a parenthesis`
      : `found ${JSON.stringify(hint[0])}, expected ${JSON.stringify(hint[1])}`,
  );
}
