// What a person can do when the ECU of `flash` or `read` fails, in the words of the options of that call.

import { type Advice, vehicleFileAdvice } from '../../drivers/advice.ts';
import { benchVehicleFile } from '../../onboard/vehicle-file.ts';
import type { SecretOptions } from '../../onboard/vehicle-secrets.ts';
import { isShippedSecret } from '../../trust/bench-keys.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import { algorithmOf, usesProvisionedKey } from '../../vehicle/security/all.ts';

export interface TargetOptions extends SecretOptions {
  readonly vehicle?: string;
  readonly fd?: boolean;
  readonly address?: number;
  /** Name of a profile of this package, or a file. */
  readonly profile?: string;
  readonly hmacKey?: string;
  readonly xorKey?: string;
  readonly level?: number;
}

/** For an ECU of a vehicle file, as the file has it. */
export function adviceByFile(options: TargetOptions, described: VehicleEcu): Advice {
  const file = options.vehicle ?? benchVehicleFile;
  const security = securityOf(options, described, file);
  const about: Advice['about'] = (topic, ecu) => {
    switch (topic) {
      case 'security':
        return security;
      case 'security-delay':
        return `too many wrong keys: wait for its delay, then ${security}`;
      case 'no-key':
        return `${file} has no security.secret for ${ecu.name}: give --identity with the identity.json that can-ota provision wrote, or --bench-keys on a bench`;
      case 'no-authority':
        return 'give --identity with the identity.json that can-ota provision wrote, or --bench-keys on a bench';
      case 'no-previous-image':
        return 'run the command again, with this image or the previous one';
      default:
        return vehicleFileAdvice.about(topic, ecu);
    }
  };
  return { about, field: (name) => `${name} in ${file}` };
}

/** Advice about a failed security access, by the source of the secret. */
function securityOf({ identity, benchKeys }: TargetOptions, ecu: VehicleEcu, file: string): string {
  const { security } = ecu;
  const inFile = `in the vehicle file ${file}`;
  if (security.algorithm === 'none') return `describe its security access (security) ${inFile}`;
  if (usesProvisionedKey(security)) {
    const { secret } = security;
    if (benchKeys === true && (secret === undefined || isShippedSecret(secret))) {
      return 'it does not have the keys of the bench: one that was provisioned needs --identity, and a vehicle file without security.secret';
    }
    if (secret === undefined) {
      return identity === undefined
        ? 'give --identity with the identity.json of its provisioning'
        : `check that ${identity} (--identity) is the one of its last provisioning`;
    }
  }
  return `check security.level and ${algorithmOf(security).decisive} ${inFile}`;
}

/** Options that set a field of an ECU that is named by its identifiers. */
const OPTION_OF: Readonly<Record<string, string>> = {
  'timing.p2Ms': '--p2',
  'timing.p2StarMs': '--p2-star',
  'timing.resetMs': '--reset-time',
  'transport.padding': '--padding',
  'programming.maxBlockLength': '--block-length',
  'programming.segments': '--segments',
};

/** For an ECU that is named by its identifiers: no vehicle file says anything of it. */
export function adviceByOptions(
  name: string,
  { hmacKey, xorKey }: Pick<TargetOptions, 'hmacKey' | 'xorKey'>,
): Advice {
  const key = hmacKey !== undefined ? '--hmac-key' : xorKey !== undefined ? '--xor-key' : undefined;
  const security =
    key === undefined
      ? 'it wants to be unlocked: give --hmac-key or --xor-key, and --level'
      : `check ${key} and --level`;
  const about: Advice['about'] = (topic) => {
    switch (topic) {
      case 'silent':
        return `check power, wiring, bit rate, and that ${name} are its identifiers (REQUEST:RESPONSE); for an ECU that needs more time give --p2`;
      case 'restart':
        return 'it may be booting in a loop, or need more time';
      case 'security-delay':
        return `too many wrong keys: wait for its delay, then ${security}`;
      case 'security':
      case 'no-key':
        return security;
      case 'no-authority':
        return 'name it by its vehicle file (--vehicle), with --identity';
      case 'no-previous-image':
        return 'run the command again, with this image or the previous one';
    }
  };
  const field: Advice['field'] = (path) =>
    OPTION_OF[path] ?? `${path} of a vehicle file, see --vehicle`;
  return { about, field };
}
