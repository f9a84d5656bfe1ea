// Conditions and their values for tests.

import { parseExpression } from '../../src/vehicle/expression.ts';
import { checkExpression, type NameType, type Values } from '../../src/vehicle/expression-check.ts';
import { unitOf } from '../../src/vehicle/quantity.ts';

export const scope = new Map<string, NameType>([
  ['speed', { kind: 'quantity', unit: unitOf('km/h') }],
  ['battery', { kind: 'quantity', unit: unitOf('V') }],
  ['cell', { kind: 'quantity', unit: unitOf('mV') }],
  ['temperature', { kind: 'quantity', unit: unitOf('degC') }],
  ['doors', { kind: 'quantity', unit: unitOf(undefined) }],
  ['update', { kind: 'quantity', unit: unitOf('s') }],
  ['rollback', { kind: 'quantity', unit: unitOf('s') }],
  ['time', { kind: 'clock' }],
  ['gear', { kind: 'choice', values: ['park', 'reverse', 'neutral', 'drive'] }],
  ['ignition', { kind: 'choice', values: ['off', 'on'] }],
]);
export const usual: Values = new Map<string, number | string>([
  ['speed', 0],
  ['battery', 12.6],
  ['cell', 3700],
  ['temperature', -5],
  ['doors', 0],
  ['update', 1800],
  ['rollback', 900],
  ['time', 23 * 60],
  ['gear', 'park'],
  ['ignition', 'on'],
]);

export const check = (text: string) => checkExpression(parseExpression(text), scope);
export const holds = (text: string, changes: Record<string, number | string> = {}) =>
  check(text).evaluate(new Map([...usual, ...Object.entries(changes)]));
export const YES = { ok: true, holds: true };
