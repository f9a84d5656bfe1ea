// Codec of the kernel's struct can_frame (16 bytes) and struct canfd_frame (72 bytes), linux/can.h.

import { endianness } from 'node:os';
import { byteAt, copyBytes } from '../core/bytes.ts';
import type { CanFilter } from './can-bus.ts';
import { type CanFrame, FD_LENGTHS } from './can-frame.ts';

/** sizeof(struct can_frame), sizeof(struct canfd_frame). */
export const CAN_MTU = 16;
export const CANFD_MTU = 72;

/** Upper bits of can_id. */
export const CAN_EFF_FLAG = 0x80000000;
export const CAN_RTR_FLAG = 0x40000000;
export const CAN_ERR_FLAG = 0x20000000;
export const CAN_EFF_MASK = 0x1fffffff;
export const CAN_SFF_MASK = 0x7ff;

/** struct canfd_frame.flags. FDF is what tells a canfd_frame from a can_frame in a stream of both. */
const CANFD_BRS = 0x01;
export const CANFD_ESI = 0x02;
const CANFD_FDF = 0x04;

/** Value of the reserved byte (__res0) that marks the echo of the reader's own frame. */
const ECHO = 1;

const AT_LENGTH = 4;
const AT_FLAGS = 5;
const AT_RESERVED = 6;
const AT_DATA = 8;

const IS_FD_LENGTH = Uint8Array.from({ length: 256 }, (_, length) =>
  (FD_LENGTHS as readonly number[]).includes(length) ? 1 : 0,
);

// can_id has the byte order of the machine.
export const LITTLE_ENDIAN = endianness() === 'LE';
const [SHIFT_0, SHIFT_1, SHIFT_2, SHIFT_3] = LITTLE_ENDIAN ? [0, 8, 16, 24] : [24, 16, 8, 0];

/** Reads can_id or any other 32 bit number of a whole record, unsigned. No function calls: every frame passes here. */
export function readWord(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << SHIFT_0) |
      ((bytes[at + 1] ?? 0) << SHIFT_1) |
      ((bytes[at + 2] ?? 0) << SHIFT_2) |
      ((bytes[at + 3] ?? 0) << SHIFT_3)) >>>
    0
  );
}

function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> SHIFT_0;
  bytes[at + 1] = value >>> SHIFT_1;
  bytes[at + 2] = value >>> SHIFT_2;
  bytes[at + 3] = value >>> SHIFT_3;
}

/**
 * Length of the record that starts at `at`: 16 or 72, undefined while fewer than its first 8 bytes are there.
 * Relies on CANFD_FDF, which `encodeFrame` always sets and kernels set since 6.0.
 */
export function recordLength(bytes: Uint8Array, at: number): 16 | 72 | undefined {
  if (bytes.length - at < AT_DATA) return undefined;
  return (byteAt(bytes, at + AT_FLAGS) & CANFD_FDF) !== 0 ? CANFD_MTU : CAN_MTU;
}

export function frameRecordLength(frame: CanFrame): 16 | 72 {
  return frame.fd ? CANFD_MTU : CAN_MTU;
}

/** Writes `frame` (which has no fault) at `at` and returns how many bytes that took. */
export function encodeFrame(frame: CanFrame, into: Uint8Array, at: number): number {
  const length = frame.fd ? CANFD_MTU : CAN_MTU;
  const { data } = frame;
  writeWord(
    into,
    at,
    (frame.id | (frame.extended ? CAN_EFF_FLAG : 0) | (frame.remote ? CAN_RTR_FLAG : 0)) >>> 0,
  );
  into[at + AT_LENGTH] = data.length;
  into[at + AT_FLAGS] = frame.fd ? CANFD_FDF | (frame.brs ? CANFD_BRS : 0) : 0;
  into[at + AT_RESERVED] = 0;
  into[at + AT_RESERVED + 1] = 0;
  const from = at + AT_DATA;
  copyBytes(data, 0, into, from, data.length);
  into.fill(0, from + data.length, at + length);
  return length;
}

