// Fault confinement of one CAN controller: what each frame and each error does to its counters. ISO 11898-1 12.1.4.

import { ErrorClass, readErrorFrame } from '../bus/error-frame.ts';

export type ConfinementState = 'active' | 'warning' | 'passive' | 'bus-off';

/** 12.1.4.3: from here on a heavily disturbed bus is reported. */
const WARNING_FROM = 96;
/** 12.1.4.4. */
const PASSIVE_FROM = 128;
const BUS_OFF_FROM = 256;
/** A receive counter above 127 goes back to a value between 119 and 127 with the first frame that is right. */
const RECEIVE_AFTER_PASSIVE = 127;
/** Registers of eight bits; the receive counter does not lead to bus-off and stays. */
const RECEIVE_MAX = 255;

/** detail[1] of an error frame of the kernel, by state. */
const CONTROLLER = { active: 0x40, warning: 0x04, passive: 0x10 } as const;

export class ErrorConfinement {
  #transmit = 0;
  #receive = 0;

  /** TEC; above 255 the controller is off the bus. */
  get transmit(): number {
    return this.#transmit;
  }

  /** REC. */
  get receive(): number {
    return this.#receive;
  }

  /** Nothing is left of past errors. */
  get clean(): boolean {
    return this.#transmit === 0 && this.#receive === 0;
  }

  get state(): ConfinementState {
    if (this.#transmit >= BUS_OFF_FROM) return 'bus-off';
    const worst = Math.max(this.#transmit, this.#receive);
    return worst >= PASSIVE_FROM ? 'passive' : worst >= WARNING_FROM ? 'warning' : 'active';
  }

  /** An own frame was right, and acknowledged. */
  transmitted(): void {
    if (this.#transmit > 0) this.#transmit--;
  }

  /** A frame of another node was right. */
  received(): void {
    if (this.#receive >= PASSIVE_FROM) this.#receive = RECEIVE_AFTER_PASSIVE;
    else if (this.#receive > 0) this.#receive--;
  }

  /** An own frame was spoiled. */
  transmitError(): void {
    this.#transmit += 8;
  }

  /** A frame of another node was spoiled, and all nodes saw it at the same bit: nobody's flag outlasts the others'. */
  receiveError(): void {
    this.#receive = Math.min(RECEIVE_MAX, this.#receive + 1);
  }

  reset(): void {
    this.#transmit = 0;
    this.#receive = 0;
  }

  /** What the kernel would say of the state, in the words that a SocketCAN bus uses. */
  describe(): string {
    const { state } = this;
    const detail = new Uint8Array(8);
    detail[6] = Math.min(255, this.#transmit);
    detail[7] = this.#receive;
    if (state === 'bus-off') return readErrorFrame(ErrorClass.busOff, detail).reason;
    detail[1] = CONTROLLER[state];
    return readErrorFrame(ErrorClass.controller | ErrorClass.counters, detail).reason;
  }
}
