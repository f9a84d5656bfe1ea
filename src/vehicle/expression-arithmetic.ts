// Arithmetic of conditions: which units fit together, what cannot be computed, when two measurements are equal.

import type { ArithmeticOperator, ComparisonOperator } from './expression.ts';
import { ExpressionError } from './expression-tokens.ts';
import { conversion, isPlain, sameDimension, type Unit } from './quantity.ts';

/** Thrown for a value that cannot be computed; `evaluate` catches it. */
export class Undefined extends Error {}

/** The common unit of two operands; a plain number takes the unit of the other one. */
export function common(
  left: Unit,
  right: Unit,
  column: number,
  operator: string,
): { readonly unit: Unit; readonly toLeft: number; readonly toRight: number } {
  if (isPlain(left)) return { unit: right, toLeft: 1, toRight: 1 };
  if (isPlain(right)) return { unit: left, toLeft: 1, toRight: 1 };
  if (!sameDimension(left, right)) {
    throw new ExpressionError(
      column,
      `"${operator}" cannot join ${left.text} and ${right.text}: both sides need the same kind of unit`,
    );
  }
  return { unit: left, toLeft: 1, toRight: conversion(right, left) };
}

export function compute(operator: ArithmeticOperator, a: number, b: number): number {
  if (operator === '/' && b === 0) throw new Undefined('division by zero');
  const value = { '+': a + b, '-': a - b, '*': a * b, '/': a / b }[operator];
  if (!Number.isFinite(value)) throw new Undefined('a number became too large');
  return value;
}

/** Relative difference up to which values are equal: raw values times a scale are rarely exact (121 times 0.1 V). */
const TOLERANCE = 1e-9;

export function compareNumbers(operator: ComparisonOperator, a: number, b: number): boolean {
  const equal = Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
  switch (operator) {
    case '==':
      return equal;
    case '!=':
      return !equal;
    case '<':
      return a < b && !equal;
    case '<=':
      return a < b || equal;
    case '>':
      return a > b && !equal;
    case '>=':
      return a > b || equal;
  }
}
