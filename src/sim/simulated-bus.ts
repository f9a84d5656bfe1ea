// A bus of one process under virtual time: same wire engine as the local bus, faults on request.

import { frameDurationMs } from '../bus/bit-timing.ts';
import { BusEndpoint } from '../bus/bus-endpoint.ts';
import type { BusState, CanBus, CanFilter } from '../bus/can-bus.ts';
import { filterAccepts } from '../bus/can-bus.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import { arbitrationKey, Wire, type WireNode } from '../bus/wire.ts';
import type { Clock, Timer } from '../core/clock.ts';

/**
 * What becomes of a frame at the end of its time on the wire. The sender's controller always believes that it
 * was sent; an object replaces it for the receivers, or delivers it to all but the named ones.
 */
export type FrameFate =
  | 'pass'
  | 'drop'
  | 'duplicate'
  | { readonly replaceBy: CanFrame }
  | { readonly missedBy: readonly string[] };

export interface SimulatedWireOptions {
  readonly clock: Clock;
  /** bit/s; missing or 0: frames take no time. */
  readonly bitrate?: number;
  /** bit/s of the data phase; missing: the nominal bit rate. */
  readonly dataBitrate?: number;
  /** What the attached buses are called; `simulated` where missing. */
  readonly name?: string;
}

/** A node's bus, with the faults that only the simulation can cause. */
export interface SimulatedBus extends CanBus {
  readonly node: string;
  /** `bus-off` or `down`: what waits fails, nothing is sent or heard until `active` again. */
  setState(state: BusState, reason?: string): void;
}

interface Sent {
  readonly frame: CanFrame;
}

/** Frames handed on in one instant of an unpaced wire before others get their turn. */
const STEP_LIMIT = 64;

export class SimulatedWire {
  readonly #clock: Clock;
  readonly #wire = new Wire<Sent>();
  readonly #buses = new Map<WireNode<Sent>, SimulatedNode>();
  #timer: Timer | undefined;
  #timerDueMs = 0;
  readonly name: string;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  /** Asked once for every frame that reaches its end; undefined passes all. */
  filter: ((frame: CanFrame, from: string) => FrameFate) | undefined;

  constructor(options: SimulatedWireOptions) {
    this.#clock = options.clock;
    this.name = options.name ?? 'simulated';
    const paced = options.bitrate !== undefined && options.bitrate > 0;
    this.bitrate = paced ? options.bitrate : undefined;
    this.dataBitrate = paced ? (options.dataBitrate ?? options.bitrate) : undefined;
  }

  /** Share of elapsed virtual time in which the wire was in use needs this: wire time so far. */
  get busyMs(): number {
    return this.#wire.busyMs;
  }

  get frames(): number {
    return this.#wire.frames;
  }

