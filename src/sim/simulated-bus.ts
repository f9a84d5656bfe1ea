// A bus within one process under virtual time: the wire engine of the local bus, with faults on request.

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
 * Fate of a frame at the end of its time on the wire.
 *
 * `corrupt`: disturbed in the last bit but one of its end of frame. All nodes see it at the same bit and signal it;
 * an error frame follows, error counters rise, and the sender's controller repeats the frame until it succeeds or
 * the controller is bus-off. Disturbances that the CRC does not detect are not simulated: they would be attacks,
 * which use `replaceBy`.
 *
 * The others are faults of single controllers that the sender's controller does not notice: `drop` is lost in full
 * receive buffers; `duplicate` is sent again after an acknowledge error that only the sender saw; an object
 * replaces the frame for the receivers, or delivers it to all except the named ones.
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
  /** Name of the attached buses; `simulated` by default. */
  readonly name?: string;
}

/** One frame that was on the wire, as a whole or in part. */
export interface WireEvent {
  readonly frame: CanFrame;
  readonly from: string;
  readonly atMs: number;
  /** `broken`: the sender lost its power during the frame. */
  readonly fate: FrameFate | 'broken';
}

/** Frames delivered in one instant of an unpaced wire before other work gets a turn. */
const STEP_LIMIT = 64;

/**
 * Bits that a corrupted frame takes more than a correct one. It ends one bit and the intermission early; then error
 * flag, delimiter and intermission follow. The flags of all nodes coincide; passive flags have the same length but
 * are recessive.
 */
const ERROR_FRAME_BITS = -(1 + 3) + 6 + 8 + 3;
/** ISO 11898-1 10.4.6.4: bits that an error passive node waits after its own frame, so that other nodes come first. */
const SUSPEND_BITS = 8;

/** One object for each frame; it also is its place in the queue. */
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
  /** The same nodes; copied on change, because nodes may attach and detach while a frame is delivered. */
  #nodes: readonly SimulatedNode[] = [];
  /** Listeners by identifier, as far as they were looked up. */
  readonly #listeners = new Map<number, readonly SimulatedNode[]>();
  readonly #digest = new FrameDigest();
  #timer: Timer | undefined;
  #timerDueMs = 0;
  /** End of the frame that is being delivered: answers to it are ready at that time. */
  #deliveringMs: number | undefined;
  /** Whether an error counter may be above zero; otherwise no counter needs an update. */
  #strained = false;
  #errorFrames = 0;
  readonly name: string;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  readonly bitMs: number;
  /** Called when a frame reaches its end, repetitions of corrupted frames included; undefined passes all. */
  filter: ((frame: CanFrame, from: string) => FrameFate) | undefined;
  /** Called for everything on the wire, before the receivers. */
  trace: ((event: WireEvent) => void) | undefined;

  constructor(options: SimulatedWireOptions) {
    this.#clock = options.clock;
    this.name = options.name ?? 'simulated';
    const paced = options.bitrate !== undefined && options.bitrate > 0;
    this.bitrate = paced ? options.bitrate : undefined;
    this.dataBitrate = paced ? (options.dataBitrate ?? options.bitrate) : undefined;
    this.bitMs = this.bitrate === undefined ? 0 : 1000 / this.bitrate;
  }

  /** Wire time used so far, for the share of virtual time in which the wire was in use. */
  get busyMs(): number {
    return this.#wire.busyMs;
  }

  busyMsNow(): number {
    return this.#wire.busyMsAt(this.#clock.nowMs());
  }

  /** Corrupted frames count each time. */
  get frames(): number {
    return this.#wire.frames;
  }

  get errorFrames(): number {
    return this.#errorFrames;
  }

  /** 16 hex digits over all frames so far with their times and fates: equal for equal seeds. */
  digest(): string {
    return this.#digest.text();
  }

  /** Attaches a node. Names should be unique: `filter` and `missedBy` use them. */
  attach(name: string, options: AttachOptions = {}): SimulatedBus {
    const node = new SimulatedNode(this, name, this.#clock, options);
    this.#ends.set(node, this.#wire.attach());
    this.#nodes = [...this.#nodes, node];
    return node;
  }

  /** Sets the state of all nodes at once: the cable is cut or repaired. */
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
    // Sending waits for the end of this instant: other nodes may send in the same instant, and arbitration is
    // between all.
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
    // The rounding of summed durations must not make a timer fire slightly early again and again.
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

  /** Every receiver gets its own bytes, as from a real controller; a single receiver gets a copy only with `copy`. */
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

  /** Cached: most frames concern one node of many, and most identifiers repeat. */
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

  /** Handles the error frame, its effect on the counters, and the repetition. */
  #spoiled(end: Node, sent: Transmission, endMs: number, again: boolean): void {
    const { from } = sent;
    this.#errorFrames++;
    this.#strained = true;
    this.#wire.occupy(ERROR_FRAME_BITS * this.bitMs);
    // Comes before the counters: a controller that becomes bus-off drops its waiting frames, this one included.
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

/** Identifiers whose listeners are cached; a fuzzer may use all identifiers. */
const MAX_KNOWN_IDS = 4096;

function fateNumber(fate: WireEvent['fate']): number {
  if (fate === 'pass') return 0;
  if (typeof fate === 'object') return 'replaceBy' in fate ? 5 : 6;
  return { corrupt: 1, drop: 2, duplicate: 3, broken: 4 }[fate];
}
