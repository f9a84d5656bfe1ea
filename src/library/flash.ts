// `can-ota/flash`: programs one ECU of any make as a library, as `can-ota flash` does.

import { createHash } from 'node:crypto';
import type { CanBus } from '../bus/can-bus.ts';
import type { DriverHooks } from '../campaign/ports.ts';
import { runSingle, type SingleResult, type SingleStep } from '../campaign/single.ts';
import { systemClock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { systemRandom } from '../core/random.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { UdsEcuDriver } from '../drivers/ecu-driver.ts';
import type { ImageSource } from '../image/image-source.ts';
import { boardOnBus, isBoard } from '../onboard/board.ts';
import { connectTester } from '../onboard/bus.ts';
import { STANDARD_PROGRAMMING } from '../vehicle/programming-schema.ts';
import { ecuSchema, type VehicleEcu } from '../vehicle/schema.ts';

export type { SingleResult, SingleStep } from '../campaign/single.ts';
export type { ImageSource } from '../image/image-source.ts';
export type { VehicleEcu } from '../vehicle/schema.ts';

/** An ECU in the form of an entry of the vehicle file (docs/vehicle-file.md); missing fields get the defaults. */
export interface FlashTarget {
  /** May be missing for `programming: openblt`. */
  readonly address?: unknown;
  readonly [field: string]: unknown;
}

export interface FlashEcuOptions extends Pick<DriverHooks, 'progress' | 'signal'> {
  readonly bus: CanBus;
  readonly ecu: FlashTarget;
  /** The bytes, or a source that reads them in pieces. */
  readonly image: Uint8Array | ImageSource;
  /** The version that the ECU must report afterwards; compared where it is given. */
  readonly version?: string;
  readonly onStep?: (step: SingleStep) => void;
  readonly logger?: Logger;
}

/** A refusal of the ECU is a result. Throws InputError for an invalid target. */
export async function flashEcu(options: FlashEcuOptions): Promise<SingleResult> {
  const { bus, image, version, onStep, progress, signal, logger = silentLogger } = options;
  const ecu = targetOf(options.ecu);
  const { driver, close } = isBoard(ecu)
    ? boardOnBus(bus, { ecu, clock: systemClock, logger })
    : udsDriver(bus, ecu, logger);
  try {
    return await runSingle({
      driver,
      ecu,
      hasOneBank: ecu.programming.activation === 'reset' || ecu.memory.banks === 1,
      target: { version, image: image instanceof Uint8Array ? sourceOf(image) : image },
      clock: systemClock,
      random: systemRandom,
      logger,
      ...defined({ onStep, progress, signal }),
    });
  } finally {
    close();
  }
}

function udsDriver(bus: CanBus, ecu: VehicleEcu, logger: Logger) {
  const requester = connectTester(bus, ecu, { logger });
  const driver = new UdsEcuDriver({ ecu, requester, clock: systemClock, logger });
  return { driver, close: () => requester.close() };
}

function targetOf(target: FlashTarget): VehicleEcu {
  const parsed = ecuSchema.safeParse({
    name: 'ECU',
    hardwareId: 'unknown',
    security: { algorithm: 'none' },
    ...target,
    memory: { banks: 1, bankSize: 0xffff_ffff, ...(target.memory as object | undefined) },
    // Without a given hardware id there is nothing to compare that of the ECU with.
    programming: target.programming ?? {
      ...STANDARD_PROGRAMMING,
      ...(target.hardwareId === undefined && { identify: 'skip' }),
    },
  });
  if (parsed.success) return parsed.data;
  const issue = firstIssue(parsed.error);
  throw new InputError('ecu', `${issue.path.join('.')}: ${issue.message}`);
}

function sourceOf(bytes: Uint8Array): ImageSource {
  return {
    length: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
