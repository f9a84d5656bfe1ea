// Reads a vehicle description: YAML or JSON text in, a checked vehicle or an error with line and field out.

import { LineCounter, parseDocument } from 'yaml';
import { InputError } from '../core/errors.ts';
import { itemAt } from '../core/present.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { faultOfConditions } from './check-conditions.ts';
import { profileNames, withProfiles } from './profile.ts';
import { type Vehicle, type VehicleEcu, vehicleSchema } from './schema.ts';

/** The fields of a profile; throws InputError for a name that is none. */
export type ReadProfile = (name: string) => unknown;

const noProfiles: ReadProfile = (name) => {
  throw new InputError(name, 'profiles cannot be used here');
};

/** Throws InputError that names the file, the place, and what was expected. `where`: name of the file. */
export function parseVehicle(
  text: string,
  where: string,
  readProfile: ReadProfile = noProfiles,
): Vehicle {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const unreadable = document.errors[0];
  if (unreadable !== undefined) {
    const { line, col } = lines.linePos(unreadable.pos[0]);
    throw new InputError(
      `${where}:${line}:${col}`,
      `not readable as YAML: ${unreadable.message.split('\n')[0]}`,
    );
  }
  const written = plainValue(document, where);
  const profiles = new Map(profileNames(written).map((name) => [name, readProfile(name)]));
  const parsed = vehicleSchema.safeParse(withProfiles(written, profiles));
  /** Throws with the position of the field; a missing field has the position of its parent. */
  const refuse = (path: readonly PropertyKey[], message: string): never => {
    let offset: number | undefined;
    for (let depth = path.length; offset === undefined && depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth) as (string | number)[], true);
      offset = (node as { range?: number[] } | undefined)?.range?.[0];
    }
    const at = offset === undefined ? where : `${where}:${lines.linePos(offset).line}`;
    throw new InputError(at, `${fieldPath(path)}: ${message}`);
  };
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    return refuse(issue.path, issue.message);
  }
  refuseSeveralBuses(parsed.data, refuse);
  checkReferences(parsed.data, where);
  const fault = faultOfConditions(parsed.data);
  return fault === undefined ? parsed.data : refuse(fault.path, fault.message);
}

/** The parser refuses more than 50 aliases: a few bytes of nested ones could become gigabytes. */
function plainValue(document: ReturnType<typeof parseDocument>, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw new InputError(where, 'aliases are broken or too many', { cause: error });
  }
}

function fieldPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'the whole file';
  return path
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`,
    )
    .join('');
}

/** Every command opens one bus. A request to an ECU of another bus could reach a different ECU on this one. */
function refuseSeveralBuses(
  { buses }: Vehicle,
  refuse: (path: readonly PropertyKey[], message: string) => never,
): void {
  const [first, second] = Object.keys(buses);
  if (second === undefined) return;
  refuse(
    ['buses', second],
    `a vehicle with several buses is not supported yet, and this is the second one after "${first}": ` +
      'leave the ECUs of one bus in this file; flash and read take another file for those of another bus',
  );
}

/** Checks that a schema cannot express: names that exist, identifiers that are used once, an order without cycles. */
function checkReferences(vehicle: Vehicle, where: string): void {
  const names = new Set<string>();
  const users = new Map<string, string>();
  const functionalUsers = new Map<string, string>();
  for (const ecu of vehicle.ecus) {
    if (names.has(ecu.name))
      throw new InputError(where, `two ECUs are named ${ecu.name}: give one another name`);
    names.add(ecu.name);
    if (ecu.bus !== undefined && vehicle.buses[ecu.bus] === undefined) {
      throw new InputError(
        where,
        `${ecu.name} is on bus "${ecu.bus}", but buses has only ${Object.keys(vehicle.buses).join(', ')}`,
      );
    }
    const bus = busOf(vehicle, ecu);
    for (const [kind, id] of physicalIds(ecu)) {
      const key = `${bus} ${id}`;
      const other = users.get(key);
      if (other !== undefined) {
        throw new InputError(
          where,
          `${ecu.name} and ${other} both use identifier ${id} (${kind} of ${ecu.name}): every physical identifier must be used once on a bus`,
        );
      }
      users.set(key, ecu.name);
    }
    const functional = functionalIdOf(ecu);
    if (functional !== undefined) functionalUsers.set(`${bus} ${functional}`, ecu.name);
  }
  for (const [key, ecu] of functionalUsers) {
    const other = users.get(key);
    if (other !== undefined) {
      throw new InputError(
        where,
        `the functional identifier ${key.split(' ')[1]} of ${ecu} is a physical identifier of ${other}`,
      );
    }
  }
  for (const ecu of vehicle.ecus) {
    for (const name of ecu.dependsOn) {
      if (!names.has(name))
        throw new InputError(where, `${ecu.name} depends on ${name}, which is not in ecus`);
    }
  }
  if (vehicle.approval !== undefined && !names.has(vehicle.approval.ecu)) {
    throw new InputError(where, `approval.ecu is ${vehicle.approval.ecu}, which is not in ecus`);
  }
  activationOrder(vehicle, where);
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

/** The bus that an ECU is on. */
export function busOf(vehicle: Vehicle, ecu: VehicleEcu): string {
  return ecu.bus ?? itemAt(Object.keys(vehicle.buses), 0);
}

/** Throws InputError that lists the existing names. */
export function findEcu(vehicle: Vehicle, name: string): VehicleEcu {
  const ecu = vehicle.ecus.find((candidate) => candidate.name === name);
  if (ecu === undefined) {
    throw new InputError(
      'ECU',
      `${name} is not in the vehicle file, which has ${vehicle.ecus.map((e) => e.name).join(', ')}`,
    );
  }
  return ecu;
}

/** ECUs in the order of activation: by `order`, dependencies first. Throws InputError on a cycle. */
export function activationOrder(vehicle: Vehicle, where = 'vehicle'): VehicleEcu[] {
  const left = [...vehicle.ecus].sort((a, b) => a.order - b.order);
  const done: VehicleEcu[] = [];
  while (left.length > 0) {
    const index = left.findIndex((ecu) =>
      ecu.dependsOn.every((name) => done.some((other) => other.name === name)),
    );
    if (index < 0) {
      throw new InputError(
        where,
        `dependsOn goes in a circle: ${left.map((ecu) => ecu.name).join(', ')}`,
      );
    }
    done.push(...left.splice(index, 1));
  }
  return done;
}
