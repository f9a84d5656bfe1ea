// What all buses share: subscriptions, monitors, state, counters, and exactly one outcome per frame.

import { copyBytes } from '../core/bytes.ts';
import type {
  BusFrame,
  BusState,
  BusStateChange,
  BusStatistics,
  CanBus,
  CanFilter,
  SendFailure,
  SendOutcome,
  Subscription,
  WireFacts,
} from './can-bus.ts';
import { filterAccepts } from './can-bus.ts';
import { type CanFrame, frameFault } from './can-frame.ts';
import { Fifo } from './fifo.ts';

interface Pending {
  readonly frame: CanFrame;
  readonly done: ((outcome: SendOutcome) => void) | undefined;
}

interface Subscriber {
  readonly filters: readonly CanFilter[];
  readonly onFrame: (seen: BusFrame) => void;
}

/** An error in one listener must not keep frames from the others; it still ends the process. */
function guarded<A>(call: (argument: A) => void, argument: A): void {
  try {
    call(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** A copy with its own bytes. */
export function copyOf(frame: CanFrame): CanFrame {
  const { id, extended, data, fd, brs, remote } = frame;
  const copy = new Uint8Array(data.length);
  copyBytes(data, 0, copy, 0, data.length);
  return { id, extended, data: copy, fd, brs, remote };
}

function accepts(filters: readonly CanFilter[], frame: CanFrame): boolean {
  if (filters.length === 0) return true;
  for (let index = 0; index < filters.length; index++) {
    const filter = filters[index];
    if (filter !== undefined && filterAccepts(filter, frame)) return true;
  }
  return false;
}

/**
 * Base of the buses. A subclass moves frames: `transmit` puts one on its way, `listening` tells which frames of other
 * nodes are wanted. It reports back with `confirmed`, `failed`, `received`, `changeState`. Frames that pass the first
 * checks get their outcomes in the order of `send`.
 */
export abstract class BusEndpoint implements CanBus {
  abstract readonly kind: CanBus['kind'];
  abstract readonly name: string;
  abstract readonly fd: boolean;
  abstract readonly bitrate: number | undefined;
  abstract readonly dataBitrate: number | undefined;
  abstract readonly receiveBurst: number;
  abstract readonly transmitQueue: number;

  #state: BusState = 'active';
  #closed = false;
  #sent = 0;
  #received = 0;
  #lost = 0;
  readonly #pending = new Fifo<Pending>();
  /** Copied on change: a listener may subscribe and unsubscribe while frames are handed out. */
  #subscribers: readonly Subscriber[] = [];
  #monitors: readonly ((seen: BusFrame) => void)[] = [];
  #stateListeners: readonly ((change: BusStateChange) => void)[] = [];

  get state(): BusState {
    return this.#state;
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  /** Frames without an outcome. */
  protected get pendingCount(): number {
    return this.#pending.length;
  }

  send(frame: CanFrame, done?: (outcome: SendOutcome) => void): void {
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) {
      // Not from inside `send`, and not before the event loop had its turn: a caller that tries again in `done` would
      // recurse, or block the events that bring the bus back.
      if (done !== undefined) this.soon(() => done(refusal));
      return;
    }
    // The caller may reuse the array; the wire has to carry what was handed over.
    const own = copyOf(frame);
    this.#pending.push({ frame: own, done });
    this.transmit(own);
  }

  #refusal(frame: CanFrame): SendOutcome | undefined {
    const failed = (code: SendFailure, reason: string): SendOutcome => ({
      kind: 'failed',
      code,
      reason,
    });
    if (this.#closed) return failed('CLOSED', `${this.name} was closed`);
    const fault = frameFault(frame);
    if (fault !== undefined) return failed('REFUSED', fault);
    if (frame.fd && !this.fd) return failed('REFUSED', `${this.name} carries no CAN FD frames`);
    const down = this.refusalReason();
    return down === undefined ? undefined : failed('BUS_DOWN', down);
  }

  subscribe(filters: readonly CanFilter[], onFrame: (seen: BusFrame) => void): Subscription {
    const subscriber: Subscriber = { filters: [...filters], onFrame };
    this.#subscribers = [...this.#subscribers, subscriber];
    this.#listen();
    return {
      close: () => {
        if (!this.#subscribers.includes(subscriber)) return;
        this.#subscribers = this.#subscribers.filter((other) => other !== subscriber);
        this.#listen();
      },
    };
  }

  monitor(onFrame: (seen: BusFrame) => void): Subscription {
    // A function for each call: the same listener may monitor twice.
    const monitor = (seen: BusFrame): void => onFrame(seen);
    this.#monitors = [...this.#monitors, monitor];
    this.#listen();
    return {
      close: () => {
        if (!this.#monitors.includes(monitor)) return;
        this.#monitors = this.#monitors.filter((other) => other !== monitor);
        this.#listen();
      },
    };
  }

  onState(listener: (change: BusStateChange) => void): Subscription {
    const own = (change: BusStateChange): void => listener(change);
    this.#stateListeners = [...this.#stateListeners, own];
    return {
      close: () => {
        this.#stateListeners = this.#stateListeners.filter((other) => other !== own);
      },
    };
  }

  statistics(): BusStatistics {
    return { sent: this.#sent, received: this.#received, lost: this.#lost };
  }

  abstract wireFacts(): Promise<WireFacts | undefined>;

  /** Frames without an outcome fail with CLOSED; whether they reached the wire is not known then. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscribers = [];
    this.#monitors = [];
    await this.shutDown();
    this.failed(
      this.#pending.length,
      'CLOSED',
      `${this.name} was closed before the frame was sent`,
    );
    this.#stateListeners = [];
  }

  /** Puts a frame on its way. It is the newest of `pendingCount`. */
  protected abstract transmit(frame: CanFrame): void;
  /** Tells which frames of other nodes are wanted: undefined means all, an empty list none. */
  protected abstract listening(filters: readonly CanFilter[] | undefined): void;
  protected abstract shutDown(): Promise<void>;

  /** Calls after the work under way; a bus of virtual time overrides this. */
  protected soon(call: () => void): void {
    setImmediate(call);
  }

  /** Why nothing can be sent now, undefined when it can. */
  protected refusalReason(): string | undefined {
    return undefined;
  }

  /** Every wanted filter, undefined when all frames are wanted. */
  protected wantedFilters(): readonly CanFilter[] | undefined {
    if (this.#monitors.length > 0) return undefined;
    const filters: CanFilter[] = [];
    for (const subscriber of this.#subscribers) {
      if (subscriber.filters.length === 0) return undefined;
      filters.push(...subscriber.filters);
    }
    return filters;
  }

  #listen(): void {
    if (!this.#closed) this.listening(this.wantedFilters());
  }

  /** The oldest frame without outcome was on the wire. */
  protected confirmed(atMs: number): void {
    const pending = this.#pending.shift();
    if (pending === undefined) return;
    this.#sent++;
    if (this.#monitors.length > 0) {
      const seen: BusFrame = { frame: pending.frame, atMs, direction: 'tx' };
      for (const monitor of this.#monitors) guarded(monitor, seen);
    }
    if (pending.done !== undefined) guarded(pending.done, { kind: 'sent', atMs });
  }

  /** The `count` oldest frames without outcome will not be sent. */
  protected failed(count: number, code: SendFailure, reason: string): void {
    const outcome: SendOutcome = { kind: 'failed', code, reason };
    // Removed before the callbacks: frames that a callback sends now are not among them.
    const failed: Pending[] = [];
    for (let index = 0; index < count; index++) {
      const pending = this.#pending.shift();
      if (pending === undefined) break;
      failed.push(pending);
    }
    for (const { done } of failed) if (done !== undefined) guarded(done, outcome);
  }

  /** A frame of another node. */
  protected received(frame: CanFrame, atMs: number): void {
    if (this.#closed) return;
    this.#received++;
    const seen: BusFrame = { frame, atMs, direction: 'rx' };
    for (const monitor of this.#monitors) guarded(monitor, seen);
    for (const { filters, onFrame } of this.#subscribers) {
      if (accepts(filters, frame)) guarded(onFrame, seen);
    }
  }

  /** Loss of power: pending frames get no outcome, and listeners are not called any more. */
  protected silence(): void {
    this.#closed = true;
    this.#subscribers = [];
    this.#monitors = [];
    this.#stateListeners = [];
    this.#pending.drain();
  }

  /** Frames are known to be lost in reception. */
  protected countLost(frames: number): void {
    this.#lost += frames;
  }

  protected changeState(state: BusState, reason: string, atMs: number): void {
    if (state === this.#state || this.#closed) return;
    this.#state = state;
    for (const listener of this.#stateListeners) guarded(listener, { state, reason, atMs });
  }
}
