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
export async function targetEcu(name: string, options: TargetOptions): Promise<TargetEcu> {
  const match = IDENTIFIERS.exec(name);
  if (match === null) {
    if (name.includes(':')) {
      throw new InputError(
        'ECU',
        `${name}: expected REQUEST:RESPONSE, like 7E0:7E8 or 18DA10F1:18DAF110`,
      );
    }
    const strays = ['address', 'hmacKey', 'xorKey', 'level'] as const;
    if (strays.some((option) => options[option] !== undefined)) {
      throw new InputError(
        'ECU',
        `${name} is described in the vehicle file: change it there, or name REQUEST:RESPONSE`,
      );
    }
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    const secrets = await secretsOf(options, vehicle);
    const described = findEcu(vehicle, name);
    const ecu = ecuWithSecret(described, secrets, options.benchKeys === true);
    const advice = adviceByFile(options, described);
    return { ecu, vehicle, advice, authority: authorityOf(secrets, name) };
  }
  const [, request, response] = match as unknown as [string, string, string];
  if (request.length !== response.length) {
    throw new InputError(
      'ECU',
      `${name}: both identifiers must have 11 bit (3 digits) or 29 bit (8 digits)`,
    );
  }
  const extended = request.length === 8;
  const functional = extended ? 0x18db33f1 : 0x7df;
  const profile =
    options.profile === undefined
      ? { programming: STANDARD_PROGRAMMING }
      : readProfile(options.profile, process.cwd());
  const fields = {
    name: 'ECU',
    hardwareId: 'unknown',
    address: {
      mode: 'normal',
      request: Number.parseInt(request, 16),
      response: Number.parseInt(response, 16),
      functional,
      extended,
    },
    memory: { ...defined({ address: options.address }), banks: 1 },
    ...defined({ security: securityOf(options) }),
    // Its hardware id is not known, so it cannot be compared.
    programming: { identify: 'skip' },
  };
  const parsed = ecuSchema.safeParse(underProfile(UNKNOWN_ECU, underProfile(profile, fields)));
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    throw new InputError('ECU', `${name}: ${issue.path.join('.')}: ${issue.message}`);
  }
  const ecu = options.fd === true ? withFd(parsed.data) : parsed.data;
  const advice = adviceByOptions(name, options);
  return { ecu, vehicle: undefined, advice, authority: undefined };
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
