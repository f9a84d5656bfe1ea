// Checks and compiles a condition before its first use: all names must be known, and all units must fit.

import { assertNever } from '../core/errors.ts';
import { closestName } from './closest-name.ts';
import type { Expression } from './expression.ts';
import { common, compareNumbers, compute, Undefined } from './expression-arithmetic.ts';
import { ExpressionError } from './expression-tokens.ts';
import { combine, isPlain, NO_UNIT, type Unit, unitOf } from './quantity.ts';

/** The type of a name. */
export type NameType =
  | { readonly kind: 'quantity'; readonly unit: Unit }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  /** Minutes since midnight. */
  | { readonly kind: 'clock' };

export type Scope = ReadonlyMap<string, NameType>;
/** Values by name: quantities in the unit of their name, choices by name, clocks as minutes. */
export type Values = ReadonlyMap<string, number | string>;

type Truth =
  | { readonly ok: true; readonly holds: boolean }
  /** The condition cannot be decided: a value is missing, or something was divided by zero. */
  | { readonly ok: false; readonly reason: string };

export interface Condition {
  /** Names in the expression, in the order of their first use. */
  readonly names: readonly string[];
  evaluate(values: Values): Truth;
}

type Typed =
  | { readonly kind: 'truth'; readonly of: (values: Values) => boolean }
  | { readonly kind: 'quantity'; readonly unit: Unit; readonly of: (values: Values) => number }
  | { readonly kind: 'clock'; readonly of: (values: Values) => number }
  | {
      readonly kind: 'choice';
      readonly signal: string;
      readonly choices: readonly string[];
      readonly of: (values: Values) => string;
    }
  /** A word that is not a signal: it may be a named value of the other operand. */
  | { readonly kind: 'word'; readonly word: string };

/** Throws ExpressionError with the column of the mistake. */
export function checkExpression(expression: Expression, scope: Scope): Condition {
  const checker = new Checker(scope);
  const top = checker.typed(expression);
  if (top.kind !== 'truth') {
    throw new ExpressionError(
      firstColumn(expression),
      `this is ${checker.nameOf(top, expression)}, expected something that holds or does not, like speed == 0`,
    );
  }
  return {
    names: [...checker.names],
    evaluate: (values) => {
      try {
        return { ok: true, holds: top.of(values) };
      } catch (error) {
        if (error instanceof Undefined) return { ok: false, reason: error.message };
        throw error;
      }
    },
  };
}

