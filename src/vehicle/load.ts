// Reads a vehicle description: YAML or JSON text in, a checked vehicle or an error with line and field out.

import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { InputError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import { faultOfBoards } from './check-boards.ts';
import { faultOfConditions } from './check-conditions.ts';
import { circleText, faultOfReferences, orderOf } from './check-references.ts';
import { closestHint } from './closest-name.ts';
import { profileNames, withProfiles } from './profile.ts';
import { type Vehicle, type VehicleEcu, vehicleSchema } from './schema.ts';
import { type SchemaFault, schemaFault } from './schema-fault.ts';

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
  const refuse = ({ path, message, isName = false }: SchemaFault): never => {
    const offset = placeOf(document, path, isName);
    const at = offset === undefined ? where : `${where}:${lines.linePos(offset).line}`;
    throw new InputError(at, `${fieldPath(path)}: ${message}`);
  };
  const written = plainValue(document, where);
  const profiles = new Map(profileNames(written).map((name) => [name, readProfile(name)]));
  const value = withProfiles(written, profiles);
  const parsed = vehicleSchema.safeParse(value);
  if (!parsed.success) {
    const [first, ...others] = parsed.error.issues;
    return refuse(
      schemaFault(vehicleSchema, [present(first, 'the issue of a schema error'), ...others], value),
    );
  }
  const fault =
    faultOfBuses(parsed.data) ??
    faultOfReferences(parsed.data) ??
    faultOfBoards(parsed.data) ??
    faultOfConditions(parsed.data);
  return fault === undefined ? parsed.data : refuse(fault);
}

/** Position of a field in the file; a missing field has the position of its parent. */
function placeOf(
  document: ReturnType<typeof parseDocument>,
  path: readonly PropertyKey[],
  isName: boolean,
): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node)
      ? node.items.find(({ key }) => nameOf(key) === String(step))
      : undefined;
    const key = pair?.key;
    node = isSeq(node) ? node.items[Number(step)] : pair?.value;
    if (isName && depth === path.length - 1 && isNode(key)) return key.range?.[0] ?? offset;
    if (!isNode(node)) {
      // A name without a value.
      return isNode(key) ? (key.range?.[0] ?? offset) : offset;
    }
    offset = node.range?.[0] ?? offset;
  }
  return offset;
}

function nameOf(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
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
function faultOfBuses({ buses }: Vehicle): SchemaFault | undefined {
  const [first, second] = Object.keys(buses);
  if (second === undefined) return undefined;
  return {
    path: ['buses', second],
    message:
      `a vehicle with several buses is not supported yet, and this is the second one after "${first}": ` +
      'leave the ECUs of one bus in this file; flash and read take another file for those of another bus',
  };
}

/** Throws InputError that lists the existing names. */
export function findEcu(vehicle: Vehicle, name: string): VehicleEcu {
  const ecu = vehicle.ecus.find((candidate) => candidate.name === name);
  if (ecu === undefined) {
    const names = vehicle.ecus.map((known) => known.name);
    throw new InputError(
      'ECU',
      `${name} is not in the vehicle file, which has ${names.join(', ')}${closestHint(name, names)}`,
    );
  }
  return ecu;
}

/** ECUs in the order of activation: by `order`, dependencies first. Throws InputError on a circle. */
export function activationOrder(vehicle: Vehicle, where = 'vehicle'): VehicleEcu[] {
  const { done, left } = orderOf(vehicle);
  if (left.length > 0) throw new InputError(where, circleText(left));
  return done;
}
