// `can-ota server token ...` and `server device ...`: programs and devices that may use a backend.

import path from 'node:path';
import { deviceJson, twinText } from '../../../server/features/registry/routes.ts';
import { tokenExpiryOf } from '../../../server/features/registry/token-expiry.ts';
import {
  addToken,
  listDevices,
  listTokens,
  listTwins,
  removeToken,
  reopenDevice,
  setDeviceStatus,
} from '../../../server/features/registry/tool-commands.ts';
import type { RegisteredDevice } from '../../../server/platform/auth/identity.ts';
import { systemClock } from '../../core/clock.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { createSecretFile } from '../../core/secret-file.ts';
import { stageText } from '../../trust/expiry-stage.ts';
import { type CommonOptions, runCommand } from '../context.ts';

interface DataOptions extends CommonOptions {
  readonly data: string;
}

interface TokenOptions extends DataOptions {
  readonly role?: string;
  readonly remove?: boolean;
  readonly list?: boolean;
  readonly out?: string;
  readonly days: number;
}

/** Prints a new token as the only line of standard output, or writes it to a new file that only its owner can read. */
export function token(name: string | undefined, options: TokenOptions): Promise<void> {
  return runCommand(options, async (context) => {
    if (options.list === true) {
      for (const token of await listTokens(options.data)) {
        const { name: known, role, createdAt, expiresAt = null, usedAt = null } = token;
        const left = tokenExpiryOf(token, systemClock.wallMs());
        const { daysLeft = null, stage = null } = left ?? {};
        context.emit({ name: known, role, createdAt, expiresAt, usedAt, daysLeft, stage });
        const until =
          left === undefined
            ? 'does not expire'
            : `expires ${left.expires} (${stageText(left.expiresMs, systemClock.wallMs())})`;
        const use = usedAt === null ? 'never used' : `used ${usedAt}`;
        context.say(`${known}\t${role}\tcreated ${createdAt}\t${until}\t${use}`);
      }
      return ExitCode.success;
    }
    if (name === undefined) throw new InputError('name', 'which token? Or --list to see them');
    if (options.remove === true) {
      await removeToken(options.data, name);
      context.emit({ removed: name });
      context.say(`${name} is removed; its next request is refused`);
      return ExitCode.success;
    }
    if (options.role === undefined) {
      throw new InputError(
        '--role',
        'what is the token for: factory, release, director or operator?',
      );
    }
    const { role, out, days } = options;
    const made = await addToken(options.data, name, role, { lifeDays: days });
    if (out === undefined) {
      context.emit({ name, role, token: made });
      context.say(made);
      return ExitCode.success;
    }
    try {
      await createSecretFile(path.resolve(out), `${made}\n`, '--out');
    } catch (error) {
      await removeToken(options.data, name); // the token has not been shown
      throw error;
    }
    context.emit({ name, role, file: out });
    context.say(`the token ${name} is in ${out}`);
    return ExitCode.success;
  });
}

export function devices(options: DataOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const all = await listDevices(options.data);
    const twins = await listTwins(options.data);
    for (const device of all) {
      const twin = twins.get(device.serial);
      context.emit({ ...deviceJson(device), twin: twin ?? null });
      context.say(line(device));
      if (twin !== undefined) context.say(`  ${twinText(twin)}`);
    }
    if (all.length === 0) context.say('no device yet: can-ota provision registers them');
    return ExitCode.success;
  });
}

export function setDevice(
  serial: string,
  status: 'active' | 'revoked',
  options: DataOptions,
): Promise<void> {
  return runCommand(options, async (context) => {
    const device = await setDeviceStatus(options.data, serial, status);
    context.emit(deviceJson(device));
    context.say(line(device));
    return ExitCode.success;
  });
}

export function reopen(serial: string, options: DataOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const device = await reopenDevice(options.data, serial);
    context.emit(deviceJson(device));
    context.say(line(device));
    context.say(
      'Its old keys are refused from now on. Next: can-ota provision, or can-ota device enroll --hw-id',
    );
    return ExitCode.success;
  });
}

function line(device: RegisteredDevice): string {
  const { serial, status, vin, name, hardwareId, hwId } = device;
  return [serial, status, vin ?? '-', name ?? '-', hardwareId ?? '-', hwId].join('\t');
}
