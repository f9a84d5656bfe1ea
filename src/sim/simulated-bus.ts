// A bus of one process under virtual time: same wire engine as the local bus, faults on request.

import { frameDurationMs } from '../bus/bit-timing.ts';
import { copyOf } from '../bus/bus-endpoint.ts';
import type { BusState } from '../bus/can-bus.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import { arbitrationKey, type WaitingFrame, Wire, type WireNode } from '../bus/wire.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { FrameDigest } from './frame-digest.ts';
import {
  type AttachOptions,
  type NodeWire,
  type SimulatedBus,
  SimulatedNode,
} from './simulated-node.ts';

export type { AttachOptions, SimulatedBus } from './simulated-node.ts';

/**
 * What becomes of a frame at the end of its time on the wire.
 *
 * `corrupt`: disturbed in the last but one bit of its end. All nodes see it at the same bit and signal it; an error
 * frame follows, error counters rise, and the controller of the sender sends it again until it comes through or
 * the controller is bus-off. A disturbance that the CRC misses is not simulated: it would be an attack, and
 * `replaceBy` is there for those.
 *
 * The others are faults of single controllers, of which the sender's one knows nothing: `drop` is lost in full
 * receive buffers, `duplicate` is sent again after an acknowledge error that only the sender saw; an object
 * replaces the frame for the receivers, or delivers it to all but the named ones.
 */
export type FrameFate =
  | 'pass'
  | 'corrupt'
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

/** One frame that was on the wire, in whole or in part. */
export interface WireEvent {
  readonly frame: CanFrame;
  readonly from: string;
  readonly atMs: number;
  /** `broken`: the sender lost its power on the way. */
  readonly fate: FrameFate | 'broken';
}

/** Frames handed on in one instant of an unpaced wire before others get their turn. */
const STEP_LIMIT = 64;

/**
 * Bits that a spoiled frame takes more than a good one. It is cut off one bit and the intermission early; error
 * flag, delimiter and intermission follow. The flags of all nodes coincide; passive ones are as long, but recessive.
 */
const ERROR_FRAME_BITS = -(1 + 3) + 6 + 8 + 3;
/** ISO 11898-1 10.4.6.4: what an error passive node waits after its own frame, so that others come first. */
const SUSPEND_BITS = 8;

/** Of each frame one object, which is its place in the queue, too. */
class Transmission implements WaitingFrame<Transmission> {
  readonly key: number;
  readonly durationMs: number;
  readonly readyMs: number;
  readonly frame: CanFrame;
  readonly from: SimulatedNode;

  constructor(from: SimulatedNode, frame: CanFrame, durationMs: number, readyMs: number) {
    this.key = arbitrationKey(frame);
    this.durationMs = durationMs;
    this.readyMs = readyMs;
    this.frame = frame;
    this.from = from;
  }

  get item(): Transmission {
    return this;
  }
}

type Node = WireNode<Transmission>;

export class SimulatedWire implements NodeWire {
  readonly #clock: Clock;
  readonly #wire = new Wire<Transmission>();
  readonly #ends = new Map<SimulatedNode, Node>();
  /** The same nodes; copied on change, because nodes come and go while a frame is handed out. */
  #nodes: readonly SimulatedNode[] = [];
  /** Who listens to an identifier, as far as somebody asked. */
  readonly #listeners = new Map<number, readonly SimulatedNode[]>();
  readonly #digest = new FrameDigest();
  #timer: Timer | undefined;
  #timerDueMs = 0;
  /** The end of the frame that is being delivered: what is sent in answer to it is ready then. */
  #deliveringMs: number | undefined;
  /** Some error counter may not be zero: otherwise there is nothing to count down. */
  #strained = false;
  #errorFrames = 0;
  readonly name: string;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  readonly bitMs: number;
  /** Asked whenever a frame reaches its end, repetitions of spoiled ones included; undefined passes all. */
  filter: ((frame: CanFrame, from: string) => FrameFate) | undefined;
  /** Told of everything that was on the wire, before its receivers are. */
  trace: ((event: WireEvent) => void) | undefined;

