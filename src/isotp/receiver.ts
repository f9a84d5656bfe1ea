// ISO 15765-2 receiver of one message at a time: an engine without I/O. The channel feeds it frames and time,
// sends the flow controls that it pulls, and takes the events.

import { copyBytes } from '../core/bytes.ts';
import { assertNever } from '../core/errors.ts';
import type { IsoTpConfig } from './config.ts';
import type { NResult } from './connection.ts';
import { FlowStatus, type Pci } from './pci.ts';
import { blankFrame, type Deadline } from './sender.ts';

/** Events for the layer above. */
export type ReceiverEvent =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  | { readonly kind: 'first-frame'; readonly length: number }
  /** A first frame that the screen refuses. */
  | { readonly kind: 'unwanted'; readonly start: Uint8Array; readonly length: number }
  | { readonly kind: 'error'; readonly result: NResult; readonly reason: string };

/** Called before each flow control: may the peer continue its message of `length` bytes? */
export type Readiness = (length: number) => 'continue' | 'wait' | 'overflow';

/** `blockSize` resolved; `readiness` is left out where the receiver is always ready. */
export interface ReceiverConfig extends IsoTpConfig {
  readonly blockSize: number;
  readonly readiness?: Readiness;
}

interface Reception {
  readonly length: number;
  /** RX_DL: the CAN_DL of the first frame; every consecutive frame but the last has it. */
  readonly rxDl: number;
  buffer: Uint8Array;
  filled: number;
  sequence: number;
  /** Frames until the next flow control; Infinity for BS 0. */
  blockLeft: number;
  /** FC.WAIT frames sent in a row. */
  waits: number;
  phase: 'data' | 'flow-control-pending' | 'flow-control-unconfirmed' | 'not-ready';
  /** Start of N_Cr, N_Ar or N_Br, by phase. */
  sinceMs: number;
}

/** Memory that is allocated at a first frame: more follows as data arrives, not for the announced length. */
const FIRST_ALLOCATION = 0x1_0000;

export class IsoTpReceiver {
  readonly #config: ReceiverConfig;
  readonly #addressByte: number | undefined;
  readonly #addressBytes: number;
  #reception: Reception | undefined;
  /** A flow control that `pull` hands out next. */
  #flowStatus: FlowStatus | undefined;
  readonly #events: ReceiverEvent[] = [];
  #wanted: (start: Uint8Array) => boolean = () => true;

  /** `addressByte`: the byte before the PCI of our flow controls, undefined where the addressing has none. */
  constructor(config: ReceiverConfig, addressByte: number | undefined) {
    this.#config = config;
    this.#addressByte = addressByte;
    this.#addressBytes = addressByte === undefined ? 0 : 1;
  }

  get idle(): boolean {
    return this.#reception === undefined;
  }

  /** See `IsoTpConnection.screen`. */
  screen(wanted: (start: Uint8Array) => boolean): void {
    this.#wanted = wanted;
  }