class Checker {
  readonly names = new Set<string>();
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  typed(expression: Expression): Typed {
    switch (expression.kind) {
      case 'number': {
        const value = Number(expression.text);
        return { kind: 'quantity', unit: unitOf(expression.unit), of: () => value };
      }
      case 'clock': {
        const { minutes } = expression;
        return { kind: 'clock', of: () => minutes };
      }
      case 'name':
        return this.#name(expression.name);
      case 'negate': {
        const { unit, of } = this.#quantity(expression.of);
        return { kind: 'quantity', unit, of: (values) => -of(values) };
      }
      case 'not': {
        const of = this.#truth(expression.of, 'not');
        return { kind: 'truth', of: (values) => !of(values) };
      }
      case 'and':
      case 'or': {
        const left = this.#truth(expression.left, expression.kind);
        const right = this.#truth(expression.right, expression.kind);
        const isAnd = expression.kind === 'and';
        const of = (values: Values): boolean => {
          // Both sides are always evaluated: an unknown value makes the whole condition unknown, wherever it is.
          const [a, b] = [left(values), right(values)];
          return isAnd ? a && b : a || b;
        };
        return { kind: 'truth', of };
      }
      case 'arithmetic':
        return this.#arithmetic(expression);
      case 'compare':
        return { kind: 'truth', of: this.#compare(expression) };
      case 'within':
        return { kind: 'truth', of: this.#within(expression) };
      default:
        return assertNever(expression);
    }
  }

  /** Text for messages: `a quantity in V`, `the value "park"`. */
  nameOf(typed: Typed, expression: Expression): string {
    switch (typed.kind) {
      case 'truth':
        return 'a condition';
      case 'quantity':
        return isPlain(typed.unit) ? 'a number' : `a quantity in ${typed.unit.text}`;
      case 'clock':
        return 'a time of day';
      case 'choice':
        return `${typed.signal}, which is one of ${typed.choices.join(', ')}`;
      case 'word':
        throw this.#unknown(typed.word, expression.column);
    }
  }

  #name(name: string): Typed {
    const type = this.#scope.get(name);
    if (type === undefined) return { kind: 'word', word: name };
    this.names.add(name);
    const read = (values: Values): number | string => {
      const value = values.get(name);
      if (value === undefined) throw new Undefined(`${name} is not known`);
      return value;
    };
    const number = (values: Values): number => {
      const value = read(values);
      if (typeof value !== 'number' || !Number.isFinite(value)) {
        throw new Undefined(`${name} is no number: ${JSON.stringify(value)}`);
      }
      return value;
    };
    switch (type.kind) {
      case 'quantity':
        return { kind: 'quantity', unit: type.unit, of: number };
      case 'clock':
        return { kind: 'clock', of: number };
      case 'choice':
        return {
          kind: 'choice',
          signal: name,
          choices: type.values,
          of: (values) => String(read(values)),
        };
    }
  }

  #unknown(word: string, column: number): ExpressionError {
    const known = [...this.#scope.keys()];
    const values = [...this.#scope.entries()].flatMap(([name, type]) =>
      type.kind === 'choice' && type.values.includes(word) ? [name] : [],
    );
    if (values.length > 0) {
      return new ExpressionError(
        column,
        `"${word}" is a value of ${values.join(' and ')} and stands alone here, expected a comparison like ${values[0]} == ${word}`,
      );
    }
    return new ExpressionError(column, `"${word}" is not known${closestName(word, known)}`);
  }

  #quantity(expression: Expression): Extract<Typed, { kind: 'quantity' }> {
    const typed = this.typed(expression);
    if (typed.kind === 'quantity') return typed;
    throw new ExpressionError(
      firstColumn(expression),
      `this is ${this.nameOf(typed, expression)}, expected a number or a quantity`,
    );
  }

