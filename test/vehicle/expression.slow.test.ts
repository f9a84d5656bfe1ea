// The language of conditions: any text is understood or refused.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Expression, parseExpression, printExpression } from '../../src/vehicle/expression.ts';
import { ExpressionError, MAX_EXPRESSION_LENGTH } from '../../src/vehicle/expression-tokens.ts';
import { UNIT_NAMES } from '../../src/vehicle/quantity.ts';
import { check, holds, scope, usual, YES } from './expression-support.ts';

const digits = fc
  .tuple(fc.nat(99_999), fc.option(fc.nat(999)))
  .map(([whole, part]) => (part === null ? String(whole) : `${whole}.${part}`));
const tree: fc.Arbitrary<Expression> = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('number' as const),
      column: fc.constant(0),
      text: digits,
    }),
    fc.record({
      kind: fc.constant('number' as const),
      column: fc.constant(0),
      text: digits,
      unit: fc.constantFrom(...UNIT_NAMES),
    }),
    fc.record({
      kind: fc.constant('clock' as const),
      column: fc.constant(0),
      minutes: fc.integer({ min: 0, max: 1440 }),
    }),
    fc.record({
      kind: fc.constant('name' as const),
      column: fc.constant(0),
      name: fc.constantFrom(...scope.keys(), 'park', 'm', 'nowhere', 'innings', 'order'),
    }),
    fc.record({
      kind: fc.constantFrom('negate' as const, 'not' as const),
      column: fc.constant(0),
      of: tie('expression'),
    }),
    fc.record({
      kind: fc.constant('arithmetic' as const),
      column: fc.constant(0),
      operator: fc.constantFrom('+', '-', '*', '/'),
      left: tie('expression'),
      right: tie('expression'),
    }),
    fc.record({
      kind: fc.constant('compare' as const),
      column: fc.constant(0),
      operator: fc.constantFrom('==', '!=', '<', '<=', '>', '>='),
      left: tie('expression'),
      right: tie('expression'),
    }),
    fc.record({
      kind: fc.constant('within' as const),
      column: fc.constant(0),
      of: tie('expression'),
      low: tie('expression'),
      high: tie('expression'),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      column: fc.constant(0),
      left: tie('expression'),
      right: tie('expression'),
    }),
  ),
})).expression;

/** The tree without its places in the text. */
const shape = (expression: Expression): unknown =>
  JSON.parse(JSON.stringify(expression, (key, value) => (key === 'column' ? undefined : value)));

describe('any text', () => {
  it('that a tree is printed as is that tree again', () => {
    fc.assert(
      fc.property(tree, (expression) => {
        const text = printExpression(expression);
        fc.pre(text.length <= MAX_EXPRESSION_LENGTH);
        expect(shape(parseExpression(text))).toEqual(shape(expression));
      }),
      { numRuns: 500 },
    );
  });

  const words = fc
    .array(
      fc.constantFrom(
        ...scope.keys(),
        ...['park', 'off', 'and', 'or', 'not', 'in', '..', '(', ')', '==', '<', '+', '-', '*', '/'],
        ...['3', '0', '12.5', '4 V', '5 km/h', '6 min', '22:00', '%', '='],
      ),
      { maxLength: 14 },
    )
    .map((parts) => parts.join(' '));

  const nearly = fc
    .array(
      fc.constantFrom(
        ...[
          'speed == 0',
          'gear == park',
          'not',
          'and',
          'or',
          'and',
          '(',
          ')',
          'time in 22:00..5:00',
        ],
        ...['battery / doors > 3', 'update < 9 min', 'temperature in -3..4', '1 ==', 'rollback'],
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join(' '));

  it('is a condition that can be asked, or an ExpressionError with a column inside it', () => {
    let conditions = 0;
    fc.assert(
      fc.property(
        fc.oneof(words, nearly, tree.map(printExpression), fc.string({ maxLength: 40 })),
        (text) => {
          try {
            const condition = check(text);
            conditions++;
            const truth = condition.evaluate(usual);
            if (!truth.ok) expect(truth.reason).toMatch(/division by zero|too large/);
            expect(condition.evaluate(new Map()).ok).toBe(condition.names.length === 0 && truth.ok);
          } catch (error) {
            if (!(error instanceof ExpressionError)) throw error;
            expect(error.column).toBeGreaterThanOrEqual(1);
            expect(error.column).toBeLessThanOrEqual(text.length + 1);
          }
        },
      ),
      { numRuns: 3000, seed: 4 },
    );
    expect(conditions).toBeGreaterThan(50);
  });

  it('of the greatest depth is no overflow', () => {
    const deep = `${'('.repeat(240)}1${')'.repeat(240)} == 1`;
    expect(holds(deep)).toEqual(YES);
    expect(holds(`${'not '.repeat(120)}1 == 1`)).toEqual(YES);
    expect(() => check('('.repeat(500))).toThrow('column 501: found the end');
  });
});
