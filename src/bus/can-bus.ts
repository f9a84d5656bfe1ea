// The interface of every bus: SocketCAN, the local bus and the simulated one pass the same contract tests.

import { CanOtaError } from '../core/errors.ts';
import type { CanFrame } from './can-frame.ts';

/**
 * Accepts data frames with `(frame.id & mask) === (id & mask)` of the named width only. Remote frames pass only an empty
 * list of filters: the kernel's filters have the remote bit in the mask, and every bus does the same.
 */
export interface CanFilter {
  readonly id: number;
  readonly mask: number;
  readonly extended: boolean;
}

/** One exact identifier. */
export function exactFilter(id: number, extended: boolean): CanFilter {
  return { id, mask: extended ? 0x1fffffff : 0x7ff, extended };
}

export function filterAccepts(filter: CanFilter, frame: CanFrame): boolean {
  return (
    filter.extended === frame.extended &&
    !frame.remote &&
    (frame.id & filter.mask) === (filter.id & filter.mask)
  );
}

/** A frame seen on the bus. `atMs` is on the clock of the bus. */
export interface BusFrame {
  readonly frame: CanFrame;
  readonly atMs: number;
  /** `tx`: the echo of a frame that this bus object sent. Only monitors get these. */
  readonly direction: 'rx' | 'tx';
}

/** What became of a frame that was handed to `send`. Exactly one per frame, never none. */
export type SendOutcome =
  | { readonly kind: 'sent'; readonly atMs: number }
  | { readonly kind: 'failed'; readonly code: SendFailure; readonly reason: string };

/** `BUS_DOWN` covers a lost broker, a missing interface and bus-off. */
export type SendFailure = 'BUS_DOWN' | 'CLOSED' | 'REFUSED';

/** Fault confinement of ISO 11898-1 6.8, plus `down` for an interface or broker that is gone. */
export type BusState = 'active' | 'warning' | 'passive' | 'bus-off' | 'down';

export interface BusStateChange {
  readonly state: BusState;
  /** What the controller or the broker reported. */
  readonly reason: string;
  readonly atMs: number;
}

export interface Subscription {
  close(): void;
}

/** Counters since the bus was opened. */
export interface BusStatistics {
  readonly sent: number;
  readonly received: number;
  /** Frames known to be lost in reception (socket buffer overrun and the like). */
  readonly lost: number;
}

/** What a bus knows of its wire and of its controller. A member that this bus cannot tell is missing. */
export interface WireFacts {
  /** Identifies the counting: when the value changes, all counters have started again. */
  readonly era: string;
  /** Time in which the wire was in use by any node, in ms. */
  readonly busyMs?: number;
  /** `busyMs` is a lower bound: the frames were counted, their stuff bits were not. */
  readonly isLeast?: boolean;
  /** Errors on the wire that were counted by the controller (or, in the simulation, by the wire). */
  readonly errors?: number;
  /** Frames that the interface has dropped in either direction. */
  readonly dropped?: number;
  /** Present TEC and REC of ISO 11898-1 12.1.4. */
  readonly errorCounters?: { readonly transmit: number; readonly receive: number };
}

export interface CanBus {
  readonly kind: 'socketcan' | 'local' | 'simulated';
  /** `vcan0`, `bench`: the name without the scheme. */
  readonly name: string;
  /** CAN FD frames can be sent. */
  readonly fd: boolean;
  /** Nominal bit rate in bit/s where the wire has one; undefined on vcan and on an unpaced bus. */
  readonly bitrate: number | undefined;
  /** Bit rate of the data phase of CAN FD frames with BRS, like `bitrate`. */
  readonly dataBitrate: number | undefined;
  /**
   * Frames that one peer may send to us in a burst without any being lost while this process is busy:
   * a receiver chooses its ISO-TP block size below it. Infinity where the bus holds its senders back.
   */
  readonly receiveBurst: number;
  /** Frames that may be handed over before the first is on the wire; further ones still queue, in order. */
  readonly transmitQueue: number;

  /**
   * Queues a frame. No frame is dropped silently: `done` is called once, when the frame was on the wire (its echo was
   * seen) or could not be sent. Frames of one bus object keep their order. A malformed frame is REFUSED.
   */
  send(frame: CanFrame, done?: (outcome: SendOutcome) => void): void;
  /** Frames of other nodes that pass one of `filters` (empty list: all), without frames of this bus object. */
  subscribe(filters: readonly CanFilter[], onFrame: (seen: BusFrame) => void): Subscription;
  /** Every frame on the bus; those of this bus object have the direction `tx`. */
  monitor(onFrame: (seen: BusFrame) => void): Subscription;
  readonly state: BusState;
  onState(listener: (change: BusStateChange) => void): Subscription;
  statistics(): BusStatistics;
  /** Undefined where the wire cannot be asked: it is down, or the bus is closed. */
  wireFacts(): Promise<WireFacts | undefined>;
  /** How many other processes are on this bus now; undefined where that cannot be told. */
  others?(): Promise<number | undefined>;
  close(): Promise<void>;
}

export type BusErrorCode =
  | 'BAD_SPEC'
  | 'NO_INTERFACE'
  | 'INTERFACE_DOWN'
  | 'NO_FD'
  | 'NO_DRIVER'
  | 'NO_PERMISSION'
  | 'CONFIG_MISMATCH'
  | 'BROKER';

/** A bus could not be opened. The message says what to do about it. */
export class BusError extends CanOtaError {
  readonly code: BusErrorCode;

  constructor(code: BusErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
