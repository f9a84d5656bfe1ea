// The ECU that `flash` and `read` talk to: one of the vehicle file, or any by its two identifiers.

import { InputError } from '../../core/errors.ts';
import { defined } from '../../core/optional.ts';
import { firstIssue } from '../../core/schema-issue.ts';
import type { Advice } from '../../drivers/advice.ts';
import type { OrderAuthority } from '../../drivers/secured-requester.ts';
import { readProfile } from '../../onboard/profiles.ts';
import { loadVehicle, withFd } from '../../onboard/vehicle-file.ts';
import { authorityOf, ecuWithSecret, secretsOf } from '../../onboard/vehicle-secrets.ts';
import { findEcu } from '../../vehicle/load.ts';
import { underProfile } from '../../vehicle/profile.ts';
import { STANDARD_PROGRAMMING } from '../../vehicle/programming-schema.ts';
import { ecuSchema, type Vehicle, type VehicleEcu } from '../../vehicle/schema.ts';
import { FIELD_OPTIONS, type FieldOptions, fieldsOf } from './field-options.ts';
import { adviceByFile, adviceByOptions, type TargetOptions } from './target-advice.ts';

const IDENTIFIERS = /^([0-9a-fA-F]{3}|[0-9a-fA-F]{8}):([0-9a-fA-F]{3}|[0-9a-fA-F]{8})$/;

/** Fields of an ECU that is known by its identifiers only: a file with addresses may go anywhere. */
const UNKNOWN_ECU = {
  memory: { address: 0x0800_0000, regions: [{ address: 0, size: 0xffff_ffff }] },
  security: { algorithm: 'none' },
};

export interface TargetEcu {
  readonly ecu: VehicleEcu;
  /** Undefined for an ECU that no vehicle file describes. */
  readonly vehicle: Vehicle | undefined;
  readonly advice: Advice;
  /** By which an ECU of ours takes orders; by --identity or --bench-keys. */
  readonly authority: OrderAuthority | undefined;
}

/** Throws InputError. `REQUEST:RESPONSE` has the widths of candump: 3 digits are 11 bit, 8 digits are 29 bit. */
export async function targetEcu(
  name: string,
  options: TargetOptions & FieldOptions,
): Promise<TargetEcu> {
  if (isIdentifiers(name)) {
    const ecu = ecuByIdentifiers(name, options);
    const advice = adviceByOptions(name, options);
    return { ecu, vehicle: undefined, advice, authority: undefined };
  }
  refuseStrays(name, options);
  const vehicle = await loadVehicle(options.vehicle, options.fd === true);
  const secrets = await secretsOf(options, vehicle);
  const described = findEcu(vehicle, name);
  const ecu = ecuWithSecret(described, secrets, options.benchKeys === true);
  const advice = adviceByFile(options, described);
  return { ecu, vehicle, advice, authority: authorityOf(secrets, name) };
}

/** Whether it names an ECU as REQUEST:RESPONSE. Throws InputError for anything else with a colon. */
export function isIdentifiers(name: string): boolean {
  if (IDENTIFIERS.test(name)) return true;
  if (!name.includes(':')) return false;
  throw new InputError(
    'ECU',
    `${name}: expected REQUEST:RESPONSE, like 7E0:7E8 or 18DA10F1:18DAF110`,
  );
}

/** Throws InputError for an option that only an ECU without a vehicle file has. */
export function refuseStrays(name: string, options: TargetOptions & FieldOptions): void {
  const strays = { address: '--address', hmacKey: '--hmac-key', xorKey: '--xor-key' } as const;
  const names = { ...strays, level: '--level', ...FIELD_OPTIONS };
  const given = (Object.keys(names) as (keyof typeof names)[]).filter(
    (option) => options[option] !== undefined,
  );
  const [first] = given;
  if (first === undefined) return;
  throw new InputError(
    names[first],
    `${name} is described in the vehicle file: change it there, or name REQUEST:RESPONSE`,
  );
}

/** An ECU of one bank that no vehicle file describes. Throws InputError. */
export function ecuByIdentifiers(name: string, options: TargetOptions & FieldOptions): VehicleEcu {
  const [, request = '', response = ''] = IDENTIFIERS.exec(name) ?? [];
  if (request.length !== response.length) {
    throw new InputError(
      'ECU',
      `${name}: both identifiers must have 11 bit (3 digits) or 29 bit (8 digits)`,
    );
  }
  const extended = request.length === 8;
  const profile =
    options.profile === undefined
      ? { programming: STANDARD_PROGRAMMING }
      : readProfile(options.profile, process.cwd());
  const { programming, ...given } = fieldsOf(options);
  const fields = {
    name: 'ECU',
    hardwareId: 'unknown',
    address: {
      mode: 'normal',
      request: Number.parseInt(request, 16),
      response: Number.parseInt(response, 16),
      ...defined({ functional: functionalOf(name, extended, options) }),
      extended,
    },
    memory: { ...defined({ address: options.address }), banks: 1 },
    ...defined({ security: securityOf(options) }),
    ...given,
    // Its hardware id is not known, so it cannot be compared.
    programming: { ...(programming as object), identify: 'skip' },
  };
  const parsed = ecuSchema.safeParse(underProfile(UNKNOWN_ECU, underProfile(profile, fields)));
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    throw new InputError('ECU', `${name}: ${issue.path.join('.')}: ${issue.message}`);
  }
  return options.fd === true ? withFd(parsed.data) : parsed.data;
}

/** Undefined: requests to all ECUs go to this one alone. */
function functionalOf(
  name: string,
  extended: boolean,
  { functional }: FieldOptions,
): number | undefined {
  if (functional === undefined) return extended ? 0x18db33f1 : 0x7df;
  if (functional === 'none') return undefined;
  if ((functional.length === 8) !== extended) {
    const width = extended ? '29 bit (8 digits)' : '11 bit (3 digits)';
    throw new InputError('--functional', `${functional}: ${name} has identifiers of ${width}`);
  }
  return Number.parseInt(functional, 16);
}

function securityOf({ hmacKey, xorKey, level }: TargetOptions): unknown {
  if (hmacKey !== undefined && xorKey !== undefined) {
    throw new InputError('--xor-key', 'give one of --hmac-key and --xor-key');
  }
  const common = defined({ level });
  if (hmacKey !== undefined) return { algorithm: 'hmac-sha256', secret: hmacKey, ...common };
  if (xorKey !== undefined) return { algorithm: 'xor', constant: xorKey, ...common };
  return undefined;
}
