// Fault confinement of one CAN controller: how each frame and each error changes its counters. ISO 11898-1 12.1.4.

import { ErrorClass, readErrorFrame } from '../bus/error-frame.ts';

export type ConfinementState = 'active' | 'warning' | 'passive' | 'bus-off';

/** 12.1.4.3: counter value from which a heavily disturbed bus is reported. */
const WARNING_FROM = 96;
/** 12.1.4.4: counter value from which a node is error passive. */
const PASSIVE_FROM = 128;
const BUS_OFF_FROM = 256;
/** A receive counter above 127 is set to a value between 119 and 127 by the next correct frame. */
const RECEIVE_AFTER_PASSIVE = 127;
/** Largest value of the eight-bit counter; the receive counter does not lead to bus-off and stays there. */
const RECEIVE_MAX = 255;

/** detail[1] of the kernel's error frame, by state. */
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

  /** Both counters are zero. */
  get clean(): boolean {
    return this.#transmit === 0 && this.#receive === 0;
  }

  get state(): ConfinementState {
    if (this.#transmit >= BUS_OFF_FROM) return 'bus-off';
    const worst = Math.max(this.#transmit, this.#receive);
    return worst >= PASSIVE_FROM ? 'passive' : worst >= WARNING_FROM ? 'warning' : 'active';
  }

  /** An own frame was correct and acknowledged. */
  transmitted(): void {
    if (this.#transmit > 0) this.#transmit--;
  }

  /** A frame of another node was correct. */
  received(): void {
    if (this.#receive >= PASSIVE_FROM) this.#receive = RECEIVE_AFTER_PASSIVE;
    else if (this.#receive > 0) this.#receive--;
  }

  /** An own frame was corrupted. */
  transmitError(): void {
    this.#transmit += 8;
  }

  /**
   * A frame of another node was corrupted, and all nodes saw it at the same bit, so no error flag is longer than the
   * others.
   */
  receiveError(): void {
    this.#receive = Math.min(RECEIVE_MAX, this.#receive + 1);
  }

  reset(): void {
    this.#transmit = 0;
    this.#receive = 0;
  }

  /** The state in the words that a SocketCAN bus uses. */
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
