// A vehicle and its backend as the factory leaves them, in one folder: made once, and copied by every test that needs one.

import { cp } from 'node:fs/promises';
import path from 'node:path';
import { createEcu } from '../../ecus/create-ecu.ts';
import { addUser } from '../../server/features/people/tool-commands.ts';
import { createServer } from '../../server/server.ts';
import {
  BenchFactory,
  benchToken,
  provisionBench,
  type ReleaseImage,
} from '../../src/bench/factory.ts';
import { openBus } from '../../src/bus/open-bus.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import { writeBenchVehicle } from '../../src/onboard/bench-vehicle.ts';
import { loadVehicle } from '../../src/onboard/vehicle-file.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';

/** The person who may upload by hand. */
export const PERSON = 'anna';
export const PASSWORD = 'correct horse battery';

/** Below the folder of a world: key ceremony, what the backend gets, its data, the TMU's state, and flash by ECU. */
export const WORLD = {
  keys: 'keys',
  trust: 'trust',
  server: 'server',
  tmu: 'tmu',
  flash: 'flash',
} as const;

export interface World {
  readonly home: string;
  readonly vehicleFile: string;
  /** Of the role `release`; a copy knows it too. */
  readonly releaseToken: string;
}

/**
 * Ceremony, registry, ECUs with their keys, and a TMU that knows them; everything in this process. The vehicle is the
 * bench's with these ECUs: a Director wants to hear of all that it knows. Without a CGW nobody is asked,
 * and nothing is known of the state of the vehicle. `boards`: further ECUs of other makes, which are registered only.
 */
export async function makeWorld(
  home: string,
  busName: string,
  names: readonly string[],
  {
    bankSize,
    boards = [],
  }: { readonly bankSize?: number; readonly boards?: readonly VehicleEcu[] } = {},
): Promise<World> {
  const storage = await DiskStorage.open(home);
  const { approval, signals, conditions, ...whole } = await loadVehicle(undefined, false);
  const told = Object.entries(signals).filter(([, { ecu }]) => names.includes(ecu));
  const vehicleFile = await writeBenchVehicle(storage, {
    ...whole,
    ecus: [
      ...whole.ecus
        .filter(({ name }) => names.includes(name))
        .map((ecu) =>
          bankSize === undefined ? ecu : { ...ecu, memory: { ...ecu.memory, bankSize } },
        ),
      ...boards,
    ],
    // A condition speaks of signals, and those are the gateway's.
    signals: Object.fromEntries(told),
    conditions: told.length === Object.keys(signals).length ? conditions : [],
    ...(approval !== undefined && names.includes(approval.ecu) ? { approval } : {}),
  });
  const vehicle = await loadVehicle(vehicleFile, false);
  await using factory = await BenchFactory.open(home);
  const data = path.join(home, WORLD.server);
  await addUser(data, PERSON, 'admin', PASSWORD, { bcryptCost: 4 });
  const token = await benchToken(data, 'factory', 'world');
  const releaseToken = await benchToken(data, 'release', 'world');
  const machine = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const server = await createServer({
    ...machine,
    dataDir: data,
    devices: 'required',
    uptane: {
      role: 'all',
      trustDir: factory.trustDir,
      passphrase: undefined,
      imagesUrl: undefined,
      imagesToken: undefined,
    },
  });
  const running = await server.listen(0, '127.0.0.1');
  const open = () =>
    openBus(`local:${busName}?bitrate=0`, { clock: systemClock, fd: false, logger: silentLogger });
  const { bus } = await open();
  try {
    const ecus = await Promise.all(
      vehicle.ecus
        .filter(({ name }) => names.includes(name))
        .map(async ({ name }) => {
          const { bus: own } = await open();
          const flash = await DiskStorage.open(path.join(home, WORLD.flash, name));
          const ecu = await createEcu({
            ...{ ...machine, name, vehicle, storage: flash, bus: own },
            ...{ normalTraffic: false, bootMs: 0 },
          });
          return { close: () => ecu.close().then(() => own.close()) };
        }),
    );
    await provisionBench({
      ...{ bus, vehicle, token, logger: silentLogger },
      server: `http://127.0.0.1:${running.port}`,
      trustDir: factory.trustDir,
      stateDir: path.join(home, WORLD.tmu),
      onEvent: () => {},
      signal: AbortSignal.timeout(60_000),
    });
    await Promise.all(ecus.map((ecu) => ecu.close()));
  } finally {
    await bus.close();
    await running.close(100);
  }
  return { home, vehicleFile, releaseToken };
}

/** One part of it for a test of its own. */
export function copyWorld(world: World, part: keyof typeof WORLD, to: string): Promise<void> {
  return cp(path.join(world.home, WORLD[part]), to, { recursive: true });
}

/** Signs images with the keys of `home` (the world's own folder, or that of a copy) and brings them to a backend. */
export async function releaseInWorld(
  { vehicleFile, releaseToken: token, home }: World,
  url: string,
  images: readonly ReleaseImage[],
  encrypted: readonly string[] = [],
): Promise<void> {
  const vehicle = await loadVehicle(vehicleFile, false);
  await using factory = await BenchFactory.open(home);
  const { signal } = new AbortController();
  await factory.release({ url, token }, images, new Set(encrypted), vehicle, signal);
}
