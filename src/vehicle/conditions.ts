// The vehicle's conditions in compiled form: which signals they need, whether they hold, and what to tell the driver.

import { assertNever } from '../core/errors.ts';
import { present } from '../core/present.ts';
import type { VehicleSignal } from './condition-schema.ts';
import { clockText, parseExpression } from './expression.ts';
import { type Condition, checkExpression, type NameType, type Scope } from './expression-check.ts';
import { unitOf } from './quantity.ts';
import type { ConditionGate, ConditionRule, Vehicle } from './schema.ts';
import { type SignalReading, signalText } from './signals.ts';

/** Names besides signals that conditions may use. */
export const CONDITION_VARIABLES: Readonly<Record<string, NameType>> = {
  /** Duration of the update, and duration of a rollback. */
  update: { kind: 'quantity', unit: unitOf('s') },
  rollback: { kind: 'quantity', unit: unitOf('s') },
  /** Local time of day. */
  time: { kind: 'clock' },
};

interface ConditionInputs {
  readonly updateSeconds: number;
  readonly rollbackSeconds: number;
  /** Local time of the vehicle in minutes since midnight. */
  readonly localMinutes: number;
  /** Readings of all signals that the condition needs. */
  readonly signals: ReadonlyMap<string, SignalReading>;
}

export interface CompiledCondition {
  readonly rule: ConditionRule;
  /** Names of the signals that have to be read. */
  readonly signals: readonly string[];
  /** Undefined when the condition holds, otherwise what is wrong and what to do; also for a signal that cannot be read. */
  problem(inputs: ConditionInputs): string | undefined;
}

/** Throws ExpressionError. */
export function compileCondition(
  rule: ConditionRule,
  signals: Vehicle['signals'],
): CompiledCondition {
  const condition = checkExpression(parseExpression(rule.require), scopeOf(signals));
  return {
    rule,
    signals: condition.names.filter((name) => Object.hasOwn(signals, name)),
    problem: (inputs) => problemOf(rule, condition, signals, inputs),
  };
}

/** The conditions of a gate. Throws ExpressionError. */
export function conditionsAt(vehicle: Vehicle, gate: ConditionGate): readonly CompiledCondition[] {
  return vehicle.conditions
    .filter(({ gates }) => gates.includes(gate))
    .map((rule) => compileCondition(rule, vehicle.signals));
}

function scopeOf(signals: Vehicle['signals']): Scope {
  const types = Object.entries(signals).map(([name, signal]) => [name, typeOf(signal)] as const);
  return new Map([...Object.entries(CONDITION_VARIABLES), ...types]);
}

function typeOf({ unit, values }: VehicleSignal): NameType {
  return values === undefined
    ? { kind: 'quantity', unit: unitOf(unit) }
    : { kind: 'choice', values: [...new Set(Object.values(values))] };
}

function problemOf(
  rule: ConditionRule,
  condition: Condition,
  signals: Vehicle['signals'],
  inputs: ConditionInputs,
): string | undefined {
  const values = new Map<string, number | string>([
    ['update', inputs.updateSeconds],
    ['rollback', inputs.rollbackSeconds],
    ['time', inputs.localMinutes],
  ]);
  const say = rule.say === '' ? '' : `${rule.say} `;
  for (const name of condition.names) {
    if (!Object.hasOwn(signals, name)) continue;
    const reading = inputs.signals.get(name);
    if (reading?.ok === true) {
      values.set(name, reading.value);
      continue;
    }
    // Fails closed: a missing reading never starts an update.
    const reason = reading?.reason ?? 'it was not read';
    return `${say}(${rule.name}: ${name} cannot be read: ${reason})`;
  }
  const truth = condition.evaluate(values);
  if (truth.ok && truth.holds) return undefined;
  const facts = condition.names.map((name) =>
    factText(name, present(values.get(name), `the value of ${name}`), signals),
  );
  const what = truth.ok ? '' : `${truth.reason}; `;
  const seen = facts.length === 0 ? '' : `; ${facts.join(', ')}`;
  return `${say}(${rule.name}: ${what}required is ${rule.require}${seen})`;
}

/** `speed is 50 km/h` */
function factText(name: string, value: number | string, signals: Vehicle['signals']): string {
  const signal = Object.hasOwn(signals, name) ? signals[name] : undefined;
  if (signal !== undefined) return `${name} is ${signalText(signal, value)}`;
  const type = present(CONDITION_VARIABLES[name], `condition variable ${name}`);
  switch (type.kind) {
    case 'quantity':
      return `${name} is ${value} ${type.unit.text}`;
    case 'clock':
      return `${name} is ${clockText(Number(value))}`;
    case 'choice':
      return `${name} is ${value}`;
    default:
      return assertNever(type);
  }
}
