// A profile: fields that ECUs of one make have in common, under the fields that the vehicle file gives of one ECU.

type Fields = Readonly<Record<string, unknown>>;

/** Fields that say which other fields there are. */
const KINDS = ['mode', 'algorithm'] as const;

/** What the vehicle file says of the ECU wins; objects are joined field by field, lists and values are replaced. */
export function underProfile(profile: unknown, fields: unknown): unknown {
  if (!isFields(profile)) return fields ?? profile;
  if (fields === undefined) return profile;
  if (!isFields(fields)) return fields;
  // Another address mode or algorithm has other fields.
  if (KINDS.some((kind) => kind in profile && kind in fields && profile[kind] !== fields[kind])) {
    return fields;
  }
  const names = new Set([...Object.keys(profile), ...Object.keys(fields)]);
  return Object.fromEntries(
    [...names].map((name) => [name, underProfile(profile[name], fields[name])]),
  );
}

/** Names of the profiles that the ECUs of a vehicle file name; anything else is left to the schema. */
export function profileNames(vehicle: unknown): string[] {
  if (!isFields(vehicle) || !Array.isArray(vehicle.ecus)) return [];
  return vehicle.ecus.flatMap((ecu) =>
    isFields(ecu) && typeof ecu.profile === 'string' ? [ecu.profile] : [],
  );
}

/** The vehicle file with the fields of all profiles filled in. */
export function withProfiles(vehicle: unknown, profiles: ReadonlyMap<string, unknown>): unknown {
  if (!isFields(vehicle) || !Array.isArray(vehicle.ecus)) return vehicle;
  const ecus = vehicle.ecus.map((ecu) =>
    isFields(ecu) && typeof ecu.profile === 'string'
      ? underProfile(profiles.get(ecu.profile), ecu)
      : ecu,
  );
  return { ...vehicle, ecus };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