/** Says why a record is not a CAN frame; undefined when `decodeFrame` can read it. */
export function recordFault(bytes: Uint8Array, at: number): string | undefined {
  const word = readWord(bytes, at);
  if ((word & CAN_ERR_FLAG) !== 0) return 'error frame where a data frame was expected';
  const extended = (word & CAN_EFF_FLAG) !== 0;
  const id = word & CAN_EFF_MASK;
  if (!extended && id > CAN_SFF_MASK) return `11 bit identifier 0x${id.toString(16)}`;
  const length = byteAt(bytes, at + AT_LENGTH);
  const remote = (word & CAN_RTR_FLAG) !== 0;
  if ((byteAt(bytes, at + AT_FLAGS) & CANFD_FDF) !== 0) {
    if (remote) return 'remote CAN FD frame';
    if (IS_FD_LENGTH[length] === 0) return `CAN FD frame of ${length} bytes`;
    return undefined;
  }
  return length > 8 ? `classic frame of ${length} bytes` : undefined;
}

/** The frame of a record without fault. `data` is a copy. The requested length of a remote frame is lost. */
export function decodeFrame(bytes: Uint8Array, at: number): CanFrame {
  const word = readWord(bytes, at);
  const flags = byteAt(bytes, at + AT_FLAGS);
  const extended = (word & CAN_EFF_FLAG) !== 0;
  const remote = (word & CAN_RTR_FLAG) !== 0;
  const fd = (flags & CANFD_FDF) !== 0;
  const length = remote ? 0 : byteAt(bytes, at + AT_LENGTH);
  const data = new Uint8Array(length);
  copyBytes(bytes, at + AT_DATA, data, 0, length);
  return {
    id: word & (extended ? CAN_EFF_MASK : CAN_SFF_MASK),
    extended,
    data,
    fd,
    brs: fd && (flags & CANFD_BRS) !== 0,
    remote,
  };
}

/** Returns whether CANFD_ESI is set: the sender was error passive. */
export function isErrorPassiveSender(bytes: Uint8Array, at: number): boolean {
  return (byteAt(bytes, at + AT_FLAGS) & (CANFD_FDF | CANFD_ESI)) === (CANFD_FDF | CANFD_ESI);
}

export function isErrorRecord(bytes: Uint8Array, at: number): boolean {
  return (readWord(bytes, at) & CAN_ERR_FLAG) !== 0;
}

export function isEcho(bytes: Uint8Array, at: number): boolean {
  return bytes[at + AT_RESERVED] === ECHO;
}

export function markEcho(bytes: Uint8Array, at: number, echo: boolean): void {
  bytes[at + AT_RESERVED] = echo ? ECHO : 0;
}

/** struct can_filter for data frames of the filter's width only: the width and remote bits are in the mask. */
export function kernelFilter(filter: CanFilter): { readonly id: number; readonly mask: number } {
  const width = filter.extended ? CAN_EFF_MASK : CAN_SFF_MASK;
  return {
    id: ((filter.id & width) | (filter.extended ? CAN_EFF_FLAG : 0)) >>> 0,
    mask: ((filter.mask & width) | CAN_EFF_FLAG | CAN_RTR_FLAG) >>> 0,
  };
}

/** An error frame (linux/can/error.h) as a record: the class bits in can_id, 8 bytes of detail. */
export function encodeErrorFrame(
  errorClass: number,
  detail: Uint8Array,
  into: Uint8Array,
  at: number,
): number {
  writeWord(into, at, (CAN_ERR_FLAG | errorClass) >>> 0);
  into.fill(0, at + AT_LENGTH, at + CAN_MTU);
  into[at + AT_LENGTH] = 8;
  into.set(detail.subarray(0, 8), at + AT_DATA);
  return CAN_MTU;
}

/** The class bits and the 8 bytes of detail of an error record. */
export function decodeErrorFrame(
  bytes: Uint8Array,
  at: number,
): { readonly errorClass: number; readonly detail: Uint8Array } {
  return {
    errorClass: readWord(bytes, at) & CAN_EFF_MASK,
    detail: bytes.slice(at + AT_DATA, at + CAN_MTU),
  };
}
