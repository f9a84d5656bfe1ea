// ISO 15765-2 sender of one message at a time: an engine without I/O. The channel pulls frames and feeds it
// confirmations, flow controls and time.

import { fdLength } from '../bus/can-frame.ts';
import { copyBytes } from '../core/bytes.ts';
import { consecutivePayload, type IsoTpConfig, txDl } from './config.ts';
import type { NResult } from './connection.ts';
import { FlowStatus, MAX_12_BIT_LENGTH, maxSingleFrameLength, type Pci, stMinToMs } from './pci.ts';

type State =
  | { readonly kind: 'idle' }
  /** The bus has not taken the single frame or first frame yet. */
  | { readonly kind: 'opening'; readonly frame: Uint8Array; readonly more: boolean }
  /** The bus has the last frame of the message. */
  | { readonly kind: 'finishing' }
  /** N_Bs runs from the confirmation of the first frame or of the last frame of a block, and from each FC.WAIT. */
  | {
      readonly kind: 'waiting-flow-control';
      /** When the first FC.WAIT came, undefined before. */
      waitSinceMs: number | undefined;
    }
  | {
      readonly kind: 'sending';
      readonly stMinMs: number;
      /** Frames left in this block; Infinity for BS 0. */
      blockLeft: number;
      /** Earliest instant of the next consecutive frame. */
      notBeforeMs: number;
    };

const IDLE: State = { kind: 'idle' };

/** When `tick` must be called, and the name of the timer. */
export interface Deadline {
  readonly name: 'N_As' | 'N_Bs' | 'N_Cs' | 'N_Ar' | 'N_Br' | 'N_Cr';
  readonly atMs: number;
}

export class IsoTpSender {
  readonly #config: IsoTpConfig;
  readonly #addressByte: number | undefined;
  readonly #addressBytes: number;
  readonly #sendAhead: number;
  /** Bytes of the message in a full consecutive frame. */
  readonly #perFrame: number;
  #state: State = IDLE;
  #message: Uint8Array = new Uint8Array(0);
  /** Bytes of the message that are in frames already. */
  #sent = 0;
  #sequence = 0;
  /** Frames that the bus has and did not confirm yet. */
  #unconfirmed = 0;
  /** Start of N_As: when the oldest unconfirmed frame was handed over, or the frame before it was confirmed. */
  #unconfirmedSinceMs = 0;
  #flowControlDueMs = 0;
  /** How long FC.WAIT has delayed this message, without the present block. */
  #waitedMs = 0;

  /** `sendAhead`: frames that may wait in the bus's queue while STmin is zero. */
  constructor(config: IsoTpConfig, addressByte: number | undefined, sendAhead: number) {
    this.#config = config;
    this.#addressByte = addressByte;
    this.#addressBytes = addressByte === undefined ? 0 : 1;
    this.#sendAhead = Math.max(1, sendAhead);
    this.#perFrame = consecutivePayload(config, this.#addressBytes);
  }

  get idle(): boolean {
    return this.#state.kind === 'idle';
  }

