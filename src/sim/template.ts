// Backend and vehicles as the factory delivers them: made once by the real ceremony and provisioning, then copied.

import { sha256 } from '@noble/hashes/sha2.js';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { asciiBytes, toHex } from '../core/bytes.ts';
import { silentLogger } from '../core/logger.ts';
import { present } from '../core/present.ts';
import { provisionVehicle } from '../factory/provision.ts';
import { HttpRegistry } from '../factory/registry.ts';
import { withoutShippedSecrets } from '../onboard/bench-vehicle.ts';
import { Testers } from '../onboard/factory-bus.ts';
import { loadVehicle } from '../onboard/vehicle-file.ts';
import { type Vehicle, vehicleSchema } from '../vehicle/schema.ts';
import type { Character } from './other-make/character.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';
import { type FactoryFiles, keyCeremony } from './simulated-factory.ts';
import {
  type BackendState,
  fetchFrom,
  type ServerTokens,
  SimulatedServer,
} from './simulated-server.ts';
import { SimulatedVehicle, TMU, type VehicleMachine } from './simulated-vehicle.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface TemplateOptions {
  /** Changes the bench vehicle; its public secrets are removed. */
  readonly change: ((vehicle: Vehicle) => Vehicle) | undefined;
  readonly otherMake: Character | undefined;
  readonly vehicles: number;
  /** Size of factory images. */
  readonly imageBytes: number;
}

type Disks = ReadonlyMap<VehicleMachine, ReadonlyMap<string, Uint8Array>>;

export interface Template {
  readonly server: BackendState;
  readonly tokens: ServerTokens;
  readonly factory: FactoryFiles;
  readonly vehicles: readonly { readonly vehicle: Vehicle; readonly disks: Disks }[];
  /** Time when everything was ready. */
  readonly wallMs: number;
}

/** Seed of all keys of all simulated worlds. */
export const FACTORY_SEED = 'factory';
const FACTORY_VERSION = '1.0.0';
const START_WALL_MS = Date.UTC(2026, 0, 1);
/** How many templates a process keeps. */
const KEPT = 8;

const made = new Map<string, Promise<Template>>();

/** Equal vehicles give the same template, in every process. */
export async function templateOf(options: TemplateOptions): Promise<Template> {
  const vehicles = await describe(options);
  const { imageBytes, otherMake } = options;
  const key = JSON.stringify([vehicles, imageBytes, otherMake]);
  let template = made.get(key);
  if (template === undefined) {
    const [oldest] = made.keys();
    if (oldest !== undefined && made.size >= KEPT) made.delete(oldest);
    template = make(vehicles, imageBytes, otherMake);
    made.set(key, template);
    template.catch(() => made.delete(key));
  }
  return template;
}

/** Bytes that compress like code, with a first line that says what they are. */
export function imageOf(random: SeededRandom, title: string, length: number): Uint8Array {
  const image = random.bytes(length);
  image.set(asciiBytes(`${title}\n`).subarray(0, length));
  return image;
}

export function factoryImageOf(imageBytes: number) {
  const images = new Map<string, Uint8Array>();
  return (ecu: string): { readonly image: Uint8Array; readonly version: string } => {
    let image = images.get(ecu);
    if (image === undefined) {
      const random = seededRandom(`factory image ${ecu}`);
      image = imageOf(random, `factory image ${ecu} ${FACTORY_VERSION}`, imageBytes);
      images.set(ecu, image);
    }
    return { image, version: FACTORY_VERSION };
  };
}

let bench: Promise<Vehicle> | undefined;

async function describe({ change, vehicles }: TemplateOptions): Promise<Vehicle[]> {
  bench ??= loadVehicle(undefined, false).then(withoutShippedSecrets);
  const base = await bench;
  const changed = change?.(base) ?? base;
  return Array.from({ length: vehicles }, (_, index) =>
    vehicleSchema.parse(
      JSON.parse(
        JSON.stringify({ ...changed, vin: `1CANXTAS1M${String(index + 1).padStart(7, '0')}` }),
      ),
    ),
  );
}

async function make(
  descriptions: readonly Vehicle[],
  imageBytes: number,
  otherMake: Character | undefined,
): Promise<Template> {
  const clock = new VirtualClock(START_WALL_MS);
  const random = seededRandom(FACTORY_SEED);
  const factory = await keyCeremony(FACTORY_SEED, clock.wallMs());
  const tokens = { factory: '', release: '', operator: '' };
  const server = new SimulatedServer({
    ...{ clock, tokens, trust: factory.trust, logger: silentLogger },
    random: random.fork('server'),
  });
  for (const role of ['factory', 'release', 'operator'] as const) {
    const machine = { clock, random: random.fork(`token ${role}`) };
    tokens[role] = await addToken(server.database, role, role, machine);
  }
  await server.start();
  const vehicles: { vehicle: Vehicle; disks: Disks }[] = [];
  for (const description of descriptions) {
    const vehicle = new SimulatedVehicle({
      ...{ vehicle: description, clock, server, logger: silentLogger, disks: new Map() },
      random: random.fork(description.vin),
      factoryImage: factoryImageOf(imageBytes),
      pollMs: 1000,
      otherMake,
      approvalTimeoutSeconds: 30,
      onEvent: () => {},
    });
    await clock.run(provision(vehicle, clock, server, tokens.factory, factory, random), HOUR_MS);
    const disks = [...vehicle.machines].map(([name, { disk }]) => [name, disk.files()] as const);
    vehicle.close();
    vehicles.push({ vehicle: description, disks: new Map(disks) });
  }
  const state = server.state();
  server.close();
  // Whole seconds: nothing that was signed here may lie in the future of a world that begins now.
  const wallMs = Math.ceil(clock.wallMs() / 1000) * 1000;
  return { server: state, tokens, factory, vehicles, wallMs };
}

const HOUR_MS = 3_600_000;

/** Provisions a vehicle as `can-ota provision` does, on the vehicle's own bus. */
async function provision(
  { vehicle, vin, machines, wire }: SimulatedVehicle,
  clock: VirtualClock,
  server: SimulatedServer,
  token: string,
  { trust }: FactoryFiles,
  random: SeededRandom,
): Promise<void> {
  const ecus = [...machines].filter(([name]) => name !== TMU);
  await Promise.all(ecus.map(([, machine]) => machine.boot()));
  const bus = wire.attach('factory');
  using testers = new Testers(bus, vehicle, {
    ...{ logger: silentLogger, clock },
    random: random.fork(`factory ${vin}`),
  });
  const anchorOf = (repository: 'director' | 'images') => {
    const { bytes, version } = present(
      trust.metadata[repository].find(({ role }) => role === 'root'),
      `Root of ${repository}`,
    );
    return { bytes, version };
  };
  const { failures } = await provisionVehicle({
    vehicle,
    names: vehicle.ecus.map(({ name }) => name),
    deviceId: toHex(sha256(asciiBytes(`TMU of ${vin}`)).slice(0, 16)),
    anchors: { director: anchorOf('director'), images: anchorOf('images') },
    registry: new HttpRegistry({
      ...{ server: server.url, token, clock, random: random.fork(`registry ${vin}`) },
      fetch: fetchFrom(server),
    }),
    storage: present(machines.get(TMU), TMU).disk.open(),
    random: random.fork(`identity ${vin}`),
    provisionerFor: testers.provisionerFor,
    onEvent: () => {},
  });
  await bus.close();
  const [failure] = failures;
  if (failure !== undefined) throw new Error(`${failure.name}: ${failure.code}: ${failure.reason}`);
}
