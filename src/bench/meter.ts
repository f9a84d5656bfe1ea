// Watches the bench's bus: frames, load, and the limit that the frame bits set for a transfer.

import { frameDurationMs } from '../bus/bit-timing.ts';
import type { CanBus } from '../bus/can-bus.ts';
import { classicFrame } from '../bus/can-frame.ts';
import { interfaceFacts } from '../bus/interface-facts.ts';
import { interfaceCounter } from '../bus/interface-status.ts';
import { transferLimit } from '../bus/transfer-limit.ts';
import { systemClock } from '../core/clock.ts';
import { itemAt, present } from '../core/present.ts';
import { testerAddresses } from '../isotp/address.ts';
import { busOf } from '../vehicle/check-references.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';

/** The bit rates for shares: those of the wire, or those of the vehicle where the bus has none (vcan, unpaced). */
interface BitRates {
  readonly bitrate: number;
  readonly dataBitrate: number;
}

function bitRates(bus: CanBus, vehicle: Vehicle, busName: string): BitRates {
  const described = present(vehicle.buses[busName], `bus ${busName}`);
  const bitrate = bus.bitrate ?? described.bitrate;
  return { bitrate, dataBitrate: bus.dataBitrate ?? Math.max(bitrate, described.dataBitrate) };
}

/** Bytes of an image per second that the wire can carry to `ecu` at best. */
export function limitOf(ecu: VehicleEcu, vehicle: Vehicle, bus: CanBus): number {
  const { physical } = testerAddresses(ecu.address);
  const { fd } = ecu;
  return transferLimit({
    ...bitRates(bus, vehicle, busOf(vehicle, ecu)),
    fd: fd !== false,
    brs: fd !== false && fd.brs,
    txDl: fd === false ? 8 : fd.txDl,
    extended: physical.tx.extended,
    blockLength: Math.min(0xfff, ecu.programming.maxBlockLength),
    requestId: physical.tx.id,
    responseId: physical.rx.id,
    addressBytes: physical.txAddressByte === undefined ? 0 : 1,
  }).bytesPerSecond;
}

/** Frames on the bus since the meter was opened. */
export interface FrameMeter {
  readonly frames: number;
  /** Share of about the last second in which the wire was in use, at the bit rates of `bitRates`. */
  readonly load: number;
  close(): void;
}

/**
 * Listens to each frame of a local bus. Of an interface only the counters are read: listening to all of its frames would
 * take the processor time that the ECUs on this machine need.
 */
export async function openMeter(bus: CanBus, vehicle: Vehicle): Promise<FrameMeter> {
  const rates = bitRates(bus, vehicle, itemAt(Object.keys(vehicle.buses), 0));
  if (bus.kind !== 'socketcan') return new ListeningMeter(bus, rates);
  // A vcan counts every frame as sent and, looped back, as received; a real controller counts it once.
  const virtual = (await interfaceFacts(bus.name))?.driver === 'vcan';
  return new CountingMeter(bus.name, virtual ? ['tx'] : ['tx', 'rx'], rates);
}

/** Time over which the bus load is averaged. */
const WINDOW_MS = 1000;

class Load {
  #startMs = systemClock.nowMs();
  #startBusyMs = 0;
  #share = 0;

  /** `busyMs`: wire time since the start. */
  at(busyMs: number): number {
    const nowMs = systemClock.nowMs();
    const elapsedMs = nowMs - this.#startMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#share = (busyMs - this.#startBusyMs) / elapsedMs;
      this.#startMs = nowMs;
      this.#startBusyMs = busyMs;
    }
    return this.#share;
  }
}

class ListeningMeter implements FrameMeter {
  readonly #subscription: { close(): void };
  readonly #load = new Load();
  #busyMs = 0;
  frames = 0;

  constructor(bus: CanBus, { bitrate, dataBitrate }: BitRates) {
    this.#subscription = bus.monitor(({ frame }) => {
      this.frames++;
      this.#busyMs += frameDurationMs(frame, bitrate, dataBitrate);
    });
  }

  get load(): number {
    return this.#load.at(this.#busyMs);
  }

  close(): void {
    this.#subscription.close();
  }
}

class CountingMeter implements FrameMeter {
  readonly #name: string;
  readonly #directions: readonly ('tx' | 'rx')[];
  readonly #load = new Load();
  readonly #startFrames: number;
  readonly #startBytes: number;
  /** Wire time of a frame without data, and of one byte of data with average stuffing. */
  readonly #frameMs: number;
  readonly #byteMs: number;

  constructor(
    name: string,
    directions: readonly ('tx' | 'rx')[],
    { bitrate, dataBitrate }: BitRates,
  ) {
    this.#name = name;
    this.#directions = directions;
    this.#startFrames = this.#sum('packets');
    this.#startBytes = this.#sum('bytes');
    this.#frameMs = frameDurationMs(classicFrame(0x7e0, new Uint8Array()), bitrate, dataBitrate);
    this.#byteMs = (8 * (1 + 1 / 31) * 1000) / bitrate;
  }

  #sum(what: 'packets' | 'bytes'): number {
    return this.#directions.reduce(
      (sum, direction) => sum + (interfaceCounter(this.#name, `${direction}_${what}`) ?? 0),
      0,
    );
  }

  get frames(): number {
    return this.#sum('packets') - this.#startFrames;
  }

  get load(): number {
    const bytes = this.#sum('bytes') - this.#startBytes;
    return this.#load.at(this.frames * this.#frameMs + bytes * this.#byteMs);
  }

  close(): void {}
}