  /** Starts a message. Throws RangeError for a length that cannot be sent, Error while one is under way. */
  begin(message: Uint8Array): void {
    if (!this.idle) throw new Error('a message is under way');
    if (message.length === 0) throw new RangeError('an ISO-TP message has at least one byte');
    if (message.length > this.#config.maxMessageLength) {
      throw new RangeError(
        `message of ${message.length} bytes is above the configured limit of ${this.#config.maxMessageLength}`,
      );
    }
    this.#message = message;
    this.#sent = 0;
    this.#sequence = 1;
    this.#unconfirmed = 0;
    this.#waitedMs = 0;
    this.#state =
      message.length <= maxSingleFrameLength(txDl(this.#config), this.#addressBytes)
        ? { kind: 'opening', frame: this.#singleFrame(), more: false }
        : { kind: 'opening', frame: this.#firstFrame(), more: true };
  }

  /** Whether `message` fits into a single frame, which is all that functional addressing carries. */
  fitsSingleFrame(length: number): boolean {
    return length <= maxSingleFrameLength(txDl(this.#config), this.#addressBytes);
  }

  /** Returns the data of the next frame that may be handed to the bus now. Call until undefined. */
  pull(nowMs: number): Uint8Array | undefined {
    const state = this.#state;
    if (state.kind === 'opening') {
      this.#state = state.more
        ? { kind: 'waiting-flow-control', waitSinceMs: undefined }
        : { kind: 'finishing' };
      // N_Bs starts at the confirmation, see `confirmed`.
      this.#flowControlDueMs = Number.POSITIVE_INFINITY;
      this.#handedOver(nowMs);
      return state.frame;
    }
    if (state.kind !== 'sending') return undefined;
    const pacedMs = state.stMinMs + this.#config.nCsMs;
    if (pacedMs > 0 ? this.#unconfirmed > 0 : this.#unconfirmed >= this.#sendAhead)
      return undefined;
    if (nowMs < state.notBeforeMs) return undefined;
    const frame = this.#consecutiveFrame();
    this.#handedOver(nowMs);
    if (this.#sent === this.#message.length) this.#state = { kind: 'finishing' };
    else if (--state.blockLeft === 0) {
      this.#state = { kind: 'waiting-flow-control', waitSinceMs: undefined };
      this.#flowControlDueMs = Number.POSITIVE_INFINITY;
    }
    return frame;
  }

  #handedOver(nowMs: number): void {
    if (this.#unconfirmed++ === 0) this.#unconfirmedSinceMs = nowMs;
  }

  /** A frame was on the wire. Returns N_OK when it was the last one of the message. */
  confirmed(nowMs: number): NResult | undefined {
    if (this.#unconfirmed === 0) return undefined;
    this.#unconfirmed--;
    this.#unconfirmedSinceMs = nowMs;
    const state = this.#state;
    if (state.kind === 'finishing' && this.#unconfirmed === 0) return this.#end('N_OK');
    if (state.kind === 'waiting-flow-control' && this.#unconfirmed === 0) {
      this.#flowControlDueMs = nowMs + this.#config.nBsMs;
    }
    if (state.kind === 'sending') {
      state.notBeforeMs = nowMs + state.stMinMs + this.#config.nCsMs;
    }
    return undefined;
  }

  /** Handles a flow control of the peer. An unexpected one is ignored (table 23). */
  flowControl(pci: Extract<Pci, { kind: 'flow-control' }>, nowMs: number): NResult | undefined {
    const state = this.#state;
    if (state.kind !== 'waiting-flow-control') return undefined;
    switch (pci.status) {
      case FlowStatus.continueToSend:
        if (state.waitSinceMs !== undefined) this.#waitedMs += nowMs - state.waitSinceMs;
        // 9.6.5.3: BS and STmin of each flow control are valid from here on.
        this.#state = {
          kind: 'sending',
          stMinMs: Math.max(stMinToMs(pci.stMin), stMinToMs(this.#config.sendStMin)),
          blockLeft: pci.blockSize === 0 ? Number.POSITIVE_INFINITY : pci.blockSize,
          notBeforeMs: nowMs + this.#config.nCsMs,
        };
        return undefined;
      case FlowStatus.wait:
        // 9.7: N_WFTmax is counted by the receiver, and the sender does not know it. The sender limits the time instead.
        state.waitSinceMs ??= nowMs;
        this.#flowControlDueMs = nowMs + this.#config.nBsMs;
        return undefined;
      case FlowStatus.overflow:
        return this.#end('N_BUFFER_OVFLW');
      default:
        return this.#end('N_INVALID_FS');
    }
  }

  /** Checks the timers at `nowMs`. Returns the time-out that ended the message, if one did. */
  tick(nowMs: number): NResult | undefined {
    if (this.#unconfirmed > 0 && nowMs >= this.#unconfirmedSinceMs + this.#config.nAsMs) {
      return this.#end('N_TIMEOUT_A');
    }
    if (this.#state.kind === 'waiting-flow-control') {
      if (nowMs >= this.#flowControlDueMs) return this.#end('N_TIMEOUT_Bs');
      if (nowMs >= this.#waitDueMs(this.#state.waitSinceMs)) return this.#end('N_WFT_OVRN');
    }
    return undefined;
  }

  /** When the total time of FC.WAIT is over. */
  #waitDueMs(waitSinceMs: number | undefined): number {
    if (waitSinceMs === undefined) return Number.POSITIVE_INFINITY;
    return waitSinceMs + this.#config.waitLimitMs - this.#waitedMs;
  }

  #waitingDueMs(waitSinceMs: number | undefined): number {
    return Math.min(this.#flowControlDueMs, this.#waitDueMs(waitSinceMs));
  }

  /** Ends the message without sending anything. */
  abort(): void {
    this.#end('N_ERROR');
  }

  /** The instant of `deadline`, Infinity while no timer runs. Called for every frame, so it creates no object. */
  dueMs(): number {
    if (this.#unconfirmed > 0) return this.#unconfirmedSinceMs + this.#config.nAsMs;
    const state = this.#state;
    if (state.kind === 'waiting-flow-control') return this.#waitingDueMs(state.waitSinceMs);
    return state.kind === 'sending' ? state.notBeforeMs : Number.POSITIVE_INFINITY;
  }

  /** When `tick` (or, for N_Cs, `pull`) is due; undefined while no timer runs. */
  deadline(): Deadline | undefined {
    const state = this.#state;
    if (this.#unconfirmed > 0) {
      return { name: 'N_As', atMs: this.#unconfirmedSinceMs + this.#config.nAsMs };
    }
    if (state.kind === 'waiting-flow-control')
      return { name: 'N_Bs', atMs: this.#waitingDueMs(state.waitSinceMs) };
    if (state.kind === 'sending') return { name: 'N_Cs', atMs: state.notBeforeMs };
    return undefined;
  }

  /** Bytes of the message under way that are in frames already. */
  get progress(): number {
    return this.#sent;
  }

  #end(result: NResult): NResult {
    this.#state = IDLE;
    this.#unconfirmed = 0;
    this.#message = new Uint8Array(0);
    return result;
  }

  #singleFrame(): Uint8Array {
    const { length } = this.#message;
    const short = length <= maxSingleFrameLength(8, this.#addressBytes);
    const frame = this.#blank((short ? 1 : 2) + length);
    const at = this.#addressBytes;
    if (short) frame[at] = length;
    else frame[at + 1] = length; // 9.6.2: nibble 0, then SF_DL
    frame.set(this.#message, at + (short ? 1 : 2));
    this.#sent = length;
    return frame;
  }

  #firstFrame(): Uint8Array {
    const { length } = this.#message;
    const size = txDl(this.#config);
    const frame = new Uint8Array(size);
    const at = this.#addressBytes;
    if (this.#addressByte !== undefined) frame[0] = this.#addressByte;
    let dataAt = at + 2;
    if (length <= MAX_12_BIT_LENGTH) {
      frame[at] = 0x10 | (length >> 8);
      frame[at + 1] = length & 0xff;
    } else {
      frame[at] = 0x10;
      new DataView(frame.buffer).setUint32(at + 2, length);
      dataAt = at + 6;
    }
    this.#sent = size - dataAt;
    frame.set(this.#message.subarray(0, this.#sent), dataAt);
    return frame;
  }

  #consecutiveFrame(): Uint8Array {
    const message = this.#message;
    const from = this.#sent;
    const payload = Math.min(this.#perFrame, message.length - from);
    const frame = this.#blank(1 + payload);
    const at = this.#addressBytes;
    frame[at] = 0x20 | this.#sequence;
    copyBytes(message, from, frame, at + 1, payload);
    this.#sequence = (this.#sequence + 1) & 0x0f;
    this.#sent += payload;
    return frame;
  }

  #blank(used: number): Uint8Array {
    return blankFrame(this.#config, this.#addressByte, used);
  }
}

/** Padding of a CAN FD frame above 8 bytes where no padding is configured (10.4.2.1 recommends CC). */
const MANDATORY_PADDING = 0xcc;

/** A frame for an address byte and `used` bytes: its length is one that CAN can carry, and it is filled with padding. */
export function blankFrame(
  config: IsoTpConfig,
  addressByte: number | undefined,
  used: number,
): Uint8Array {
  const addressBytes = addressByte === undefined ? 0 : 1;
  const whole = used + addressBytes;
  const size = whole > 8 ? fdLength(whole) : config.padding === null ? whole : 8;
  const frame = new Uint8Array(size);
  if (size > whole) frame.fill(config.padding ?? MANDATORY_PADDING, whole);
  if (addressByte !== undefined) frame[0] = addressByte;
  return frame;
}
