// Breaks the system on purpose, around the ports of the product, to show that the simulation finds real faults.

import { createHash } from 'node:crypto';
import type { DriverResult, EcuDriver, EcuReport, Target } from '../campaign/ports.ts';
import { InputError } from '../core/errors.ts';
import type { Storage, StorageFile } from '../core/storage.ts';
import type { HttpTransport } from '../link/http-transport.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { WorldSabotage } from './world.ts';

export interface Sabotage {
  /** What is broken, for the help text. */
  readonly breaks: string;
  /** Creates the sabotage for each world. */
  readonly world: () => WorldSabotage;
  /** Changes the vehicle file. */
  readonly vehicle?: (vehicle: Vehicle) => Vehicle;
}

const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  'skip-verify': {
    breaks: 'no ECU is asked what it runs after the activation',
    world: () => ({
      wrapDriver: (driver) => around(driver, { verify: async (target) => asClaimed(target) }),
    }),
  },
  'confirm-early': {
    breaks: 'each ECU is confirmed right after its own activation',
    world: () => ({
      wrapDriver: (driver) =>
        around(driver, {
          activate: async (target, hooks) => {
            const activated = await driver.activate(target, hooks);
            if (!activated.ok) return activated;
            const confirmed = await confirmAlone(driver, target, hooks?.signal);
            return confirmed.ok ? activated : confirmed;
          },
        }),
    }),
  },
  'counter-early': {
    breaks: 'the counter of an ECU is raised with its own confirmation',
    world: () => ({
      wrapDriver: (driver) =>
        around(driver, {
          confirm: async (target, _commitments, signal) => {
            const confirmed = await confirmAlone(driver, target, signal);
            if (!confirmed.ok || confirmed.value === undefined) return confirmed;
            const committed = await driver.commit(target, [confirmed.value], signal);
            return committed.ok ? confirmed : committed;
          },
        }),
    }),
  },
  'no-rollback': {
    breaks: 'a rollback is reported as done and never happens',
    world: () => ({
      wrapDriver: (driver) =>
        around(driver, {
          rollback: async ({ previous }) =>
            done({
              version: previous.version,
              sha256: previous.image?.sha256,
              unchanged: false,
            }),
        }),
    }),
  },
  'no-fsync': {
    breaks: 'all disks ignore fsync: data that was not written back by chance is lost',
    world: () => ({ noFsync: true }),
  },
  'forget-journal': {
    breaks: 'the TMU starts without its journal every time',
    world: () => ({
      wrapStorage: (storage, machine) =>
        machine === 'TMU' ? forgetting(storage, 'journal.log') : storage,
    }),
  },
  'forget-commands': {
    breaks: 'the TMU starts without knowing which commands it has run',
    world: () => ({
      wrapStorage: (storage, machine) =>
        machine === 'TMU' ? forgetting(storage, 'commands.journal') : storage,
    }),
  },
  'skip-secure-boot': {
    breaks: 'the check before a boot sees the bytes that were written, not the bytes in the flash',
    world: () => {
      const shadows = new Map<string, Uint8Array>();
      return {
        wrapStorage: (storage, machine, vin) =>
          machine === 'TMU' ? storage : blindFlash(storage, shadows, `${vin}/${machine}/`),
      };
    },
  },
  'skip-approval': {
    breaks: 'the driver is never asked',
    world: () => ({}),
    vehicle: (vehicle) => ({
      ...vehicle,
      policy: {
        ...vehicle.policy,
        approval: { download: 'none', install: 'none', activate: 'none' },
      },
    }),
  },
  'lose-reports': {
    breaks: 'reports are acknowledged and not kept',
    world: () => ({ wrapNetwork: (transport) => withoutReports(transport) }),
  },
};

export const SABOTAGE_NAMES = Object.keys(SABOTAGES);

/** Throws InputError that lists the names. */
export function sabotageOf(name: string): Sabotage {
  const sabotage = Object.hasOwn(SABOTAGES, name) ? SABOTAGES[name] : undefined;
  if (sabotage !== undefined) return sabotage;
  throw new InputError('--sabotage', `${name} is none of ${SABOTAGE_NAMES.join(', ')}`);
}