  #truth(expression: Expression, operator: string): (values: Values) => boolean {
    const typed = this.typed(expression);
    if (typed.kind === 'truth') return typed.of;
    throw new ExpressionError(
      firstColumn(expression),
      `this is ${this.nameOf(typed, expression)}, but "${operator}" joins conditions, like speed == 0`,
    );
  }

  #arithmetic(expression: Extract<Expression, { kind: 'arithmetic' }>): Typed {
    const { operator, column } = expression;
    const left = this.#quantity(expression.left);
    const right = this.#quantity(expression.right);
    if (operator === '+' || operator === '-') {
      const { unit, toLeft, toRight } = common(left.unit, right.unit, column, operator);
      return {
        kind: 'quantity',
        unit,
        of: (values) => compute(operator, left.of(values) * toLeft, right.of(values) * toRight),
      };
    }
    const unit = combine(left.unit, right.unit, operator === '*' ? 1 : -1);
    // Minutes divided by seconds are a plain number, 60 times as large.
    const plain = isPlain(unit);
    const factor = plain ? unit.factor : 1;
    return {
      kind: 'quantity',
      unit: plain ? NO_UNIT : unit,
      of: (values) => compute(operator, left.of(values), right.of(values)) * factor,
    };
  }

  #compare(expression: Extract<Expression, { kind: 'compare' }>): (values: Values) => boolean {
    const { operator, column } = expression;
    const left = this.typed(expression.left);
    const right = this.typed(expression.right);
    if (left.kind === 'choice' || right.kind === 'choice') {
      return this.#choose(expression, left, right);
    }
    if (left.kind === 'quantity' && right.kind === 'quantity') {
      const { toLeft, toRight } = common(left.unit, right.unit, column, operator);
      return (values) =>
        compareNumbers(operator, left.of(values) * toLeft, right.of(values) * toRight);
    }
    if (left.kind === 'clock' && right.kind === 'clock') {
      return (values) => compareNumbers(operator, left.of(values), right.of(values));
    }
    throw this.#mismatch(expression, left, right);
  }

  #choose(
    {
      operator,
      column,
      left: leftSide,
      right: rightSide,
    }: Extract<Expression, { kind: 'compare' }>,
    left: Typed,
    right: Typed,
  ): (values: Values) => boolean {
    const [signal, other, side] =
      left.kind === 'choice' ? [left, right, rightSide] : [right, left, leftSide];
    if (signal.kind !== 'choice') throw new Error('one side is a choice');
    const listed = signal.choices.join(', ');
    if (operator !== '==' && operator !== '!=') {
      throw new ExpressionError(
        column,
        `${signal.signal} has named values (${listed}), which have no order: found "${operator}", expected == or !=`,
      );
    }
    const equal = operator === '==';
    if (other.kind === 'word') {
      if (!signal.choices.includes(other.word)) {
        throw new ExpressionError(
          side.column,
          `"${other.word}" is no value of ${signal.signal}${closestName(other.word, signal.choices)}`,
        );
      }
      return (values) => (signal.of(values) === other.word) === equal;
    }
    throw new ExpressionError(
      firstColumn(side),
      `${signal.signal} has named values: found ${this.nameOf(other, side)}, expected one of ${listed}`,
    );
  }

  #within(expression: Extract<Expression, { kind: 'within' }>): (values: Values) => boolean {
    const of = this.typed(expression.of);
    const low = this.typed(expression.low);
    const high = this.typed(expression.high);
    if (of.kind === 'clock' && low.kind === 'clock' && high.kind === 'clock') {
      // Half open; passes midnight if the end is earlier than the start.
      return (values) => {
        const [time, from, to] = [of.of(values), low.of(values), high.of(values)];
        return from <= to ? time >= from && time < to : time >= from || time < to;
      };
    }
    if (of.kind === 'quantity' && low.kind === 'quantity' && high.kind === 'quantity') {
      const above = common(of.unit, low.unit, expression.column, 'in');
      const below = common(of.unit, high.unit, expression.column, 'in');
      return (values) => {
        const value = of.of(values);
        const least = low.of(values) * above.toRight;
        const most = high.of(values) * below.toRight;
        return (
          compareNumbers('>=', value * above.toLeft, least) &&
          compareNumbers('<=', value * below.toLeft, most)
        );
      };
    }
    const odd = of.kind === low.kind ? expression.high : expression.low;
    throw this.#mismatch(
      { column: expression.column, left: expression.of, right: odd, operator: 'in' },
      of,
      of.kind === low.kind ? high : low,
    );
  }

  #mismatch(
    {
      left,
      right,
      operator,
      column,
    }: {
      readonly left: Expression;
      readonly right: Expression;
      readonly operator: string;
      readonly column: number;
    },
    leftType: Typed,
    rightType: Typed,
  ): ExpressionError {
    const one = this.nameOf(leftType, left);
    const other = this.nameOf(rightType, right);
    const what = one === other ? `two of ${one}` : `${one} and ${other}`;
    return new ExpressionError(column, `"${operator}" cannot join ${what}`);
  }
}

/** Column of the first known part of the expression. */
function firstColumn(expression: Expression): number {
  switch (expression.kind) {
    case 'arithmetic':
    case 'compare':
    case 'and':
    case 'or':
      return firstColumn(expression.left);
    case 'within':
      return firstColumn(expression.of);
    default:
      return expression.column;
  }
}
