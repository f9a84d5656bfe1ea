// The shell around sender and receiver: one ISO-TP connection on a CanBus, full duplex, on a handed-in clock.

import type { BusFrame, CanBus, SendOutcome, Subscription } from '../bus/can-bus.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { present } from '../core/present.ts';
import { type IsoTpAddress, receiveFilter } from './address.ts';
import { defaultIsoTpConfig, type IsoTpConfig } from './config.ts';
import type { ConnectionListener, IsoTpConnection, NResult, SendResult } from './connection.ts';
import { decodePci } from './pci.ts';
import { IsoTpReceiver, type Readiness } from './receiver.ts';
import { type Deadline, IsoTpSender } from './sender.ts';

export interface IsoTpChannelOptions {
  readonly bus: CanBus;
  readonly clock: Clock;
  readonly address: IsoTpAddress;
  readonly config?: Partial<IsoTpConfig>;
  /**
   * `functional`: single frames only, as ISO 15765-2 demands for functional addressing. The tester sends them, the ECU
   * receives them, and neither sends flow control.
   */
  readonly kind?: 'physical' | 'functional';
  /** Missing: always ready. */
  readonly readiness?: Readiness;
}

interface Outgoing {
  readonly message: Uint8Array;
  readonly done: ((result: SendResult) => void) | undefined;
}

/** Most frames in the queue of the bus: they keep the wire full while our process is busy; more would delay an abort. */
const MAX_SEND_AHEAD = 64;

/** `auto` block size on a bus that can lose frames: half the burst, so that two peers may send, and at most 255. */
function resolveBlockSize(config: IsoTpConfig, bus: CanBus): number {
  if (config.blockSize !== 'auto') return config.blockSize;
  if (bus.receiveBurst === Number.POSITIVE_INFINITY) return 0;
  return Math.max(1, Math.min(255, Math.floor(bus.receiveBurst / 2)));
}

export class IsoTpChannel implements IsoTpConnection {
  readonly #bus: CanBus;
  readonly #clock: Clock;
  readonly #address: IsoTpAddress;
  readonly #config: IsoTpConfig;
  readonly #functional: boolean;
  readonly #sender: IsoTpSender;
  readonly #receiver: IsoTpReceiver;
  readonly #queue: Outgoing[] = [];
  readonly #listeners: ConnectionListener[] = [];
  readonly #subscription: Subscription;
  readonly #pciAt: number;
  #sending: Outgoing | undefined;
  /** Number of the present message: confirmations of an abandoned message carry an older one. */
  #generation = 0;
  /** Handles the outcomes of the frames of the present message. */
  #onMessageOutcome: (outcome: SendOutcome) => void = () => {};
  #timer: Timer | undefined;
  #timerDueMs = 0;
  #closed = false;

  /** Throws RangeError when the configuration contradicts itself or the bus (CAN FD on a classic bus). */
  constructor(options: IsoTpChannelOptions) {
    this.#bus = options.bus;
    this.#clock = options.clock;
    this.#address = options.address;
    this.#config = { ...defaultIsoTpConfig, ...options.config };
    this.#functional = options.kind === 'functional';
    if (this.#config.fd !== false && !options.bus.fd) {
      throw new RangeError(
        `CAN FD is configured, but ${options.bus.name} carries classic frames only`,
      );
    }
    const { txAddressByte } = options.address;
    const sendAhead = Math.min(MAX_SEND_AHEAD, options.bus.transmitQueue);
    this.#sender = new IsoTpSender(this.#config, txAddressByte, sendAhead);
    const receiverConfig = {
      ...this.#config,
      blockSize: resolveBlockSize(this.#config, options.bus),
    };
    this.#receiver = new IsoTpReceiver(
      options.readiness === undefined
        ? receiverConfig
        : { ...receiverConfig, readiness: options.readiness },
      txAddressByte,
    );
    this.#pciAt = options.address.rxAddressByte === undefined ? 0 : 1;
    this.#subscription = options.bus.subscribe([receiveFilter(options.address)], this.#onFrame);
  }

  listen(listener: ConnectionListener): void {
    this.#listeners.push(listener);
  }

  screen(wanted: (start: Uint8Array) => boolean): void {
    this.#receiver.screen(wanted);
  }

