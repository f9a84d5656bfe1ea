// `can-ota provision`: the factory tool on a real bus and a real registry.

import { fromHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { lockFolder } from '../../core/lock.ts';
import { itemAt } from '../../core/present.ts';
import { systemRandom } from '../../core/random.ts';
import { readSecretLine } from '../../core/secret-file.ts';
import { DiskStorage } from '../../core/storage.ts';
import { formatBytes } from '../../core/units.ts';
import { type ImageOption, openFirstImages } from '../../factory/first-images.ts';
import {
  type ProvisionEvent,
  type ProvisionOutcome,
  provisionVehicle,
} from '../../factory/provision.ts';
import { HttpRegistry } from '../../factory/registry.ts';
import { readAnchors } from '../../factory/trust-anchors.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { openTesterBus, type TesterOptions } from '../../onboard/bus.ts';
import { readDeviceId, Testers } from '../../onboard/factory-bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import { isShippedSecret } from '../../trust/bench-keys.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { usesProvisionedKey } from '../../vehicle/security/all.ts';
import { type CommonOptions, runCommand } from '../context.ts';

interface ProvisionOptions extends CommonOptions, TesterOptions, NetworkOptions {
  readonly server: string;
  readonly tokenFile: string;
  readonly trust: string;
  readonly stateDir: string;
  readonly deviceFile?: string;
  readonly factoryKey?: string;
  readonly image: readonly ImageOption[];
  readonly vehicle?: string;
}

export function provision(names: readonly string[], options: ProvisionOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    refuseShippedSecrets(vehicle);
    for (const name of names) findEcu(vehicle, name);
    const chosen = names.length > 0 ? [...new Set(names)] : vehicle.ecus.map(({ name }) => name);
    await using images = await openFirstImages(options.image, vehicle, chosen);
    for (const text of images.notes) report({ kind: 'note', text }, context);
    const token = await readSecretLine(options.tokenFile, '--token-file');
    const factoryKey = await readFactoryKey(options.factoryKey);
    const anchors = await readAnchors(options.trust);
    const registry = new HttpRegistry({
      server: options.server,
      token,
      clock: systemClock,
      random: systemRandom,
      fetch: (await networkOf(options, options.server)).fetch,
    });
    const storage = await DiskStorage.openOwn(options.stateDir);
    // A running TMU works with the identity that it has read, so it must not run meanwhile.
    const lock = await lockFolder(storage.location);
    try {
      const device = await readDeviceId(storage.location, options.deviceFile);
      if (device.made) {
        const text = `${device.file} was missing: this TMU is ${device.value} from now on`;
        report({ kind: 'note', text }, context);
      }
      await using opened = await openTesterBus(options, context, 'provision');
      context.say(`${vehicle.vin} on ${opened.why}, registry ${options.server}`);
      using testers = new Testers(opened.bus, vehicle, context);
      const outcome = await provisionVehicle({
        vehicle,
        names: chosen,
        images: images.byEcu,
        deviceId: device.value,
        anchors,
        registry,
        storage,
        random: systemRandom,
        factoryKey,
        provisionerFor: testers.provisionerFor,
        onEvent: (event) => report(event, context),
        signal: context.signal,
      });
      return result(outcome, vehicle, context);
    } finally {
      await lock.release();
    }
  });
}

/** X25519 private key as 64 hexadecimal digits. Throws InputError. */
async function readFactoryKey(file: string | undefined): Promise<Uint8Array | undefined> {
  if (file === undefined) return undefined;
  const line = await readSecretLine(file, '--factory-key');
  if (/^[0-9a-fA-F]{64}$/.test(line)) return fromHex(line);
  throw new InputError(
    '--factory-key',
    `${file}: expected 64 hexadecimal digits; make one with "openssl rand -hex 32", for all vehicles of this factory`,
  );
}

/** These would become the secrets of a real vehicle. Throws InputError. */
function refuseShippedSecrets(vehicle: Vehicle): void {
  const refuse = (where: string): never => {
    throw new InputError(
      where,
      'is a secret that comes with can-ota and protects nothing: leave it out of the vehicle file, and a new one is made',
    );
  };
  for (const { name, security } of vehicle.ecus) {
    const secret = usesProvisionedKey(security) ? security.secret : undefined;
    if (secret !== undefined && isShippedSecret(secret)) refuse(`security.secret of ${name}`);
  }
  const key = vehicle.approval?.key;
  if (key !== undefined && isShippedSecret(key)) refuse('approval.key');
}

function report(event: ProvisionEvent, context: Context): void {
  context.emit(event);
  switch (event.kind) {
    case 'step':
      context.say(pc.dim(`${event.name}: ${event.step} ${event.status}`));
      break;
    case 'device':
      context.say(`${pc.green(event.name)}: ${DEVICE_TEXT[event.status]} as ${event.serial}`);
      break;
    case 'image':
      context.say(`${event.name}: ${imageText(event)}`);
      break;
    case 'progress':
      break;
    case 'failed':
      process.stderr.write(`can-ota: ${event.name}: ${event.code}: ${event.reason}\n`);
      break;
    case 'note':
      context.say(event.text);
      break;
  }
}

function imageText(image: Extract<ProvisionEvent, { kind: 'image' }>): string {
  const { status, version, sha256, bytes, seconds } = image;
  const what = `${version}, sha256 ${sha256}`;
  return status === 'kept'
    ? `runs its first image already: ${what}`
    : `first image programmed and read back: ${what} (${formatBytes(bytes)} in ${seconds.toFixed(1)} s)`;
}

const DEVICE_TEXT = {
  provisioned: 'provisioned and locked',
  already: 'was provisioned already',
  registered: 'registered',
} as const;

function result(outcome: ProvisionOutcome, vehicle: Vehicle, context: Context): ExitCode {
  const { images, devices, failures } = outcome;
  const ok = failures.length === 0;
  context.emit({
    kind: 'result',
    ok,
    vin: vehicle.vin,
    images: images.map(({ kind: _, ...image }) => image),
    devices: devices.map(({ kind: _, ...device }) => device),
    failures: failures.map(({ kind: _, ...failure }) => failure),
  });
  if (ok) return ExitCode.success;
  context.say(
    'Not everything is done: correct the problems above, and run the same command again.',
  );
  if (context.signal.aborted) return context.interruption();
  return exitCodeOf(itemAt(failures, 0).code);
}

function exitCodeOf(code: string): ExitCode {
  switch (code) {
    case 'BUS':
      return ExitCode.busUnavailable;
    case 'UNREACHABLE':
    case 'FOREIGN_ANSWER':
    // The registry answers but cannot or must not be asked now.
    case 'RATE_LIMITED':
    case 'DATABASE_BUSY':
    case 'INSUFFICIENT_STORAGE':
    case 'INTERNAL':
      return ExitCode.backendUnavailable;
    case 'TOKEN_EXPIRED':
    case 'TOKEN_REQUIRED':
    case 'DEVICE_REFUSED':
    case 'ROLE':
      return ExitCode.usage;
    case 'OTHER_KEYS':
    case 'OTHER_DEVICE':
    case 'IDENTITY_LOST':
    case 'NOT_LOCKED':
    case 'SECURITY':
    case 'UNTRUSTED':
      return ExitCode.securityValidationFailed;
    default:
      if (code.startsWith('DEVICE_')) return ExitCode.securityValidationFailed;
      return code.startsWith('HTTP_') ? ExitCode.backendUnavailable : ExitCode.ecuFailed;
  }
}
