// The steps before a vehicle drives: the key ceremony, the backend's tokens, signed releases, and provisioning.

import { addToken } from '../../server/features/registry/tool-commands.ts';
import type { CanBus } from '../bus/can-bus.ts';
import { systemClock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { CanOtaError } from '../core/errors.ts';
import { systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { type ProvisionEvent, provisionVehicle } from '../factory/provision.ts';
import { HttpRegistry } from '../factory/registry.ts';
import { readAnchors } from '../factory/trust-anchors.ts';
import { readDeviceId, Testers } from '../onboard/factory-bus.ts';
import { Ceremony, DEFAULT_VALIDITY_DAYS } from '../signing/ceremony.ts';
import { currentRoot } from '../signing/draft.ts';
import { exportOnline } from '../signing/export.ts';
import { KeyFolder } from '../signing/folder.ts';
import { initialise } from '../signing/init.ts';
import type { Passphrases } from '../signing/passphrase.ts';
import { add } from '../signing/release.ts';
import { ReleaseBackend } from '../signing/release-backend.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';

export interface ReleaseImage {
  readonly ecu: string;
  readonly file: string;
  readonly version: string;
}

/** The bench cannot provision its vehicle. Its exit code is that of an ECU that refuses. */
class DriverError extends CanOtaError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A bench has no people who could type a passphrase: its keys are in files that only their owner can read. */
const NO_PASSPHRASES: Passphrases = {
  toOpen: async () => undefined,
  forNewKeys: async () => undefined,
};
const QUIET: Pick<Context, 'say' | 'emit'> = { say: () => {}, emit: () => {} };

/** The numbers that `can-ota keys init` proposes: two of three people for a Root. */
const CEREMONY = { rootKeys: 3, rootThreshold: 2, targetsKeys: 1, targetsThreshold: 1 };

/** The offline side of a bench. An existing folder is used again: its keys, releases and serial numbers stay. */
export class BenchFactory implements AsyncDisposable {
  readonly #keys: KeyFolder;
  readonly #ceremony: Ceremony;
  /** Folder of the files for the backend. */
  readonly trustDir: string;

  private constructor(keys: KeyFolder, ceremony: Ceremony, trustDir: string) {
    this.#keys = keys;
    this.#ceremony = ceremony;
    this.trustDir = trustDir;
  }

  static async open(folder: string): Promise<BenchFactory> {
    const keys = await KeyFolder.open(`${folder}/keys`, true);
    const passphrases = NO_PASSPHRASES;
    const ceremony = new Ceremony({
      folder: keys,
      clock: systemClock,
      passphrases,
      validityDays: DEFAULT_VALIDITY_DAYS,
      signWith: undefined,
    });
    if ((await currentRoot(keys, 'images')) === undefined) {
      const work = { context: QUIET, folder: keys, passphrases, ceremony, clock: systemClock };
      await initialise(work, CEREMONY);
    }
    const trustDir = `${folder}/trust`;
    await exportOnline(keys, trustDir);
    return new BenchFactory(keys, ceremony, trustDir);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#keys[Symbol.asyncDispose]();
  }

  /** Signs every image offline and uploads it. Throws InputError, BackendError. */
  async release(
    backend: { readonly url: string; readonly token: string },
    images: readonly ReleaseImage[],
    encrypted: ReadonlySet<string>,
    vehicle: Vehicle,
    signal: AbortSignal,
  ): Promise<void> {
    const work = {
      context: QUIET,
      folder: this.#keys,
      ceremony: this.#ceremony,
      backend: await ReleaseBackend.logIn(
        { url: backend.url, clock: systemClock, signal },
        { kind: 'token', token: backend.token },
      ),
    };
    for (const { ecu, file, version } of images) {
      await add(work, file, {
        ecu,
        version,
        hardware: [findEcu(vehicle, ecu).hardwareId],
        encrypt: encrypted.has(ecu),
        notes: `bench image of ${ecu}`,
      });
    }
  }
}

/** A token with a new name at each start: an existing database has those of earlier benches. */
export function benchToken(
  serverData: string,
  role: 'factory' | 'release' | 'operator',
  unique: string,
): Promise<string> {
  return addToken(serverData, `bench-${role}-${unique}`, role);
}

export interface BenchProvisioning {
  readonly bus: CanBus;
  readonly vehicle: Vehicle;
  readonly trustDir: string;
  readonly server: string;
  readonly token: string;
  readonly stateDir: string;
  readonly logger: Context['logger'];
  readonly signal: AbortSignal;
  readonly onEvent: (event: ProvisionEvent) => void;
}

/** Provisions every ECU and the TMU over the bench's bus. Throws DriverError. */
export async function provisionBench(options: BenchProvisioning): Promise<void> {
  const { bus, vehicle, server, token, stateDir, onEvent, signal } = options;
  const storage = await DiskStorage.openOwn(stateDir);
  const device = await readDeviceId(storage.location);
  using testers = new Testers(bus, vehicle, options);
  const { failures } = await provisionVehicle({
    vehicle,
    names: vehicle.ecus.map(({ name }) => name),
    deviceId: device.value,
    anchors: await readAnchors(options.trustDir),
    registry: new HttpRegistry({ server, token, clock: systemClock, random: systemRandom }),
    storage,
    random: systemRandom,
    provisionerFor: testers.provisionerFor,
    onEvent,
    signal,
  });
  const [first] = failures;
  if (first !== undefined) throw new DriverError(first.code, `${first.name}: ${first.reason}`);
}
