// The machine's side of provisioning: a tester for each ECU on the bus, and the TMU's chip number.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CanBus } from '../bus/can-bus.ts';
import type { EcuDriver } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Context } from '../core/context.ts';
import { InputError, systemErrorCode } from '../core/errors.ts';
import { type Random, systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { fileFault } from '../core/text-file.ts';
import { Provisioner, type ProvisionStep } from '../drivers/provisioner.ts';
import type { UdsClient } from '../uds/client.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { type BoardOnBus, boardOnBus, isBoard } from './board.ts';
import { connectTester } from './bus.ts';
import { runKeyCommand } from './key-command.ts';
import { CHIP_FILE } from './own-chip.ts';

/**
 * How long a tester of the factory waits for an answer. Every write is durable before its answer, and all ECUs of a vehicle
 * are provisioned at the same time, so a busy machine answers late: this must not look like a broken wire.
 */
const PATIENCE_MS = 3000;

export interface TestersOptions extends Pick<Context, 'logger'> {
  /** The clock of the machine by default. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** One client for each ECU, closed at the end: two clients would both send flow control for its long answers. */
export class Testers implements Disposable {
  readonly #bus: CanBus;
  readonly #vehicle: Vehicle;
  readonly #options: TestersOptions;
  readonly #clients = new Map<string, UdsClient>();
  readonly #boards = new Map<string, BoardOnBus>();

  constructor(bus: CanBus, vehicle: Vehicle, options: TestersOptions) {
    this.#bus = bus;
    this.#vehicle = vehicle;
    this.#options = options;
  }

  readonly provisionerFor = (name: string, onStep: ProvisionStep): Provisioner => {
    const ecu = findEcu(this.#vehicle, name);
    let requester = this.#clients.get(name);
    if (requester === undefined) {
      const p2Ms = Math.max(ecu.timing.p2Ms, PATIENCE_MS);
      const patient = { ...ecu, timing: { ...ecu.timing, p2Ms } };
      requester = connectTester(this.#bus, patient, this.#options);
      this.#clients.set(name, requester);
    }
    const { clock = systemClock, random = systemRandom } = this.#options;
    const runCommand = runKeyCommand;
    const driver = isBoard(ecu) ? this.#boardDriver(ecu, clock) : undefined;
    return new Provisioner({ ecu, requester, clock, random, onStep, runCommand, driver });
  };

  #boardDriver(ecu: VehicleEcu, clock: Clock): EcuDriver {
    const { logger } = this.#options;
    const known = this.#boards.get(ecu.name);
    const board = known ?? boardOnBus(this.#bus, { ecu, clock, logger, runCommand: runKeyCommand });
    this.#boards.set(ecu.name, board);
    return board.driver;
  }

  [Symbol.dispose](): void {
    for (const board of this.#boards.values()) board.close();
    this.#boards.clear();
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

const DEVICE_ID_BYTES = 16;

export interface DeviceId {
  /** The number as hexadecimal digits. */
  readonly value: string;
  readonly file: string;
  /** The number was missing, and `value` is new. */
  readonly made: boolean;
}

/** Reads the number of the TMU's chip. Throws InputError for a file with any other content, StorageError. */
export async function readDeviceId(stateDir: string, file?: string): Promise<DeviceId> {
  const where = file ?? path.join(stateDir, CHIP_FILE);
  const text = await readFile(where, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw new InputError('--device-file', fileFault(where, error), { cause: error });
  });
  if (text === undefined) {
    const value = toHex(systemRandom.bytes(DEVICE_ID_BYTES));
    const storage = await DiskStorage.open(path.dirname(path.resolve(where)));
    await storage.replace(path.basename(where), new TextEncoder().encode(`${value}\n`));
    return { value, file: where, made: true };
  }
  const value = text.trim().toLowerCase();
  if (/^[0-9a-f]{32}$/.test(value)) return { value, file: where, made: false };
  throw new InputError(
    '--device-file',
    `${where}: expected a chip number of ${DEVICE_ID_BYTES} bytes as hexadecimal digits`,
  );
}