  send(message: Uint8Array, done?: (result: SendResult) => void): void {
    if (message.length === 0 || message.length > this.#config.maxMessageLength) {
      throw new RangeError(
        `an ISO-TP message here has 1 to ${this.#config.maxMessageLength} bytes, not ${message.length}`,
      );
    }
    if (this.#functional && !this.#sender.fitsSingleFrame(message.length)) {
      throw new RangeError(
        `a functional request is a single frame, ${message.length} bytes are too many`,
      );
    }
    if (this.#closed) {
      done?.({ result: 'CLOSED', atMs: this.#clock.nowMs(), reason: 'the connection is closed' });
      return;
    }
    this.#queue.push({ message, done });
    this.#pump();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#generation++;
    this.#sender.abort();
    const pending = this.#sending === undefined ? this.#queue : [this.#sending, ...this.#queue];
    this.#sending = undefined;
    const result: SendResult = {
      result: 'CLOSED',
      atMs: this.#clock.nowMs(),
      reason: 'the connection was closed',
    };
    for (const outgoing of pending.splice(0)) outgoing.done?.(result);
    this.#queue.length = 0;
  }

  readonly #onFrame = ({ frame, atMs }: BusFrame): void => {
    if (frame.remote || this.#closed) return;
    const { rxAddressByte } = this.#address;
    if (rxAddressByte !== undefined && frame.data[0] !== rxAddressByte) return;
    const pci = decodePci(frame.data, this.#pciAt);
    if (pci.kind === 'flow-control') {
      this.#finish(this.#sender.flowControl(pci, atMs), atMs);
    } else if (!this.#functional || pci.kind === 'single') {
      this.#receiver.frame(pci, frame.data, atMs);
    }
    this.#deliver(atMs);
    this.#pump();
  };

  /** Does all that is possible now: hands messages to the sender and frames to the bus, and sets the timer. */
  #pump(): void {
    if (this.#closed) return;
    const nowMs = this.#clock.nowMs();
    const flowControl = this.#receiver.pull(nowMs);
    if (flowControl !== undefined) this.#transmit(flowControl, this.#onFlowControlOutcome);
    if (this.#sending === undefined) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        this.#sending = next;
        const generation = ++this.#generation;
        this.#onMessageOutcome = (outcome) => this.#onOutcome(generation, outcome);
        this.#sender.begin(next.message);
      }
    }
    if (this.#sending !== undefined) {
      const generation = this.#generation;
      const done = this.#onMessageOutcome;
      for (;;) {
        const data = this.#sender.pull(nowMs);
        if (data === undefined) break;
        this.#transmit(data, done);
        if (generation !== this.#generation) return; // the bus answered at once, and the message has ended
      }
    }
    this.#arm(nowMs);
  }

  #transmit(data: Uint8Array, done: (outcome: SendOutcome) => void): void {
    const { fd } = this.#config;
    const { id, extended } = this.#address.tx;
    const frame: CanFrame = {
      id,
      extended,
      data,
      fd: fd !== false,
      brs: fd !== false && fd.brs,
      remote: false,
    };
    this.#bus.send(frame, done);
  }

  #onOutcome(generation: number, outcome: SendOutcome): void {
    if (generation !== this.#generation || this.#closed) return;
    if (outcome.kind === 'sent') {
      this.#finish(this.#sender.confirmed(outcome.atMs), outcome.atMs);
    } else {
      this.#sender.abort();
      this.#finish('BUS', this.#clock.nowMs(), outcome.reason);
    }
    this.#pump();
  }

  readonly #onFlowControlOutcome = (outcome: SendOutcome): void => {
    if (this.#closed) return;
    if (outcome.kind === 'sent') this.#receiver.confirmed(outcome.atMs);
    else this.#receiver.fail('BUS', outcome.reason);
    this.#deliver(this.#clock.nowMs());
    this.#pump();
  };

  #finish(result: NResult | undefined, atMs: number, reason?: string): void {
    if (result === undefined) return;
    const { done } = this.#sending ?? {};
    this.#sending = undefined;
    this.#generation++;
    done?.({ result, atMs, reason: reason ?? SEND_REASONS[result] ?? result });
  }

  #deliver(atMs: number): void {
    for (;;) {
      const event = this.#receiver.take();
      if (event === undefined) return;
      for (const listener of this.#listeners) {
        switch (event.kind) {
          case 'message':
            listener.onMessage(event.message, atMs);
            break;
          case 'first-frame':
            listener.onFirstFrame?.(event.length, atMs);
            break;
          case 'unwanted':
            listener.onUnwanted?.(event.start, event.length, atMs);
            break;
          case 'error':
            listener.onReceiveError?.(event.result, event.reason, atMs);
            break;
        }
      }
    }
  }

  /** Sets one timer for the nearest deadline. For a later one the running timer stays and is set again when it fires. */
  #arm(nowMs: number): void {
    const dueMs = Math.min(this.#sender.dueMs(), this.#receiver.dueMs());
    if (dueMs === Number.POSITIVE_INFINITY) {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    if (this.#timer !== undefined) {
      if (this.#timerDueMs <= dueMs) return;
      this.#timer.cancel();
    }
    const next = earlier(this.#sender.deadline(), this.#receiver.deadline());
    const { name } = present(next, 'the deadline of the timer');
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.after(name, dueMs - nowMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    this.#finish(this.#sender.tick(nowMs), nowMs);
    this.#receiver.tick(nowMs);
    this.#deliver(nowMs);
    this.#pump();
  };
}

function earlier(a: Deadline | undefined, b: Deadline | undefined): Deadline | undefined {
  if (a === undefined) return b;
  return b === undefined || a.atMs <= b.atMs ? a : b;
}

const SEND_REASONS: Partial<Record<NResult, string>> = {
  N_OK: 'sent',
  N_TIMEOUT_A:
    'a frame was not on the bus in time (N_As): is another node connected and acknowledging?',
  N_TIMEOUT_Bs: 'the receiver sent no flow control in time (N_Bs)',
  N_INVALID_FS: 'the receiver sent a reserved flow status',
  N_WFT_OVRN: 'the receiver answered with WAIT for longer than it may (timing.waitLimitMs)',
  N_BUFFER_OVFLW: 'the receiver has no room for a message of this length',
};
