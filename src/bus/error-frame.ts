// What an error frame of the kernel says about the bus: linux/can/error.h -> BusState.

import type { BusState } from './can-bus.ts';

/** Classes in the identifier of an error frame. */
export const ErrorClass = {
  txTimeout: 0x001,
  lostArbitration: 0x002,
  controller: 0x004,
  protocol: 0x008,
  transceiver: 0x010,
  noAcknowledge: 0x020,
  busOff: 0x040,
  busError: 0x080,
  restarted: 0x100,
  counters: 0x200,
} as const;

/** Bits of detail[1] in an error frame of the class `controller`. */
const RX_OVERFLOW = 0x01;
const TX_OVERFLOW = 0x02;
const WARNING = 0x04 | 0x08;
const PASSIVE = 0x10 | 0x20;
const ACTIVE = 0x40;

/** Names of the bits of detail[2] in an error frame of the class `protocol`. */
const PROTOCOL_ERRORS = [
  'bit error',
  'form error',
  'stuff error',
  'bit error (recessive)',
  'bit error (dominant)',
  'overload',
  'active error announcement',
  'error while transmitting',
];

export interface ErrorReport {
  /** The state of the controller, undefined when the frame says nothing about it. */
  readonly state: BusState | undefined;
  /** The controller lost received frames. */
  readonly receiveOverflow: boolean;
  readonly reason: string;
}

/** `errorClass` without CAN_ERR_FLAG; `detail` is the frame's 8 data bytes (fewer are read as zeros). */
export function readErrorFrame(errorClass: number, detail: Uint8Array): ErrorReport {
  const reasons: string[] = [];
  let state: BusState | undefined;
  const controller = (errorClass & ErrorClass.controller) !== 0 ? (detail[1] ?? 0) : 0;
  if ((controller & ACTIVE) !== 0) {
    state = 'active';
    reasons.push('error active again');
  }
  if ((controller & WARNING) !== 0) {
    state = 'warning';
    reasons.push('error counter above 96');
  }
  if ((controller & PASSIVE) !== 0) {
    state = 'passive';
    reasons.push('error counter above 127');
  }
  if ((controller & RX_OVERFLOW) !== 0) reasons.push('receive buffer of the controller overran');
  if ((controller & TX_OVERFLOW) !== 0) reasons.push('transmit buffer of the controller overran');
  if ((errorClass & ErrorClass.txTimeout) !== 0) reasons.push('transmit timeout');
  if ((errorClass & ErrorClass.lostArbitration) !== 0) reasons.push('lost arbitration');
  if ((errorClass & ErrorClass.protocol) !== 0) {
    const bits = detail[2] ?? 0;
    const named = PROTOCOL_ERRORS.filter((_, bit) => (bits & (1 << bit)) !== 0);
    reasons.push(named.length > 0 ? named.join(', ') : 'protocol error');
  }
  if ((errorClass & ErrorClass.transceiver) !== 0) {
    reasons.push('transceiver error: check the wiring');
  }
  if ((errorClass & ErrorClass.noAcknowledge) !== 0) {
    reasons.push('no node acknowledged: is another node on the bus, at the same bit rate?');
  }
  if ((errorClass & ErrorClass.busError) !== 0) reasons.push('bus error');
  if ((errorClass & ErrorClass.restarted) !== 0) {
    state = 'active';
    reasons.push('controller restarted');
  }
  // Last: nothing else in the same frame may hide a bus-off.
  if ((errorClass & ErrorClass.busOff) !== 0) {
    state = 'bus-off';
    reasons.push('bus-off: the controller took itself off the bus');
  }
  if ((errorClass & ErrorClass.counters) !== 0) {
    reasons.push(`error counters tx ${detail[6] ?? 0}, rx ${detail[7] ?? 0}`);
  }
  return {
    state,
    receiveOverflow: (controller & RX_OVERFLOW) !== 0,
    reason: reasons.length > 0 ? reasons.join('; ') : `error class 0x${errorClass.toString(16)}`,
  };
}
