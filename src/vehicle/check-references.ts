// Whether the ECUs of a vehicle file fit together: names that exist, identifiers that are used once, an order without circles.

import { itemAt } from '../core/present.ts';
import type { VehicleFault } from './check-conditions.ts';
import { closestHint, closestName } from './closest-name.ts';
import type { Vehicle, VehicleEcu } from './schema.ts';

/** The first mistake; undefined when there is none. */
export function faultOfReferences(vehicle: Vehicle): VehicleFault | undefined {
  return (
    faultOfNames(vehicle) ??
    faultOfIdentifiers(vehicle) ??
    faultOfDependencies(vehicle) ??
    faultOfApproval(vehicle) ??
    faultOfOrder(vehicle)
  );
}

/** The bus that an ECU is on. */
export function busOf(vehicle: Vehicle, ecu: VehicleEcu): string {
  return ecu.bus ?? itemAt(Object.keys(vehicle.buses), 0);
}

/** ECUs in the order of activation: by `order`, dependencies first; `left` are those in a circle. */
export function orderOf(vehicle: Vehicle): { done: VehicleEcu[]; left: VehicleEcu[] } {
  const left = [...vehicle.ecus].sort((a, b) => a.order - b.order);
  const done: VehicleEcu[] = [];
  for (;;) {
    const index = left.findIndex((ecu) =>
      ecu.dependsOn.every((name) => done.some((other) => other.name === name)),
    );
    if (index < 0) return { done, left };
    done.push(...left.splice(index, 1));
  }
}

function faultOfNames({ ecus, buses }: Vehicle): VehicleFault | undefined {
  const names = new Set<string>();
  for (const [index, { name, bus }] of ecus.entries()) {
    if (names.has(name)) {
      return {
        path: ['ecus', index, 'name'],
        message: `two ECUs are named ${name}: give one another name`,
      };
    }
    names.add(name);
    if (bus !== undefined && buses[bus] === undefined) {
      const known = Object.keys(buses);
      return {
        path: ['ecus', index, 'bus'],
        message: `${name} is on bus "${bus}", but buses has only ${known.join(', ')}${closestHint(bus, known)}`,
      };
    }
  }
  return undefined;
}

function faultOfIdentifiers(vehicle: Vehicle): VehicleFault | undefined {
  const users = new Map<string, string>();
  for (const [index, ecu] of vehicle.ecus.entries()) {
    const bus = busOf(vehicle, ecu);
    for (const [kind, id] of physicalIds(ecu)) {
      const key = `${bus} ${id}`;
      const other = users.get(key);
      if (other !== undefined) {
        return {
          path: ['ecus', index, 'address', kind],
          message: `${ecu.name} and ${other} both use identifier ${id} (${kind} of ${ecu.name}): every physical identifier must be used once on a bus`,
        };
      }
      users.set(key, ecu.name);
    }
  }
  for (const [index, ecu] of vehicle.ecus.entries()) {
    const functional = functionalIdOf(ecu);
    const other = users.get(`${busOf(vehicle, ecu)} ${functional}`);
    if (other !== undefined) {
      return {
        path: ['ecus', index, 'address', 'functional'],
        message: `the functional identifier ${functional} of ${ecu.name} is a physical identifier of ${other}`,
      };
    }
  }
  return undefined;
}

function faultOfDependencies({ ecus }: Vehicle): VehicleFault | undefined {
  const names = ecus.map(({ name }) => name);
  for (const [index, { name, dependsOn }] of ecus.entries()) {
    for (const [place, other] of dependsOn.entries()) {
      if (names.includes(other)) continue;
      return {
        path: ['ecus', index, 'dependsOn', place],
        message: `${name} depends on ${other}, which is not in ecus${closestName(other, names)}`,
      };
    }
  }
  return undefined;
}

function faultOfApproval({ approval, ecus }: Vehicle): VehicleFault | undefined {
  const names = ecus.map(({ name }) => name);
  if (approval === undefined || names.includes(approval.ecu)) return undefined;
  return {
    path: ['approval', 'ecu'],
    message: `approval.ecu is ${approval.ecu}, which is not in ecus${closestName(approval.ecu, names)}`,
  };
}

function faultOfOrder(vehicle: Vehicle): VehicleFault | undefined {
  const { left } = orderOf(vehicle);
  const [first] = left;
  if (first === undefined) return undefined;
  return {
    path: ['ecus', vehicle.ecus.indexOf(first), 'dependsOn'],
    message: circleText(left),
  };
}

export function circleText(left: readonly VehicleEcu[]): string {
  return `dependsOn goes in a circle: ${left.map((ecu) => ecu.name).join(', ')}`;
}

/** `7E0`, `18DA40F1`, or with the address byte that distinguishes ECUs on one identifier: `700/40`. */
function physicalIds(ecu: VehicleEcu): [kind: string, id: string][] {
  const a = ecu.address;
  if (a.mode === 'normal-fixed') {
    const pair = [a.ecu, a.tester].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase());
    return [
      ['request', `18DA${pair[0]}${pair[1]}`],
      ['response', `18DA${pair[1]}${pair[0]}`],
    ];
  }
  const request = idText(a.request, a.extended);
  const response = idText(a.response, a.extended);
  switch (a.mode) {
    case 'normal':
      return [
        ['request', request],
        ['response', response],
      ];
    case 'extended':
      return [
        ['request', `${request}/${a.ecu.toString(16)}`],
        ['response', `${response}/${a.tester.toString(16)}`],
      ];
    case 'mixed':
      return [
        ['request', `${request}/${a.extension.toString(16)}`],
        ['response', `${response}/${a.extension.toString(16)}`],
      ];
  }
}

function functionalIdOf(ecu: VehicleEcu): string | undefined {
  const a = ecu.address;
  if (a.mode === 'normal-fixed') return undefined; // 18DB.... can never be a physical 18DA....
  return a.mode === 'normal' && a.functional !== undefined
    ? idText(a.functional, a.extended)
    : undefined;
}

function idText(id: number, extended: boolean): string {
  return id
    .toString(16)
    .toUpperCase()
    .padStart(extended ? 8 : 3, '0');
}