  constructor(options: SimulatedWireOptions) {
    this.#clock = options.clock;
    this.name = options.name ?? 'simulated';
    const paced = options.bitrate !== undefined && options.bitrate > 0;
    this.bitrate = paced ? options.bitrate : undefined;
    this.dataBitrate = paced ? (options.dataBitrate ?? options.bitrate) : undefined;
    this.bitMs = this.bitrate === undefined ? 0 : 1000 / this.bitrate;
  }

  /** Share of elapsed virtual time in which the wire was in use needs this: wire time so far. */
  get busyMs(): number {
    return this.#wire.busyMs;
  }

  busyMsNow(): number {
    return this.#wire.busyMsAt(this.#clock.nowMs());
  }

  /** Spoiled frames count, each time. */
  get frames(): number {
    return this.#wire.frames;
  }

  get errorFrames(): number {
    return this.#errorFrames;
  }

  /** 16 hex digits over all frames so far with their times and fates: the same seed gives the same ones. */
  digest(): string {
    return this.#digest.text();
  }

  /** A further node. Names should be unique; `filter` and `missedBy` speak of them. */
  attach(name: string, options: AttachOptions = {}): SimulatedBus {
    const node = new SimulatedNode(this, name, this.#clock, options);
    this.#ends.set(node, this.#wire.attach());
    this.#nodes = [...this.#nodes, node];
    return node;
  }

  /** All nodes at once: the cable is cut, or repaired. */
  setState(state: BusState, reason?: string): void {
    for (const node of this.#nodes) node.setState(state, reason);
  }

  enqueue(from: SimulatedNode, frame: CanFrame): void {
    const end = this.#ends.get(from);
    if (end === undefined) return;
    const durationMs =
      this.bitrate === undefined
        ? 0
        : frameDurationMs(frame, this.bitrate, this.dataBitrate ?? this.bitrate);
    const readyMs = this.#deliveringMs ?? this.#clock.nowMs();
    this.#wire.enqueue(end, new Transmission(from, frame, durationMs, readyMs));
    // Not at once: other nodes may have something to send in the same instant, and arbitration is between all.
    if (this.#deliveringMs === undefined) this.#wakeAt(readyMs);
  }

  clear(node: SimulatedNode): number {
    const end = this.#ends.get(node);
    return end === undefined ? 0 : this.#wire.clear(end).length;
  }

  detach(node: SimulatedNode): void {
    const end = this.#ends.get(node);
    if (end === undefined) return;
    this.#wire.detach(end);
    this.#ends.delete(node);
    this.#nodes = this.#nodes.filter((other) => other !== node);
    this.#listeners.clear();
  }

  listenersChanged(): void {
    this.#listeners.clear();
  }

  #wakeAt(dueMs: number): void {
    if (this.#timer !== undefined) {
      if (this.#timerDueMs <= dueMs) return;
      this.#timer.cancel();
    }
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.after('wire', dueMs - this.#clock.nowMs(), this.#step);
  }

  readonly #step = (): void => {
    this.#timer = undefined;
    // Rounding of a sum of durations must not make a timer fire a hair early for ever.
    const nowMs = Math.max(this.#clock.nowMs(), this.#timerDueMs);
    let nextMs: number | undefined;
    try {
      nextMs = this.#wire.step(nowMs, this.#deliver, STEP_LIMIT);
    } finally {
      this.#deliveringMs = undefined;
    }
    if (nextMs !== undefined) this.#wakeAt(nextMs);
  };

  readonly #deliver = (end: Node, sent: Transmission, endMs: number): void => {
    this.#deliveringMs = endMs;
    const { frame, from } = sent;
    const fate = from.vanished ? 'broken' : (this.filter?.(frame, from.node) ?? 'pass');
    this.#digest.add(frame, endMs, fateNumber(fate));
    this.trace?.({ frame, from: from.node, atMs: endMs, fate });
    if (fate === 'broken' || fate === 'corrupt') {
      this.#spoiled(end, sent, endMs, fate === 'corrupt');
      return;
    }
    if (this.#strained) this.#countRight(end, sent, endMs);
    from.wasSent(endMs);
    if (fate === 'pass') this.#hand(frame, sent, endMs, false);
    else if (fate === 'duplicate') {
      this.#hand(frame, sent, endMs, true);
      this.#hand(frame, sent, endMs, true);
    } else if (fate === 'drop') return;
    else if ('replaceBy' in fate) this.#hand(fate.replaceBy, sent, endMs, true);
    else this.#hand(frame, sent, endMs, true, fate.missedBy);
  };

  /** Every receiver has its own bytes, as from a real controller: `copy` unless he is the only one. */
  #hand(
    frame: CanFrame,
    sent: Transmission,
    atMs: number,
    copy: boolean,
    missedBy?: readonly string[],
  ): void {
    const listeners = this.#listenersOf(frame);
    const copies = copy || listeners.length > 1;
    for (let index = 0; index < listeners.length; index++) {
      const node = listeners[index];
      if (node === undefined || node === sent.from || missedBy?.includes(node.node)) continue;
      node.hears(copies ? copyOf(frame) : frame, atMs);
    }
  }

  /** Most frames concern one node of many, and most identifiers come again and again. */
  #listenersOf(frame: CanFrame): readonly SimulatedNode[] {
    const key = frame.id + (frame.extended ? 2 ** 29 : 0) + (frame.remote ? 2 ** 30 : 0);
    let listeners = this.#listeners.get(key);
    if (listeners === undefined) {
      listeners = this.#nodes.filter((node) => node.wants(frame));
      if (this.#listeners.size >= MAX_KNOWN_IDS) this.#listeners.clear();
      this.#listeners.set(key, listeners);
    }
    return listeners;
  }

  /** The error frame, what it does to the counters, and the repetition. */
  #spoiled(end: Node, sent: Transmission, endMs: number, again: boolean): void {
    const { from } = sent;
    this.#errorFrames++;
    this.#strained = true;
    this.#wire.occupy(ERROR_FRAME_BITS * this.bitMs);
    // Before the counters: a controller that they take off the bus gives up what waits, this frame included.
    if (again && !from.gaveUp && from.onBus) this.#wire.sendAgain(end, sent);
    else if (!from.vanished) from.wasSent(endMs);
    for (const node of this.#nodes) {
      if (!node.onBus) continue;
      if (node === from) node.errors.transmitError();
      else node.errors.receiveError();
      node.errorsCounted();
    }
    this.#suspend(end, from, endMs + ERROR_FRAME_BITS * this.bitMs);
  }

  #countRight(end: Node, sent: Transmission, endMs: number): void {
    let strained = false;
    for (const node of this.#nodes) {
      if (!node.onBus || node.errors.clean) continue;
      if (node === sent.from) node.errors.transmitted();
      else node.errors.received();
      node.errorsCounted();
      strained ||= !node.errors.clean;
    }
    this.#suspend(end, sent.from, endMs);
    this.#strained = strained;
  }

  #suspend(end: Node, node: SimulatedNode, freeMs: number): void {
    if (node.errors.state === 'passive') end.notBeforeMs = freeMs + SUSPEND_BITS * this.bitMs;
  }
}

/** Identifiers whose listeners are remembered; a fuzzer may use them all. */
const MAX_KNOWN_IDS = 4096;

function fateNumber(fate: WireEvent['fate']): number {
  if (fate === 'pass') return 0;
  if (typeof fate === 'object') return 'replaceBy' in fate ? 5 : 6;
  return { corrupt: 1, drop: 2, duplicate: 3, broken: 4 }[fate];
}
