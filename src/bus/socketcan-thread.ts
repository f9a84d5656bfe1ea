// Sends and receives on a SocketCAN interface by the package's channels: retry, echoes, filters, bus state.

import type { Clock, Timer } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { itemAt } from '../core/present.ts';
import type { BusState } from './can-bus.ts';
import type { CanFrame } from './can-frame.ts';
import { readErrorFrame } from './error-frame.ts';
import { Fifo } from './fifo.ts';
import type { InterfaceStatus } from './interface-status.ts';
import {
  CAN_EFF_FLAG,
  CAN_EFF_MASK,
  CAN_SFF_MASK,
  decodeFrame,
  frameRecordLength,
  kernelFilter,
} from './linux-frame.ts';
import { monotonicMs } from './monotonic.ts';
import { RecordBatch } from './record-batch.ts';
import type { FromThread, SocketCanThreadOptions, ToThread } from './socketcan-protocol.ts';

/** A frame in the form of the package. */
export interface PackageMessage {
  id: number;
  data: Buffer;
  ext?: boolean;
  rtr?: boolean;
  err?: boolean;
  fd_brs?: boolean;
}

/** The part of the package's channel that is used. */
export interface RawChannel {
  addListener(event: 'onMessage', listener: (message: PackageMessage) => void): void;
  addListener(event: 'onStopped', listener: () => void): void;
  start(): void;
  stop(): void;
  /** Bytes sent, -1 for any error. A message without `id` or Buffer would end the process. */
  send(message: PackageMessage): number;
  sendFD(message: PackageMessage): number;
  setRxFilters(filters: { id: number; mask: number; invert?: boolean }[]): void;
  setErrorFilters(mask: number): void;
}

export interface SocketCanThreadParts extends SocketCanThreadOptions {
  readonly clock: Clock;
  readonly open: () => RawChannel;
  /** Undefined while there is no such interface. */
  readonly interfaceStatus: () => InterfaceStatus | undefined;
  /** Number of frames that the interface carried, as far as the kernel counts them. */
  readonly packets: () => number | undefined;
  readonly say: (message: FromThread, transfer?: ArrayBuffer[]) => void;
}

/** Most echoes that may be expected at once: they take space in the receive buffer, and other frames need the rest. */
const MAX_UNCONFIRMED = 64;
/** ISO 15765-2 N_As: how long a frame may take to be on the wire before it is given up. */
const N_AS_MS = 1000;
/** How long the echo on a virtual wire may take, which sends at once: later it was lost in our receive buffer. */
const VIRTUAL_ECHO_MS = 250;
const RETRY_MS = 1;
const WATCH_MS = 200;
/** How long the echo of a frame that was given up is still recognized as an echo. */
const FORGET_MS = 10_000;
const AUDIT_MS = 1000;
/** Most filters of one channel: CAN_RAW_FILTER_MAX is 512, and the package hides the error of setsockopt above it. */
const MAX_FILTERS = 500;
const EVERYTHING = { id: 0, mask: 0 };
/** A filter that no frame passes: the package cannot take an empty list of filters. */
const NOTHING = { id: 0, mask: 0, invert: true };

interface Unconfirmed {
  readonly frame: CanFrame;
  readonly sentMs: number;
  echoed: boolean;
}

export class SocketCanThread {
  readonly #parts: SocketCanThreadParts;
  readonly #name: string;
  readonly #batch: RecordBatch;
  /** The channel for sending. A channel does not receive its own frames. */
  #transmitter: RawChannel;
  /** The channel that receives the frames of other nodes and the echoes of the transmitter. */
  #receiver: RawChannel;
  #receiverRuns = false;
  #index: string | undefined;
  readonly #queue = new Fifo<CanFrame>();
  #unconfirmed: Unconfirmed[] = [];
  #abandoned: Unconfirmed[] = [];
  readonly #sentIds = new Set<number>();
  #wanted: ToThread & { kind: 'listen' } = { kind: 'listen', filters: [] };
  #hearsAll = false;
  #blockedSinceMs: number | undefined;
  #turnMs: number | undefined;
  #retry: Timer | undefined;
  #watch: Timer | undefined;
  #state: BusState = 'active';
  /** Received frames compared with the kernel's counter, while no filter is set. */
  #audit:
    | { kernelBase: number; seen: number; kernel: number; dueMs: number; lost: number }
    | undefined;

