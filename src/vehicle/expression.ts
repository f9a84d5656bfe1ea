// The language of conditions: `speed == 0 and battery >= 12.2 V`. Text to tree and back, without meaning or I/O.

import { defined } from '../core/optional.ts';
import { itemAt } from '../core/present.ts';
import { ExpressionError, KEYWORDS, type Token, tokensOf } from './expression-tokens.ts';
import type { UnitName } from './quantity.ts';

export type ArithmeticOperator = '+' | '-' | '*' | '/';
export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** `column`: the position in the text; for an operation that of its operator. */
export type Expression =
  /** `text`: the digits as written. */
  | {
      readonly kind: 'number';
      readonly column: number;
      readonly text: string;
      readonly unit?: UnitName;
    }
  /** Minutes since midnight, 24:00 included. */
  | { readonly kind: 'clock'; readonly column: number; readonly minutes: number }
  /** A signal, a variable, or one of a signal's named values. */
  | { readonly kind: 'name'; readonly column: number; readonly name: string }
  | { readonly kind: 'negate' | 'not'; readonly column: number; readonly of: Expression }
  | {
      readonly kind: 'arithmetic';
      readonly column: number;
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'compare';
      readonly column: number;
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  /** `of in low..high` */
  | {
      readonly kind: 'within';
      readonly column: number;
      readonly of: Expression;
      readonly low: Expression;
      readonly high: Expression;
    }
  | {
      readonly kind: 'and' | 'or';
      readonly column: number;
      readonly left: Expression;
      readonly right: Expression;
    };

/**
 * ```
 * or         = and { "or" and }
 * and        = not { "and" not }
 * not        = "not" not | comparison
 * comparison = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum | "in" sum ".." sum ]
 * sum        = product { ( "+" | "-" ) product }
 * product    = unary { ( "*" | "/" ) unary }
 * unary      = "-" unary | number [ unit ] | HH:MM | name | "(" or ")"
 * ```
 * Throws ExpressionError.
 */
export function parseExpression(text: string): Expression {
  return new Parser(tokensOf(text)).whole();
}

/** Prints the expression with parentheses around every part; parsing the result gives the same tree. */
export function printExpression(expression: Expression): string {
  const inner = (part: Expression): string => {
    const leaf = part.kind === 'number' || part.kind === 'clock' || part.kind === 'name';
    return leaf ? printExpression(part) : `(${printExpression(part)})`;
  };
  switch (expression.kind) {
    case 'number':
      return expression.unit === undefined
        ? expression.text
        : `${expression.text} ${expression.unit}`;
    case 'clock':
      return clockText(expression.minutes);
    case 'name':
      return expression.name;
    case 'negate':
      return `-${inner(expression.of)}`;
    case 'not':
      return `not ${inner(expression.of)}`;
    case 'arithmetic':
    case 'compare':
      return `${inner(expression.left)} ${expression.operator} ${inner(expression.right)}`;
    case 'within':
      return `${inner(expression.of)} in ${inner(expression.low)}..${inner(expression.high)}`;
    case 'and':
    case 'or':
      return `${inner(expression.left)} ${expression.kind} ${inner(expression.right)}`;
  }
}

/** `05:30` */
export function clockText(minutes: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(minutes / 60))}:${two(Math.floor(minutes % 60))}`;
}

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Expression {
    const expression = this.#or();
    const { kind, text } = this.#peek();
    if (kind === 'end') return expression;
    // `0 < speed < 5` looks right, but has no meaning here.
    const chained = COMPARISONS.has(text) || text === 'in';
    throw this.#unexpected(
      chained
        ? 'and, or, or the end: a comparison has two sides, join two of them with "and"'
        : 'an operator, and, or, or the end',
    );
  }

  #peek(): Token {
    return itemAt(this.#tokens, this.#next);
  }

  /** Takes the next token if it is one of these words or symbols. */
  #take(...texts: readonly string[]): Token | undefined {
    const token = this.#peek();
    const fits = (token.kind === 'word' || token.kind === 'symbol') && texts.includes(token.text);
    if (!fits) return undefined;
    this.#next++;
    return token;
  }

  #unexpected(expected: string): ExpressionError {
    const { kind, text, column } = this.#peek();
    const found = kind === 'end' ? 'the end' : JSON.stringify(text);
    return new ExpressionError(column, `found ${found}, expected ${expected}`);
  }

  #or(): Expression {
    let left = this.#and();
    for (let token = this.#take('or'); token !== undefined; token = this.#take('or')) {
      left = { kind: 'or', column: token.column, left, right: this.#and() };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let token = this.#take('and'); token !== undefined; token = this.#take('and')) {
      left = { kind: 'and', column: token.column, left, right: this.#not() };
    }
    return left;
  }

  #not(): Expression {
    const token = this.#take('not');
    return token === undefined
      ? this.#comparison()
      : { kind: 'not', column: token.column, of: this.#not() };
  }

  #comparison(): Expression {
    const left = this.#sum();
    const token = this.#take('==', '!=', '<', '<=', '>', '>=', 'in');
    if (token === undefined) return left;
    const { column, text } = token;
    if (text !== 'in') {
      return {
        kind: 'compare',
        column,
        operator: text as ComparisonOperator,
        left,
        right: this.#sum(),
      };
    }
    const low = this.#sum();
    if (this.#take('..') === undefined) {
      throw this.#unexpected('".." and the other end of the range, like 22:00..05:00');
    }
    return { kind: 'within', column, of: left, low, high: this.#sum() };
  }

  #sum(): Expression {
    let left = this.#product();
    for (let token = this.#take('+', '-'); token !== undefined; token = this.#take('+', '-')) {
      const operator = token.text as ArithmeticOperator;
      left = { kind: 'arithmetic', column: token.column, operator, left, right: this.#product() };
    }
    return left;
  }

  #product(): Expression {
    let left = this.#unary();
    for (let token = this.#take('*', '/'); token !== undefined; token = this.#take('*', '/')) {
      const operator = token.text as ArithmeticOperator;
      left = { kind: 'arithmetic', column: token.column, operator, left, right: this.#unary() };
    }
    return left;
  }

  #unary(): Expression {
    const minus = this.#take('-');
    if (minus !== undefined) return { kind: 'negate', column: minus.column, of: this.#unary() };
    if (this.#take('(') !== undefined) {
      const inner = this.#or();
      if (this.#take(')') === undefined) throw this.#unexpected('")"');
      return inner;
    }
    const token = this.#peek();
    const { column, text } = token;
    switch (token.kind) {
      case 'number':
        this.#next++;
        return {
          kind: 'number',
          column,
          text,
          ...defined({ unit: token.unit }),
        };
      case 'clock':
        this.#next++;
        return { kind: 'clock', column, minutes: token.minutes };
      case 'word':
        if (KEYWORDS.has(text)) break;
        this.#next++;
        return { kind: 'name', column, name: text };
      case 'symbol':
      case 'end':
        break;
    }
    throw this.#unexpected('a number, a time of day, a name or "("');
  }
}
