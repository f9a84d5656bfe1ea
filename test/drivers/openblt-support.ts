// A simulated OpenBLT board and its driver on one simulated bus, under virtual time.

import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { OpenbltBoard, type OpenbltBoardOptions } from '../../ecus/openblt/board.ts';
import type { DriverResult, Target } from '../../src/campaign/ports.ts';
import { asciiBytes, concatBytes } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { MemoryStorage } from '../../src/core/memory-storage.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { boardOnBus } from '../../src/onboard/board.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { ecuSchema } from '../../src/vehicle/schema.ts';
import { imageOf } from './support.ts';

export const CAMPAIGN = '0123456789abcdef0123456789abcdef';
export const START = 0x0800_2000;
const SECTOR = 256;

/** Firmware whose first line tells its version. */
export function firmware(version: string, bytes = 600): Uint8Array {
  const head = asciiBytes(`can-ota firmware BLT ${version}\n`);
  const rest = Uint8Array.from({ length: bytes - head.length }, (_, index) => (index * 7) & 0xff);
  return concatBytes(head, rest);
}

export function targetOf(version: string, image: ImageSource = imageOf(firmware(version))): Target {
  return { campaign: CAMPAIGN, version, image };
}

export interface BoardBenchOptions
  extends Partial<Omit<OpenbltBoardOptions, 'ecu' | 'bus' | 'clock' | 'storage'>> {
  readonly ecu?: Record<string, unknown>;
  readonly openblt?: Record<string, unknown>;
  readonly faults?: EcuFaults;
  /** The board is not powered yet. */
  readonly off?: boolean;
}

export async function boardBench({ ecu: fields, openblt, off, ...given }: BoardBenchOptions = {}) {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock });
  const ecu = ecuSchema.parse({
    name: 'BLT',
    hardwareId: 'BLT-HW-1',
    memory: { regions: [{ address: START, size: 0x4000, eraseUnit: SECTOR }] },
    ...fields,
    programming: { protocol: 'openblt', openblt: { ...openblt } },
  });
  const storage = new MemoryStorage();
  const flash = new MemoryStorage();
  const events: string[] = [];
  const board = await OpenbltBoard.start({
    ...{ bus: wire.attach('board'), clock, storage: flash, ecu },
    random: seededRandom(1),
    logger: silentLogger,
    factoryImage: { segments: [{ address: START, bytes: firmware('1.0.0') }] },
    onEvent: (event) => events.push(event.kind),
    ...given,
  });
  if (off === true) board.losePower();
  else await clock.advance(1000);
  const tester = wire.attach('tester');
  const frames: string[] = [];
  wire.trace = ({ frame }) => frames.push(Buffer.from(frame.data).toString('hex'));
  const connect = (waitMs?: number) =>
    boardOnBus(tester, { ecu, clock, storage, ...(waitMs === undefined ? {} : { waitMs }) }).driver;
  const driver = connect();
  const within = <T>(work: Promise<T>): Promise<T> => clock.run(work, 1_000_000);
  return { clock, wire, ecu, board, driver, connect, storage, flash, events, frames, within };
}

export function reasonOf(done: DriverResult<unknown>): string {
  return done.ok ? 'ok' : `${done.code} ${done.changed} ${done.reason}`;
}
