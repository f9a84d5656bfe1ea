// Puts the telematics unit together on a bus: clients, drivers, approver, signals, Uptane. For daemon and simulation.

import { BusMeter } from '../bus/bus-meter.ts';
import type { CanBus } from '../bus/can-bus.ts';
import type { Backend, EcuDriver } from '../campaign/ports.ts';
import { fromHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import type { FolderLock } from '../core/lock.ts';
import type { Logger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import { BusSilence } from '../drivers/bus-silence.ts';
import { CgwApprover } from '../drivers/cgw-approver.ts';
import { UdsEcuDriver } from '../drivers/ecu-driver.ts';
import { UdsEcuServices } from '../drivers/ecu-services.ts';
import { Exchange } from '../drivers/exchange.ts';
import { UdsVehicleState } from '../drivers/vehicle-signals.ts';
import { testerAddresses } from '../isotp/address.ts';
import type { DeviceIdentity } from '../link/device-keys.ts';
import { DeviceKeys } from '../link/device-keys.ts';
import type { KeyPairCredential } from '../link/handshake.ts';
import { baseUrl, HttpClient } from '../link/http-client.ts';
import type { HttpTransport } from '../link/http-transport.ts';
import { SealedClient } from '../link/sealed-client.ts';
import { chunkedDownloads } from '../tmu/chunked-download.ts';
import { HttpBackend } from '../tmu/http-backend.ts';
import { SealedBackend } from '../tmu/remote/sealed-backend.ts';
import { Tmu, type TmuOptions } from '../tmu/tmu.ts';
import { type FirstRoots, TrustFiles } from '../tmu/uptane/trust-files.ts';
import { UptaneSource } from '../tmu/uptane/uptane-source.ts';
import type { OwnSoftware } from '../tmu/uptane/vehicle-reports.ts';
import { benchWorld } from '../trust/bench-keys.ts';
import type { IdentityFile } from '../trust/identity-file.ts';
import type { Suite } from '../trust/sealed-session.ts';
import { checkSessionSignature } from '../trust/session-signature.ts';
import { signerFromSeed } from '../trust/signing-key.ts';
import type { UdsClient } from '../uds/client.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import { type BoardOnBus, boardOnBus, isBoard } from './board.ts';
import { connectTester } from './bus.ts';
import { loadProgram } from './second-boot-loader.ts';
import { authorityOf } from './vehicle-secrets.ts';

/** Address of the backend. */
interface ServerAddress {
  /** `https://host[:port][/prefix]` */
  readonly server: string;
  /** Address of the image repository, if it is another server. */
  readonly images?: string | undefined;
  /** Missing: the real network. */
  readonly transport?: HttpTransport;
}

export interface TmuOnBusOptions
  extends Pick<
    TmuOptions,
    | 'pollMs'
    | 'checkinIntervalMs'
    | 'approvalTimeoutSeconds'
    | 'campaign'
    | 'downloadLimits'
    | 'events'
  > {
  /** Time between two contacts about configuration, commands and telemetry; 10 s by default. */
  readonly syncIntervalMs?: number;
  /** The vehicle with its secrets (`withSecrets`). */
  readonly vehicle: Vehicle;
  readonly identity: IdentityFile;
  readonly bus: CanBus;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly backend: ServerAddress | Backend;
  /** How the sealed session is opened and encrypted; by default with the shared key and ChaCha20-Poly1305. */
  readonly session?: SessionChoice;
  /** Images come over the chunked protocol, in chunks of at most this many bytes. Not with the keys of the bench. */
  readonly chunkBytes?: number | undefined;
  /** Use the public keys of the bench as first Roots, without a session: the bench identity is in no registry. */
  readonly benchKeys?: boolean;
  /** The software of this TMU, for its own version report. */
  readonly software: OwnSoftware;
  /** Milliseconds since the machine started. */
  readonly uptimeMs: () => number;
  /** For conditions on the time of day: how far local time is ahead of UTC; by default that of the machine. */
  readonly utcOffsetMinutes?: (wallMs: number) => number;
  /** For `security.algorithm: command`. */
  readonly runCommand?: KeyCommand;
  /** Wraps each driver, for tests and injected faults. */
  readonly wrapDriver?: (driver: EcuDriver, name: string) => EcuDriver;
  readonly lock?: (location: string) => Promise<FolderLock>;
}

export interface SessionChoice {
  readonly proof: 'shared-key' | 'key-pair';
  readonly suite: Suite;
}

export interface TmuOnBus {
  readonly tmu: Tmu;
  /** Frees the state directory and the bus listeners; the bus stays open. Call it only when the TMU does not run. */
  close(): Promise<void>;
}

/** Throws InputError for an invalid address, and for a vehicle whose approval has no key. */
export function createTmuOnBus(options: TmuOnBusOptions): TmuOnBus {
  const { vehicle, identity, bus, storage, clock, random, logger, software } = options;
  const benchKeys = options.benchKeys === true;
  const clients = new Map<string, UdsClient>();
  const clientFor = (name: string): UdsClient =>
    cached(clients, name, () => connectTester(bus, findEcu(vehicle, name), { logger, clock }));
  // One functional address silences all ECUs behind it, so their drivers share the state of the silence.
  const silences = new Map<string, BusSilence>();
  const silenceOf = ({ address, name }: VehicleEcu): BusSilence => {
    const behind = functionalOf(address) ?? name;
    const members = (): readonly Exchange[] =>
      vehicle.ecus
        .filter((ecu) => !isBoard(ecu) && (functionalOf(ecu.address) ?? ecu.name) === behind)
        .map((ecu) => new Exchange({ ecu, requester: clientFor(ecu.name), clock }));
    return cached(silences, behind, () => new BusSilence({ members, clock }));
  };
  const drivers = new Map<string, EcuDriver>();
  const driverFor = (name: string): EcuDriver =>
    cached(drivers, name, () => {
      const ecu = findEcu(vehicle, name);
      const driver = isBoard(ecu) ? boardDriver(ecu) : udsDriver(ecu);
      return options.wrapDriver?.(driver, name) ?? driver;
    });
  const boards: BoardOnBus[] = [];
  const boardDriver = (ecu: VehicleEcu): EcuDriver => {
    const { runCommand } = options;
    const board = boardOnBus(bus, { ecu, clock, storage, logger, runCommand });
    boards.push(board);
    return board.driver;
  };
  const udsDriver = (ecu: VehicleEcu): EcuDriver =>
    new UdsEcuDriver({
      ecu,
      requester: clientFor(ecu.name),
      clock,
      silence: silenceOf(ecu),
      authority: authorityOf(identity, ecu.name),
      secondBootLoader: loadProgram,
      ...defined({ runCommand: options.runCommand }),
      logger,
    });
  const { approval } = vehicle;
  if (approval !== undefined && approval.key === undefined) {
    throw new InputError('approval.key', 'neither the vehicle file nor identity.json has it');
  }
  const keys = once(() => DeviceKeys.open(deviceOf(identity), storage, clock));
  // Only one may exist, because its sequence numbers are on the disk.
  const sealed = once(() => sealedClientOf(options, keys));
  const services = servicesOf(
    options,
    clientFor,
    sealed,
    (name) => silenceOf(findEcu(vehicle, name)).held,
  );
  const meter = new BusMeter(bus, clock);
  const tmu = new Tmu({
    ...campaignOptions(options),
    machine: { uptimeMs: options.uptimeMs, buses: async () => [await meter.read()] },
    ...defined({ services }),
    backend: backendOf(options, benchKeys, keys, sealed),
    storage,
    vehicle,
    clock,
    random,
    logger,
    trusted: (tools) =>
      UptaneSource.open(tools, {
        identity,
        signer: signerFromSeed(fromHex(identity.signingSeed)),
        software,
        ...(benchKeys ? { anchors: benchAnchors() } : {}),
      }),
    driverFor,
    restoreTraffic: async () => {
      const all = new Set(vehicle.ecus.filter((ecu) => !isBoard(ecu)).map(silenceOf));
      await Promise.all([...all].map((silence) => silence.restore()));
    },
    vehicleState: new UdsVehicleState({
      vehicle,
      requesterFor: clientFor,
      clock,
      logger,
      ...defined({ utcOffsetMinutes: options.utcOffsetMinutes }),
    }),
    ...(approval === undefined
      ? {}
      : {
          approver: new CgwApprover({
            ecu: findEcu(vehicle, approval.ecu),
            key: present(approval.key, 'the key of the approval'),
            requester: clientFor(approval.ecu),
            clock,
            random,
            logger,
          }),
        }),
  });
  return {
    tmu,
    close: async () => {
      await tmu.close();
      for (const client of clients.values()) client.close();
      for (const board of boards) board.close();
    },
  };
}

function campaignOptions(options: TmuOnBusOptions): Partial<TmuOptions> {
  const { pollMs, checkinIntervalMs, approvalTimeoutSeconds, campaign } = options;
  const { downloadLimits, events, lock } = options;
  return {
    ...defined({
      pollMs,
      checkinIntervalMs,
      approvalTimeoutSeconds,
      campaign,
      downloadLimits,
      events,
      lock,
    }),
  };
}

/** Undefined with the identity of the bench, because services need a vehicle that is in the registry. */
function servicesOf(
  options: TmuOnBusOptions,
  requesterFor: (name: string) => UdsClient,
  sealed: () => Promise<SealedClient>,
  isSilenced: (name: string) => boolean,
): TmuOptions['services'] | undefined {
  const { backend, benchKeys, vehicle, identity, runCommand, syncIntervalMs } = options;
  if ('latest' in backend || benchKeys === true) return undefined;
  const { clock, logger } = options;
  return {
    ecus: new UdsEcuServices({
      ...{ vehicle, requesterFor, clock, logger, isSilenced },
      authorityFor: (ecu) => authorityOf(identity, ecu),
      ...defined({ runCommand }),
    }),
    backend: async () => new SealedBackend(await sealed()),
    ...defined({ syncIntervalMs }),
  };
}

async function sealedClientOf(
  options: TmuOnBusOptions,
  keys: () => Promise<DeviceKeys>,
): Promise<SealedClient> {
  const { backend, vehicle, identity, clock, session } = options;
  if ('latest' in backend) throw new Error('a backend that is handed in has no sealed session');
  const { transport } = backend;
  const base = baseUrl(backend.server, 'server');
  const headers = { 'x-vehicle-vin': vehicle.vin };
  const client = new HttpClient({ clock, headers, transport });
  const device = deviceOf(identity);
  return SealedClient.open({
    ...options,
    ...{ client, base, device, keys: await keys() },
    ...defined({ suite: session?.suite }),
    ...(session?.proof === 'key-pair' ? { pair: keyPairOf(options) } : {}),
  });
}

/** The vehicle's own key, and the Director's Root that it trusts at present. */
function keyPairOf({ identity, storage, logger }: TmuOnBusOptions): KeyPairCredential {
  return {
    signer: signerFromSeed(fromHex(identity.signingSeed)),
    problem: async (signature, exchanged, keys) => {
      const { trust } = await TrustFiles.open(storage, logger);
      const verdict = checkSessionSignature(signature, trust.director.root, exchanged, keys);
      return verdict.ok ? undefined : verdict.reason;
    },
  };
}

function backendOf(
  options: TmuOnBusOptions,
  benchKeys: boolean,
  keys: () => Promise<DeviceKeys>,
  connect: () => Promise<SealedClient>,
): Backend {
  const { backend, vehicle, clock, random, identity, chunkBytes } = options;
  if ('latest' in backend) return backend;
  const http = new HttpBackend({
    server: backend.server,
    images: backend.images,
    transport: backend.transport,
    vin: vehicle.vin,
    clock,
    identity: benchKeys ? undefined : { device: deviceOf(identity), random, keys },
  });
  return chunkBytes === undefined
    ? http
    : chunkedDownloads({ backend: http, connect, clock, random, chunkBytes });
}

function deviceOf({ serial, hwId, deviceSecret }: IdentityFile): DeviceIdentity {
  return { serial, hwId, deviceSecret: fromHex(deviceSecret) };
}

/** The functional address as a key; undefined where there is none. */
function functionalOf(address: VehicleEcu['address']): string | undefined {
  const functional = testerAddresses(address).functional;
  return functional && JSON.stringify([functional.tx, functional.txAddressByte]);
}

function benchAnchors(): FirstRoots {
  const { directorRoot, imagesRoot } = benchWorld();
  return { director: directorRoot, images: imagesRoot };
}

/** All calls share the work of the first one; after a failure the next call starts it again. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= work().catch((error: unknown) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}

function cached<T>(all: Map<string, T>, name: string, make: () => T): T {
  const known = all.get(name);
  if (known !== undefined) return known;
  const made = make();
  all.set(name, made);
  return made;
}
