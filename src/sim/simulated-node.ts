// The bus of one node on the simulated wire: the CanBus that the product uses, and the controller behind it.

import { BusEndpoint } from '../bus/bus-endpoint.ts';
import {
  type BusState,
  type CanBus,
  type CanFilter,
  filterAccepts,
  type SendOutcome,
  type WireFacts,
} from '../bus/can-bus.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import { ErrorClass, readErrorFrame } from '../bus/error-frame.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import { type ConfinementState, ErrorConfinement } from './error-confinement.ts';

/** The bus of a node, with functions that only the simulation has. */
export interface SimulatedBus extends CanBus {
  readonly node: string;
  /** TEC and REC of its controller. */
  readonly errorCounters: { readonly transmit: number; readonly receive: number };
  /** `bus-off` or `down`: waiting frames fail, and nothing is sent or received until `active` again. */
  setState(state: BusState, reason?: string): void;
  /**
   * Restarts a controller that is bus-off: it is active again after 128 times 11 recessive bits, which a busy
   * wire offers once a frame. Does nothing in any other state.
   */
  restart(): void;
  /** Cuts the power of the node: no further frame, outcome or event. Other nodes see its frame on the wire as broken. */
  vanish(): void;
}

export interface AttachOptions {
  /** As `restart-ms` of a CAN interface: time from bus-off to an automatic `restart`. Missing: no automatic restart. */
  readonly restartMs?: number;
}

/** The wire as a node uses it. */
export interface NodeWire {
  readonly name: string;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  /** ms of one bit; 0 on an unpaced wire. */
  readonly bitMs: number;
  /** Wire time used so far, including that of the frame on the wire. */
  busyMsNow(): number;
  readonly frames: number;
  readonly errorFrames: number;
  enqueue(node: SimulatedNode, frame: CanFrame): void;
  /** Removes waiting frames; returns how many. */
  clear(node: SimulatedNode): number;
  detach(node: SimulatedNode): void;
  /** The listeners of some identifier have changed. */
  listenersChanged(): void;
}

/** 12.1.4.4: sequences of 11 recessive bits after which a bus-off node takes part again. */
const RECOVERY_SEQUENCES = 128;
const SEQUENCE_BITS = 11;
/** Recessive bits at the end of a frame that count for this: acknowledge delimiter, end of frame, intermission. */
const RECESSIVE_TAIL_BITS = 11;

export class SimulatedNode extends BusEndpoint implements SimulatedBus {
  readonly kind = 'simulated';
  readonly node: string;
  readonly name: string;
  readonly fd = true;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  readonly receiveBurst = Number.POSITIVE_INFINITY;
  readonly transmitQueue = 64;
  readonly errors = new ErrorConfinement();
  readonly #wire: NodeWire;
  readonly #clock: Clock;
  readonly #restartMs: number | undefined;
  #filters: readonly CanFilter[] | undefined = [];
  #downReason: string | undefined;
  #confinement: ConfinementState = 'active';
  #restartTimer: Timer | undefined;
  #vanished = false;
  /** Frames that were reported as failed while they were on the wire: their end is not reported again. */
  #abandoned = 0;

  constructor(wire: NodeWire, node: string, clock: Clock, options: AttachOptions) {
    super();
    this.node = node;
    this.name = wire.name;
    this.bitrate = wire.bitrate;
    this.dataBitrate = wire.dataBitrate;
    this.#wire = wire;
    this.#clock = clock;
    this.#restartMs = options.restartMs;
  }

  get errorCounters(): { transmit: number; receive: number } {
    return { transmit: this.errors.transmit, receive: this.errors.receive };
  }