/** Confirms with a list that names this ECU as the only one of its campaign. */
async function confirmAlone(
  driver: EcuDriver,
  target: Target,
  signal?: AbortSignal,
): Promise<DriverResult<string | undefined>> {
  const checks = { knownDtcs: undefined, heartbeatMs: 0 };
  const verified = await driver.verify(target, checks, signal);
  if (!verified.ok) return verified;
  const { commitment } = verified.value;
  return driver.confirm(target, commitment === undefined ? [] : [commitment], signal);
}

/** The driver with some methods replaced. */
function around(driver: EcuDriver, changed: Partial<EcuDriver>): EcuDriver {
  return {
    identify: (signal) => driver.identify(signal),
    stage: (target, hooks) => driver.stage(target, hooks),
    activate: (target, hooks) => driver.activate(target, hooks),
    verify: (target, checks, signal) => driver.verify(target, checks, signal),
    confirm: (target, commitments, signal) => driver.confirm(target, commitments, signal),
    commit: (target, receipts, signal) => driver.commit(target, receipts, signal),
    rollback: (order, hooks) => driver.rollback(order, hooks),
    reportReceived: (counter, signal) => driver.reportReceived(counter, signal),
    versionReport: (signal) => driver.versionReport(signal),
    ...changed,
  };
}

function done<T>(value: T): DriverResult<T> {
  return { ok: true, value, warnings: [] };
}

function asClaimed({ version, plain, image }: Target): DriverResult<EcuReport> {
  return done({ version, sha256: plain?.sha256 ?? image.sha256 });
}

function passing(storage: Storage): Storage {
  return {
    location: storage.location,
    read: (name) => storage.read(name),
    replace: (name, bytes) => storage.replace(name, bytes),
    open: (name) => storage.open(name),
    rename: (from, to) => storage.rename(from, to),
    remove: (name) => storage.remove(name),
    list: (folder) => storage.list(folder),
    space: () => storage.space(),
  };
}

function forgetting(storage: Storage, file: string): Storage {
  let forgotten = false;
  return {
    ...passing(storage),
    read: async (name) => {
      if (name === file && !forgotten) {
        forgotten = true;
        await storage.remove(file);
      }
      return storage.read(name);
    },
  };
}

/** Reads of a bank return what was written through this storage, whatever happened to the bank since. */
function blindFlash(storage: Storage, shadows: Map<string, Uint8Array>, where: string): Storage {
  return {
    ...passing(storage),
    open: async (name) => {
      const file = await storage.open(name);
      return /^bank-[ab]\.bin$/.test(name) ? shadowed(file, shadows, where + name) : file;
    },
  };
}

async function shadowed(
  file: StorageFile,
  shadows: Map<string, Uint8Array>,
  key: string,
): Promise<StorageFile> {
  const seen = async (): Promise<Uint8Array> => {
    const known = shadows.get(key) ?? (await file.read(0, await file.size()));
    shadows.set(key, known);
    return known;
  };
  await seen();
  return {
    read: async (offset, length) => (await seen()).slice(offset, offset + length),
    write: async (offset, bytes) => {
      const before = await seen();
      const after = new Uint8Array(Math.max(before.length, offset + bytes.length));
      after.set(before);
      after.set(bytes, offset);
      shadows.set(key, after);
      await file.write(offset, bytes);
    },
    truncate: async (length) => {
      const after = new Uint8Array(length);
      after.set((await seen()).subarray(0, length));
      shadows.set(key, after);
      await file.truncate(length);
    },
    size: async () => (await seen()).length,
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

function withoutReports(transport: HttpTransport): HttpTransport {
  return {
    open: async (request) => {
      if (request.method !== 'POST' || request.url.pathname !== '/report_versions') {
        return transport.open(request);
      }
      const digest = createHash('sha256')
        .update(request.body ?? '')
        .digest('hex');
      return {
        status: 204,
        headers: { 'x-checksum-sha256': digest },
        body: (async function* () {})(),
        destroy: () => {},
      };
    },
  };
}
