// Control records between the processes of a local bus, in the form of struct can_frame like all other records.

import { copyBytes } from '../core/bytes.ts';
import { CAN_EFF_MASK, CAN_MTU, encodeErrorFrame, LITTLE_ENDIAN, readWord } from './linux-frame.ts';

/**
 * After the first line every record is a frame or, with CAN_ERR_FLAG set, a control record: one of these numbers in the
 * identifier and 8 bytes of data. A broker has no error frames, so the flag is free.
 */
export const Control = {
  /** Client: the filters that follow replace the old ones. */
  filterBegin: 1,
  /** Client: data is a struct can_filter; mask 0 lets everything through. */
  filterAdd: 2,
  /** Client: from here on the new filters hold. Before the first commit no frame passes. */
  filterCommit: 3,
  /** Client: the answer to `retire`; no frame follows it. */
  retired: 4,
  /** Client: asks for `busy`. */
  askBusy: 5,
  /** Broker: end of the following frames on the wire, a double with milliseconds of CLOCK_MONOTONIC. */
  time: 16,
  /** Broker: how many clients there are, and the receiver's position among them (two 32 bit words). */
  peers: 17,
  /** Broker: it is about to end. Clients answer `retired`, send nothing more and connect again afterwards. */
  retire: 18,
  /** Broker: how long the wire was in use since it started, a double with milliseconds. */
  busy: 19,
} as const;

/** Data of a control record: two 32 bit words or one double. */
const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

export function controlCode(bytes: Uint8Array, at: number): number {
  return readWord(bytes, at) & CAN_EFF_MASK;
}

export function controlWords(bytes: Uint8Array, at: number): readonly [number, number] {
  return [readWord(bytes, at + 8), readWord(bytes, at + 12)];
}

/** The time in a `time` or `busy` record. */
export function controlTimeMs(bytes: Uint8Array, at: number): number {
  copyBytes(bytes, at + 8, scratch, 0, 8);
  return scratchView.getFloat64(0, LITTLE_ENDIAN);
}

/** Writes a control record of 16 bytes at `at`. */
export function writeControl(
  into: Uint8Array,
  at: number,
  code: number,
  first = 0,
  second = 0,
): void {
  scratchView.setUint32(0, first, LITTLE_ENDIAN);
  scratchView.setUint32(4, second, LITTLE_ENDIAN);
  encodeErrorFrame(code, scratch, into, at);
}

export function writeTime(into: Uint8Array, at: number, timeMs: number): void {
  scratchView.setFloat64(0, timeMs, LITTLE_ENDIAN);
  encodeErrorFrame(Control.time, scratch, into, at);
}

export function busyRecord(busyMs: number): Uint8Array {
  const record = new Uint8Array(CAN_MTU);
  scratchView.setFloat64(0, busyMs, LITTLE_ENDIAN);
  encodeErrorFrame(Control.busy, scratch, record, 0);
  return record;
}

export function controlRecord(code: number, first = 0, second = 0): Uint8Array {
  const record = new Uint8Array(CAN_MTU);
  writeControl(record, 0, code, first, second);
  return record;
}