  /** Throws the error of the package when a channel cannot be opened. */
  constructor(parts: SocketCanThreadParts) {
    this.#parts = parts;
    this.#name = parts.interfaceName;
    this.#batch = new RecordBatch(parts.maxWaitingBytes, parts.say);
    this.#index = this.#parts.interfaceStatus()?.index;
    this.#transmitter = this.#openTransmitter();
    this.#receiver = this.#openReceiver();
    this.#scheduleWatch();
  }

  take(message: ToThread): void {
    switch (message.kind) {
      case 'send':
        for (let at = 0; at < message.records.length; ) {
          const frame = decodeFrame(message.records, at);
          this.#queue.push(frame);
          at += frameRecordLength(frame);
        }
        this.#pump();
        break;
      case 'listen':
        this.#wanted = message;
        this.#applyFilters();
        break;
      case 'ack':
        this.#batch.acknowledged();
        break;
      case 'close':
        this.#watch?.cancel();
        this.#retry?.cancel();
        this.#queue.drain();
        this.#stopReceiver();
        break;
      default:
        assertNever(message);
    }
  }

  #openTransmitter(): RawChannel {
    const channel = this.#parts.open();
    channel.setRxFilters([NOTHING]);
    // This socket is never read: error frames would fill it.
    channel.setErrorFilters(0);
    return channel;
  }

  #openReceiver(): RawChannel {
    const channel = this.#parts.open();
    channel.addListener('onMessage', (message) => this.#hear(message));
    channel.addListener('onStopped', () => {
      if (channel === this.#receiver) this.#receiverRuns = false;
    });
    this.#receiver = channel;
    this.#applyFilters();
    channel.start();
    this.#receiverRuns = true;
    return channel;
  }

  /** Blocks for up to 100 ms, the interval in which the package's own thread checks for the end. */
  #stopReceiver(): void {
    if (!this.#receiverRuns) return;
    this.#receiverRuns = false;
    this.#receiver.stop();
  }

  #applyFilters(): void {
    const { filters } = this.#wanted;
    const list: { id: number; mask: number; invert?: boolean }[] = (filters ?? []).map(
      kernelFilter,
    );
    for (const word of this.#sentIds) {
      const extended = (word & CAN_EFF_FLAG) !== 0;
      // Without the remote bit in the mask, because our own remote frames have echoes, too.
      list.push({
        id: word,
        mask: ((extended ? CAN_EFF_MASK : CAN_SFF_MASK) | CAN_EFF_FLAG) >>> 0,
      });
    }
    const all = filters === undefined || list.length > MAX_FILTERS;
    this.#receiver.setRxFilters(all ? [EVERYTHING] : list.length > 0 ? list : [NOTHING]);
    if (all && !this.#hearsAll) this.#startAudit();
    if (!all) this.#audit = undefined;
    this.#hearsAll = all;
  }

  #pump(): void {
    const nowMs = this.#parts.clock.nowMs();
    while (this.#unconfirmed.length < MAX_UNCONFIRMED) {
      const frame = this.#queue.peek();
      if (frame === undefined) return;
      if (this.#state === 'down' || this.#state === 'bus-off') {
        this.#giveUp(`${this.#name} is ${this.#state}`);
        return;
      }
      const word = (frame.id | (frame.extended ? CAN_EFF_FLAG : 0)) >>> 0;
      if (!this.#sentIds.has(word)) {
        this.#sentIds.add(word);
        this.#applyFilters();
      }
      if (!this.#sendNow(frame)) {
        this.#blocked(nowMs);
        return;
      }
      this.#queue.shift();
      this.#blockedSinceMs = undefined;
      this.#unconfirmed.push({ frame, sentMs: nowMs, echoed: false });
    }
  }

  #sendNow(frame: CanFrame): boolean {
    const message: PackageMessage = {
      id: frame.id,
      ext: frame.extended,
      data: Buffer.from(frame.data.buffer, frame.data.byteOffset, frame.data.byteLength),
    };
    if (frame.fd) {
      message.fd_brs = frame.brs;
      return this.#transmitter.sendFD(message) > 0;
    }
    message.rtr = frame.remote;
    return this.#transmitter.send(message) > 0;
  }

  /** The package returns -1 for every error: a full queue passes, a missing interface has to be looked for. */
  #blocked(nowMs: number): void {
    this.#checkInterface();
    if (this.#queue.length === 0) return;
    this.#blockedSinceMs ??= nowMs;
    if (nowMs - this.#blockedSinceMs >= N_AS_MS) {
      this.#giveUp(
        `the kernel took no frame for ${N_AS_MS} ms: the transmit queue of ${this.#name} is full (no node ` +
          'acknowledges, or other nodes keep the bus busy), or the interface carries no CAN FD',
      );
      return;
    }
    if (this.#retry !== undefined) return;
    this.#retry = this.#parts.clock.after('N_As', RETRY_MS, () => {
      this.#retry = undefined;
      this.#pump();
    });
  }

  /** Every frame without outcome fails; echoes that still arrive are recognized as ours. */
  #giveUp(reason: string): void {
    const count = this.#unconfirmed.length + this.#queue.drain().length;
    this.#abandoned.push(...this.#unconfirmed.filter((entry) => !entry.echoed));
    this.#unconfirmed = [];
    this.#blockedSinceMs = undefined;
    if (count === 0) return;
    this.#batch.flush();
    this.#parts.say({ kind: 'failed', count, code: 'BUS_DOWN', reason });
  }

  /**
   * All frames that the package hands over in one turn (up to 100) get the time of the first: where the clock is a real
   * system call, reading it for each frame costs as much as receiving the frame.
   */
  #turnTimeMs(): number {
    if (this.#turnMs === undefined) {
      this.#turnMs = monotonicMs();
      setImmediate(() => {
        this.#turnMs = undefined;
      });
    }
    return this.#turnMs;
  }

  #hear(message: PackageMessage): void {
    const atMs = this.#turnTimeMs();
    if (message.err === true) {
      this.#hearError(message, atMs);
      return;
    }
    if (this.#audit !== undefined) this.#audit.seen++;
    if (this.#unconfirmed.length > 0 && this.#isEcho(message, atMs)) {
      if (this.#queue.length > 0) this.#pump();
      return;
    }
    const late = this.#abandoned.findIndex((entry) => sameFrame(entry.frame, message));
    if (late >= 0) {
      this.#abandoned.splice(late, 1);
      return;
    }
    const remote = message.rtr === true;
    const fd = !remote && (message.data.length > 8 || this.#parts.shortFramesAreFd);
    this.#batch.add(
      {
        id: message.id,
        extended: message.ext === true,
        data: remote ? message.data.subarray(0, 0) : message.data,
        fd,
        brs: fd,
        remote,
      },
      atMs,
      false,
    );
  }

  #isEcho(message: PackageMessage, atMs: number): boolean {
    const at = this.#unconfirmed.findIndex(
      (entry) => !entry.echoed && sameFrame(entry.frame, message),
    );
    if (at < 0) return false;
    itemAt(this.#unconfirmed, at).echoed = true;
    // A virtual wire keeps the order: the missing echoes before this one were lost in our receive buffer.
    if (this.#parts.virtual && at > 0) this.#assumeEchoed(at);
    this.#confirm(atMs);
    return true;
  }

  /** Controllers with several mailboxes may send out of order; the outcomes are still reported in order. */
  #confirm(atMs: number): void {
    let count = 0;
    for (const { echoed, frame } of this.#unconfirmed) {
      if (!echoed) break;
      this.#batch.add(frame, atMs, true);
      count++;
    }
    this.#unconfirmed.splice(0, count);
  }

  #assumeEchoed(count: number): void {
    let missing = 0;
    for (const entry of this.#unconfirmed.slice(0, count)) {
      if (entry.echoed) continue;
      entry.echoed = true;
      missing++;
    }
    if (missing > 0) this.#sayLost(missing, 'echoes of own frames');
  }

  #sayLost(frames: number, what: string): void {
    this.#batch.flush();
    this.#parts.say({
      kind: 'lost',
      frames,
      reason: `${what} did not come through the receive buffer of ${this.#name}: raise net.core.rmem_default`,
    });
  }

  #hearError(message: PackageMessage, atMs: number): void {
    const report = readErrorFrame(message.id, message.data);
    if (report.receiveOverflow) this.#sayLost(1, 'frames');
    if (report.state !== undefined) this.#enter(report.state, report.reason, atMs);
  }

  #enter(state: BusState, reason: string, atMs: number): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#batch.flush();
    this.#parts.say({ kind: 'state', state, reason, atMs });
    if (state === 'down' || state === 'bus-off') this.#giveUp(reason);
  }

  #scheduleWatch(): void {
    this.#watch = this.#parts.clock.after('watch', WATCH_MS, () => {
      this.#checkInterface();
      this.#checkEchoes();
      this.#checkAudit();
      this.#scheduleWatch();
    });
  }

  #checkInterface(): void {
    const status = this.#parts.interfaceStatus();
    const nowMs = monotonicMs();
    if (status === undefined) {
      this.#enter('down', `interface ${this.#name} is gone`, nowMs);
      return;
    }
    if (!status.up) {
      this.#enter(
        'down',
        `interface ${this.#name} is down: sudo ip link set ${this.#name} up`,
        nowMs,
      );
      return;
    }
    if (this.#state !== 'down' && this.#receiverRuns && status.index === this.#index) return;
    try {
      // Sockets stay bound to an interface that went down, but not to one that was removed and created again.
      if (!this.#receiverRuns || status.index !== this.#index) {
        this.#stopReceiver();
        this.#transmitter = this.#openTransmitter();
        this.#openReceiver();
        this.#index = status.index;
      }
    } catch {
      return; // the interface is gone again; the next check decides
    }
    this.#abandoned = [];
    this.#enter('active', `interface ${this.#name} is up again`, nowMs);
  }

  #checkEchoes(): void {
    const nowMs = this.#parts.clock.nowMs();
    const kept = this.#abandoned.findIndex(({ sentMs }) => nowMs - sentMs <= FORGET_MS);
    this.#abandoned.splice(0, kept < 0 ? this.#abandoned.length : kept);
    const oldest = this.#unconfirmed[0];
    if (oldest === undefined) return;
    const waitedMs = nowMs - oldest.sentMs;
    if (this.#parts.virtual && waitedMs > VIRTUAL_ECHO_MS) {
      const late = this.#unconfirmed.filter((entry) => nowMs - entry.sentMs > VIRTUAL_ECHO_MS);
      this.#assumeEchoed(late.length);
      this.#confirm(monotonicMs());
      this.#pump();
    } else if (waitedMs > N_AS_MS) {
      this.#giveUp(
        `no frame was on the wire within ${N_AS_MS} ms: is another node on the bus of ${this.#name}, at the same bit rate?`,
      );
    }
  }

  /** Both counts begin after the filter is open, so that the number of lost frames can only be too low. */
  #startAudit(): void {
    if (!this.#parts.virtual) return;
    const kernelBase = this.#parts.packets();
    if (kernelBase === undefined) return;
    this.#audit = {
      kernelBase,
      kernel: kernelBase,
      seen: 0,
      lost: 0,
      dueMs: this.#parts.clock.nowMs() + AUDIT_MS,
    };
  }

  /** All frames that the kernel had counted at the last check must have been read by now; the missing ones were lost. */
  #checkAudit(): void {
    const audit = this.#audit;
    if (audit === undefined || this.#parts.clock.nowMs() < audit.dueMs) return;
    const lost = audit.kernel - audit.kernelBase - audit.seen;
    if (lost > audit.lost) {
      this.#sayLost(lost - audit.lost, 'frames');
      audit.lost = lost;
    }
    audit.kernel = this.#parts.packets() ?? audit.kernel;
    audit.dueMs = this.#parts.clock.nowMs() + AUDIT_MS;
  }
}

function sameFrame(frame: CanFrame, message: PackageMessage): boolean {
  if (
    frame.id !== message.id ||
    frame.extended !== (message.ext === true) ||
    frame.remote !== (message.rtr === true) ||
    frame.data.length !== message.data.length
  ) {
    return false;
  }
  for (let index = 0; index < frame.data.length; index++) {
    if (frame.data[index] !== message.data[index]) return false;
  }
  return true;
}