  /** A frame of the peer: single, first or consecutive. `data` is the whole CAN payload. */
  frame(pci: Pci, data: Uint8Array, nowMs: number): void {
    switch (pci.kind) {
      case 'single': {
        const message = data.slice(pci.dataAt, pci.dataAt + pci.length);
        // Table 23: a new message ends the one under way, but a message to another node is not part of this conversation.
        if (this.#reception !== undefined && this.#wanted(message)) {
          this.#giveUp('N_UNEXP_PDU', 'a single frame came instead of a consecutive frame');
        }
        this.#events.push({ kind: 'message', message });
        return;
      }
      case 'first':
        if (!this.#wanted(data.slice(pci.dataAt))) {
          this.#events.push({
            kind: 'unwanted',
            start: data.slice(pci.dataAt),
            length: pci.length,
          });
          return;
        }
        this.#giveUp('N_UNEXP_PDU', 'a first frame came instead of a consecutive frame');
        this.#firstFrame(pci.length, data, pci.dataAt, nowMs);
        return;
      case 'consecutive':
        this.#consecutiveFrame(pci.sequence, data, pci.dataAt, nowMs);
        return;
      case 'flow-control':
      case 'ignore':
        return;
      default:
        assertNever(pci);
    }
  }

  #firstFrame(length: number, data: Uint8Array, dataAt: number, nowMs: number): void {
    if (length > this.#config.maxMessageLength) {
      // 9.6.3.2: a message that is too long for our buffer is answered with overflow.
      this.#flowStatus = FlowStatus.overflow;
      this.#events.push({
        kind: 'error',
        result: 'N_BUFFER_OVFLW',
        reason: `a message of ${length} bytes is above the configured limit of ${this.#config.maxMessageLength}`,
      });
      return;
    }
    const buffer = new Uint8Array(Math.min(length, FIRST_ALLOCATION));
    const payload = data.subarray(dataAt);
    buffer.set(payload);
    this.#reception = {
      length,
      rxDl: data.length,
      buffer,
      filled: payload.length,
      sequence: 1,
      blockLeft: 0,
      waits: 0,
      phase: 'flow-control-pending',
      sinceMs: nowMs,
    };
    this.#events.push({ kind: 'first-frame', length });
    this.#answer(this.#reception, nowMs);
  }

  #consecutiveFrame(sequence: number, data: Uint8Array, dataAt: number, nowMs: number): void {
    const reception = this.#reception;
    if (reception === undefined) return; // table 23: ignored when no message is under way
    const left = reception.length - reception.filled;
    const full = reception.rxDl - dataAt;
    // A frame that is not RX_DL long can only be the last one; otherwise it is not part of this message.
    if (
      data.length > reception.rxDl ||
      (data.length < reception.rxDl && left > data.length - dataAt)
    )
      return;
    if (sequence !== reception.sequence) {
      // 9.6.4.4
      const reason = `consecutive frame ${sequence} came where ${reception.sequence} was expected at byte ${reception.filled} of ${reception.length}: a frame was lost or repeated`;
      this.#giveUp('N_WRONG_SN', reason);
      return;
    }
    const payload = Math.min(full, left, data.length - dataAt);
    this.#store(reception, data, dataAt, payload);
    reception.sequence = (sequence + 1) & 0x0f;
    reception.sinceMs = nowMs;
    // A frame after the end of a block that arrives before the confirmation of our flow control is still in order.
    if (reception.phase === 'flow-control-unconfirmed') reception.phase = 'data';
    if (reception.filled === reception.length) {
      this.#reception = undefined;
      this.#flowStatus = undefined;
      const message =
        reception.buffer.length === reception.length
          ? reception.buffer
          : reception.buffer.slice(0, reception.length);
      this.#events.push({ kind: 'message', message });
      return;
    }
    if (--reception.blockLeft === 0) this.#answer(reception, nowMs);
  }

  #store(reception: Reception, data: Uint8Array, from: number, count: number): void {
    const end = reception.filled + count;
    if (end > reception.buffer.length) {
      const grown = new Uint8Array(
        Math.min(reception.length, Math.max(end, reception.buffer.length * 2)),
      );
      grown.set(reception.buffer.subarray(0, reception.filled));
      reception.buffer = grown;
    }
    copyBytes(data, from, reception.buffer, reception.filled, count);
    reception.filled = end;
  }

  /** Decides on the next flow control. */
  #answer(reception: Reception, nowMs: number): void {
    reception.sinceMs = nowMs;
    const readiness = this.#config.readiness?.(reception.length) ?? 'continue';
    switch (readiness) {
      case 'continue':
        reception.phase = 'flow-control-pending';
        reception.waits = 0;
        reception.blockLeft =
          this.#config.blockSize === 0 ? Number.POSITIVE_INFINITY : this.#config.blockSize;
        this.#flowStatus = FlowStatus.continueToSend;
        return;
      case 'wait':
        if (reception.waits >= this.#config.wftMax) {
          this.#giveUp('N_WFT_OVRN', `not ready after ${reception.waits} flow controls with WAIT`);
          return;
        }
        reception.phase = 'not-ready';
        reception.waits++;
        this.#flowStatus = FlowStatus.wait;
        return;
      case 'overflow':
        this.#flowStatus = FlowStatus.overflow;
        this.#reception = undefined;
        this.#events.push({
          kind: 'error',
          result: 'N_BUFFER_OVFLW',
          reason: `no room for a message of ${reception.length} bytes`,
        });
        return;
      default:
        assertNever(readiness);
    }
  }

  /** Returns the flow control that must be sent now, once. */
  pull(nowMs: number): Uint8Array | undefined {
    const status = this.#flowStatus;
    if (status === undefined) return undefined;
    this.#flowStatus = undefined;
    const frame = blankFrame(this.#config, this.#addressByte, 3);
    const at = this.#addressBytes;
    frame[at] = 0x30 | status;
    frame[at + 1] = status === FlowStatus.continueToSend ? this.#config.blockSize : 0;
    frame[at + 2] = status === FlowStatus.continueToSend ? this.#config.stMin : 0;
    const reception = this.#reception;
    if (reception !== undefined && status === FlowStatus.continueToSend) {
      reception.phase = 'flow-control-unconfirmed';
      reception.sinceMs = nowMs;
    }
    return frame;
  }

  /** Our flow control was on the wire: N_Cr starts. */
  confirmed(nowMs: number): void {
    const reception = this.#reception;
    if (reception?.phase !== 'flow-control-unconfirmed') return;
    reception.phase = 'data';
    reception.sinceMs = nowMs;
  }

  tick(nowMs: number): void {
    const reception = this.#reception;
    const deadline = this.deadline();
    if (reception === undefined || deadline === undefined || nowMs < deadline.atMs) return;
    switch (deadline.name) {
      case 'N_Cr':
        this.#giveUp(
          'N_TIMEOUT_Cr',
          `no consecutive frame for ${this.#config.nCrMs} ms (N_Cr) after ${reception.filled} of ${reception.length} bytes`,
        );
        return;
      case 'N_Br':
        this.#answer(reception, nowMs);
        return;
      default:
        this.#giveUp(
          'N_TIMEOUT_A',
          `the flow control was not on the bus within ${this.#config.nArMs} ms (N_Ar)`,
        );
    }
  }

  /** The instant of `deadline`, Infinity while no timer runs. */
  dueMs(): number {
    const reception = this.#reception;
    if (reception === undefined) return Number.POSITIVE_INFINITY;
    switch (reception.phase) {
      case 'data':
        return reception.sinceMs + this.#config.nCrMs;
      case 'not-ready':
        return reception.sinceMs + this.#config.nBrMs;
      case 'flow-control-pending':
      case 'flow-control-unconfirmed':
        return reception.sinceMs + this.#config.nArMs;
      default:
        return assertNever(reception.phase);
    }
  }

  deadline(): Deadline | undefined {
    const reception = this.#reception;
    if (reception === undefined) return undefined;
    switch (reception.phase) {
      case 'data':
        return { name: 'N_Cr', atMs: reception.sinceMs + this.#config.nCrMs };
      case 'not-ready':
        return { name: 'N_Br', atMs: reception.sinceMs + this.#config.nBrMs };
      case 'flow-control-pending':
      case 'flow-control-unconfirmed':
        return { name: 'N_Ar', atMs: reception.sinceMs + this.#config.nArMs };
      default:
        return assertNever(reception.phase);
    }
  }

  /** The bus lost frames or went down: the message under way cannot be completed. */
  fail(result: NResult, reason: string): void {
    this.#giveUp(result, reason);
  }

  /** Returns and removes the next event. Call until undefined. */
  take(): ReceiverEvent | undefined {
    return this.#events.shift();
  }

  #giveUp(result: NResult, reason: string): void {
    if (this.#reception === undefined) return;
    this.#reception = undefined;
    this.#flowStatus = undefined;
    this.#events.push({ kind: 'error', result, reason });
  }
}