  /** A further node. Names should be unique; `filter` and `missedBy` speak of them. */
  attach(name: string): SimulatedBus {
    const node = this.#wire.attach();
    const bus = new SimulatedNode(this, name, this.#clock, {
      enqueue: (frame) => this.#enqueue(node, frame),
      clear: () => this.#wire.clear(node).length,
      detach: () => {
        this.#wire.detach(node);
        this.#buses.delete(node);
      },
    });
    this.#buses.set(node, bus);
    return bus;
  }

  /** All nodes at once: the cable is cut, or repaired. */
  setState(state: BusState, reason?: string): void {
    for (const bus of this.#buses.values()) bus.setState(state, reason);
  }

  #enqueue(node: WireNode<Sent>, frame: CanFrame): void {
    const nowMs = this.#clock.nowMs();
    const durationMs =
      this.bitrate === undefined
        ? 0
        : frameDurationMs(frame, this.bitrate, this.dataBitrate ?? this.bitrate);
    this.#wire.enqueue(node, {
      key: arbitrationKey(frame),
      durationMs,
      readyMs: nowMs,
      item: { frame },
    });
    // Not at once: other nodes may have something to send in the same instant, and arbitration is between all.
    this.#wakeAt(nowMs);
  }

  #wakeAt(dueMs: number): void {
    if (this.#timer !== undefined) {
      if (this.#timerDueMs <= dueMs) return;
      this.#timer.cancel();
    }
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.after('wire', dueMs - this.#clock.nowMs(), () => {
      this.#timer = undefined;
      // Rounding of a sum of durations must not make a timer fire a hair early for ever.
      const nowMs = Math.max(this.#clock.nowMs(), dueMs);
      const nextMs = this.#wire.step(nowMs, this.#deliver, STEP_LIMIT);
      if (nextMs !== undefined) this.#wakeAt(nextMs);
    });
  }

  readonly #deliver = (node: WireNode<Sent>, { frame }: Sent, endMs: number): void => {
    const sender = this.#buses.get(node);
    const fate = this.filter?.(frame, sender?.node ?? '') ?? 'pass';
    sender?.wasSent(endMs);
    if (fate === 'drop') return;
    const carried = typeof fate === 'object' && 'replaceBy' in fate ? fate.replaceBy : frame;
    const missedBy = typeof fate === 'object' && 'missedBy' in fate ? fate.missedBy : [];
    for (let copies = fate === 'duplicate' ? 2 : 1; copies > 0; copies--) {
      for (const bus of [...this.#buses.values()]) {
        if (bus !== sender && !missedBy.includes(bus.node)) bus.hears(carried, endMs);
      }
    }
  };
}

interface Attachment {
  enqueue(frame: CanFrame): void;
  /** Takes back what waits, returns how many. */
  clear(): number;
  detach(): void;
}

class SimulatedNode extends BusEndpoint implements SimulatedBus {
  readonly kind = 'simulated';
  readonly node: string;
  readonly name: string;
  readonly fd = true;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  readonly receiveBurst = Number.POSITIVE_INFINITY;
  readonly transmitQueue = 64;
  readonly #clock: Clock;
  readonly #attachment: Attachment;
  #filters: readonly CanFilter[] | undefined = [];
  #downReason: string | undefined;
  /** Frames whose outcome was told as failed while they were on the wire: their end is no news. */
  #abandoned = 0;

  constructor(wire: SimulatedWire, node: string, clock: Clock, attachment: Attachment) {
    super();
    this.node = node;
    this.name = wire.name;
    this.bitrate = wire.bitrate;
    this.dataBitrate = wire.dataBitrate;
    this.#clock = clock;
    this.#attachment = attachment;
  }

  setState(state: BusState, reason: string = `simulated: ${state}`): void {
    this.#downReason = state === 'bus-off' || state === 'down' ? reason : undefined;
    if (this.#downReason !== undefined) {
      const waiting = this.#attachment.clear();
      this.#abandoned += this.pendingCount - waiting;
      this.failed(this.pendingCount, 'BUS_DOWN', reason);
    }
    this.changeState(state, reason, this.#clock.nowMs());
  }

  wasSent(atMs: number): void {
    if (this.#abandoned > 0) this.#abandoned--;
    else this.confirmed(atMs);
  }

  hears(frame: CanFrame, atMs: number): void {
    if (this.#downReason !== undefined) return;
    const wanted = this.#filters;
    if (wanted !== undefined && !wanted.some((filter) => filterAccepts(filter, frame))) return;
    // Every receiver has its own copy, as it would from a real controller.
    this.received({ ...frame, data: Uint8Array.from(frame.data) }, atMs);
  }

  protected override transmit(frame: CanFrame): void {
    this.#attachment.enqueue(frame);
  }

  protected override soon(call: () => void): void {
    this.#clock.after('refused', 0, call);
  }

  protected override listening(filters: readonly CanFilter[] | undefined): void {
    this.#filters = filters;
  }

  protected override refusalReason(): string | undefined {
    return this.#downReason;
  }

  protected override async shutDown(): Promise<void> {
    this.#attachment.detach();
  }
}
