// Checks that a schema cannot express: whether signals, conditions and policy of a vehicle file fit together.

import { hexNumber } from '../core/bytes.ts';
import { closestHint } from './closest-name.ts';
import type { VehicleSignal } from './condition-schema.ts';
import { CONDITION_VARIABLES, compileCondition } from './conditions.ts';
import { ExpressionError, isReservedWord } from './expression-tokens.ts';
import type { Vehicle } from './schema.ts';
import { rawRange } from './signals.ts';

/** A mistake with its place in the file. */
export interface VehicleFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The first mistake, or undefined. */
export function faultOfConditions(vehicle: Vehicle): VehicleFault | undefined {
  for (const [name, signal] of Object.entries(vehicle.signals)) {
    const fault = faultOfSignal(name, signal, vehicle);
    if (fault !== undefined) return fault;
  }
  const names = new Set<string>();
  for (const [index, rule] of vehicle.conditions.entries()) {
    if (names.has(rule.name)) {
      return {
        path: ['conditions', index, 'name'],
        message: `two conditions are named ${rule.name}: give one another name`,
      };
    }
    names.add(rule.name);
    try {
      compileCondition(rule, vehicle.signals);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      return {
        path: ['conditions', index, 'require'],
        message: `${rule.name}, ${error.message}, in ${JSON.stringify(rule.require)}`,
      };
    }
  }
  for (const phase of ['download', 'activate'] as const) {
    // `install` asks by default; in a vehicle without a driver's console the author of the file approves.
    if (vehicle.policy.approval[phase] === 'ask' && vehicle.approval === undefined) {
      return {
        path: ['policy', 'approval', phase],
        message: 'asks the driver, but the file has no approval.ecu that could ask',
      };
    }
  }
  return undefined;
}

function faultOfSignal(
  name: string,
  signal: VehicleSignal,
  vehicle: Vehicle,
): VehicleFault | undefined {
  const at = (field: string, message: string): VehicleFault => ({
    path: ['signals', name, field],
    message,
  });
  if (isReservedWord(name) || Object.hasOwn(CONDITION_VARIABLES, name)) {
    return {
      path: ['signals', name],
      message: `${name} has a fixed meaning in conditions: give the signal another name`,
    };
  }
  const names = vehicle.ecus.map((ecu) => ecu.name);
  if (!names.includes(signal.ecu)) {
    return at(
      'ecu',
      `${signal.ecu} is not in ecus, which has ${names.join(', ')}${closestHint(signal.ecu, names)}`,
    );
  }
  const { least, most } = rawRange(signal);
  const fits = (raw: number): boolean => raw >= least && raw <= most;
  const raws = Object.keys(signal.values ?? {}).map(Number);
  const odd = raws.find((raw) => !fits(raw));
  if (odd !== undefined) {
    return at('values', `${odd} does not fit into ${signal.length} bytes (${least} to ${most})`);
  }
  if (signal.notAvailable !== undefined && !fits(signal.notAvailable)) {
    return at(
      'notAvailable',
      `${hexNumber(Math.abs(signal.notAvailable), 2)} does not fit into ${signal.length} bytes (${least} to ${most})`,
    );
  }
  const taken = Object.values(signal.values ?? {}).find(
    (value) =>
      isReservedWord(value) ||
      Object.hasOwn(CONDITION_VARIABLES, value) ||
      Object.hasOwn(vehicle.signals, value),
  );
  return taken === undefined
    ? undefined
    : at('values', `${taken} is already a name in conditions: give the value another name`);
}