  async wireFacts(): Promise<WireFacts | undefined> {
    if (this.#vanished || this.closed) return undefined;
    const { bitrate, errorFrames } = this.#wire;
    return {
      era: 'simulated',
      ...defined({ busyMs: bitrate === undefined ? undefined : this.#wire.busyMsNow() }),
      errors: errorFrames,
      errorCounters: this.errorCounters,
    };
  }

  get vanished(): boolean {
    return this.#vanished;
  }

  /** Whether the node takes part on the wire: sends, receives, acknowledges, counts errors. */
  get onBus(): boolean {
    return this.#downReason === undefined;
  }

  /** The node's frame on the wire was given up and is not sent again. */
  get gaveUp(): boolean {
    return this.#abandoned > 0 || this.closed;
  }

  setState(state: BusState, reason: string = `simulated: ${state}`): void {
    if (this.#vanished) return;
    this.#restartTimer?.cancel();
    this.#restartTimer = undefined;
    this.#downReason = state === 'bus-off' || state === 'down' ? reason : undefined;
    if (this.#downReason !== undefined) {
      const waiting = this.#wire.clear(this);
      this.#abandoned += this.pendingCount - waiting;
      this.failed(this.pendingCount, 'BUS_DOWN', reason);
    }
    if (state === 'active') {
      this.errors.reset();
      this.#confinement = 'active';
    }
    this.changeState(state, reason, this.#clock.nowMs());
  }

  restart(): void {
    if (this.#vanished || this.closed || this.state !== 'bus-off') return;
    this.#restartTimer?.cancel();
    this.#recover(this.#clock.nowMs(), this.#wire.busyMsNow(), this.#wire.frames);
  }

  /** Waits for the recessive bits: each frame since the request offers 11 of them, the idle wire the rest. */
  #recover(sinceMs: number, busyMs: number, frames: number): void {
    const { bitMs } = this.#wire;
    const idleMs = this.#clock.nowMs() - sinceMs - (this.#wire.busyMsNow() - busyMs);
    const bitsLeft =
      RECOVERY_SEQUENCES * SEQUENCE_BITS -
      (this.#wire.frames - frames) * RECESSIVE_TAIL_BITS -
      (bitMs > 0 ? idleMs / bitMs : Number.POSITIVE_INFINITY);
    // A tolerance of half a bit, because sums of times are not exact.
    if (bitsLeft <= 0.5 || bitMs === 0) {
      this.setState('active', readErrorFrame(ErrorClass.restarted, new Uint8Array(8)).reason);
      return;
    }
    this.#restartTimer = this.#clock.after('bus-off-recovery', bitsLeft * bitMs, () =>
      this.#recover(sinceMs, busyMs, frames),
    );
  }

  /** The counters have changed. */
  errorsCounted(): void {
    const { state } = this.errors;
    if (state === this.#confinement) return;
    this.#confinement = state;
    const reason = this.errors.describe();
    if (state !== 'bus-off') {
      this.changeState(state, reason, this.#clock.nowMs());
      return;
    }
    this.setState('bus-off', reason);
    if (this.#restartMs === undefined) return;
    this.#restartTimer = this.#clock.after('restart-ms', this.#restartMs, () => this.restart());
  }

  /** Frames of a program without power are ignored without an error. */
  override send(frame: CanFrame, done?: (outcome: SendOutcome) => void): void {
    if (!this.#vanished) super.send(frame, done);
  }

  vanish(): void {
    if (this.#vanished) return;
    this.#vanished = true;
    this.#downReason = 'without power';
    this.#restartTimer?.cancel();
    this.#wire.detach(this);
    this.silence();
  }

  wasSent(atMs: number): void {
    if (this.#abandoned > 0) this.#abandoned--;
    else this.confirmed(atMs);
  }

  wants(frame: CanFrame): boolean {
    const wanted = this.#filters;
    return wanted === undefined || wanted.some((filter) => filterAccepts(filter, frame));
  }

  hears(frame: CanFrame, atMs: number): void {
    if (this.#downReason === undefined) this.received(frame, atMs);
  }

  protected override transmit(frame: CanFrame): void {
    this.#wire.enqueue(this, frame);
  }

  protected override soon(call: () => void): void {
    this.#clock.after('refused', 0, call);
  }

  protected override listening(filters: readonly CanFilter[] | undefined): void {
    this.#filters = filters;
    this.#wire.listenersChanged();
  }

  protected override refusalReason(): string | undefined {
    return this.#downReason;
  }

  protected override async shutDown(): Promise<void> {
    this.#restartTimer?.cancel();
    this.#wire.detach(this);
  }
}
