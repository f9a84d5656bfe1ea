// How long a frame occupies the wire: all bits of CAN 2.0 and CAN FD frames, stuff bits included. ISO 11898-1.

import { byteAt } from '../core/bytes.ts';
import type { CanFrame } from './can-frame.ts';
import { classicStuffedBits } from './classic-bits.ts';

/** 10.4.6: three recessive bits of intermission before the next frame may start. */
const INTERMISSION_BITS = 3;

/** Bits of one frame, intermission included, by the bit rate at which they run. */
export interface FrameBits {
  /** At the nominal bit rate: all of a CAN 2.0 frame and of a CAN FD frame without BRS. */
  readonly nominal: number;
  /** At the data bit rate. */
  readonly data: number;
}

/** A frame whose payload is known only in part: undefined stands for a random byte. */
export interface FrameShape {
  readonly id: number;
  readonly extended: boolean;
  readonly fd: boolean;
  readonly brs: boolean;
  readonly bytes: readonly (number | undefined)[];
}

/** CRC delimiter, ACK slot, ACK delimiter, 7 bits of end of frame: fixed form, never stuffed. */
const TAIL_BITS = 1 + 1 + 1 + 7;
const CRC15_BITS = 15;
const CRC15_POLYNOMIAL = 0x4599;
/** Stands for a bit that is 0 or 1 with equal chance. */
const RANDOM = 2;

// Longest stuffed part: a CAN FD frame with 29 bit identifier and 64 bytes. One buffer serves all calls.
const bits = new Uint8Array(64 + 8 * 64 + CRC15_BITS);
let length = 0;

function push(value: number, width: number): void {
  for (let bit = width - 1; bit >= 0; bit--) bits[length++] = (value >>> bit) & 1;
}

/** Fills `bits` from SOF to the DLC and returns the index of the BRS bit (-1 for CAN 2.0). */
function pushHeader(frame: Omit<FrameShape, 'bytes'>, remote: boolean, dataLength: number): number {
  length = 0;
  push(0, 1); // SOF
  let brsAt = -1;
  if (frame.extended) {
    push(frame.id >>> 18, 11);
    push(0b11, 2); // SRR, IDE
    push(frame.id & 0x3ffff, 18);
    push(remote ? 1 : 0, 1); // RTR, for FD: RRS
    if (!frame.fd) push(0, 2); // r1, r0
  } else {
    push(frame.id, 11);
    push(remote ? 1 : 0, 1); // RTR, for FD: RRS
    push(0, 1); // IDE
    if (!frame.fd) push(0, 1); // r0
  }
  if (frame.fd) {
    push(0b10, 2); // FDF, res
    brsAt = length;
    push(frame.brs ? 1 : 0, 1);
    push(0, 1); // ESI: error active
  }
  push(dlcOf(dataLength), 4);
  return brsAt;
}

/** Table 5 of ISO 11898-1: 9 to 15 stand for 12 to 64 bytes. */
export function dlcOf(dataLength: number): number {
  if (dataLength <= 8) return dataLength;
  if (dataLength <= 24) return 9 + Math.ceil((dataLength - 12) / 4);
  if (dataLength <= 32) return 13;
  return dataLength <= 48 ? 14 : 15;
}

/** 10.4.2.6: CRC over SOF to the end of the data field, unstuffed, before the stuffing. */
export function crc15(of: Uint8Array, bitCount: number): number {
  let crc = 0;
  for (let index = 0; index < bitCount; index++) {
    const next = byteAt(of, index) ^ (crc >>> 14);
    crc = (crc << 1) & 0x7fff;
    if (next !== 0) crc ^= CRC15_POLYNOMIAL;
  }
  return crc;
}

/** 10.5: after five equal bits an opposite one is inserted, and counts for the next run. Bits `from`..`to`-1. */
let stuffLast = -1;
let stuffRun = 0;
function countStuffBits(from: number, to: number): number {
  let stuffed = 0;
  for (let index = from; index < to; index++) {
    const bit = byteAt(bits, index);
    if (bit !== stuffLast) {
      stuffLast = bit;
      stuffRun = 1;
    } else if (++stuffRun === 5) {
      stuffed++;
      stuffLast = 1 - bit;
      stuffRun = 1;
    }
  }
  return stuffed;
}

/**
 * 10.4.2.6: stuff count (3 bits and parity) and CRC of a CAN FD frame, with a fixed stuff bit before the first
 * and after every fourth of these bits. CRC17 up to 16 bytes, CRC21 above.
 */
function fdCrcFieldBits(dataLength: number): number {
  const checked = 4 + (dataLength <= 16 ? 17 : 21);
  return checked + Math.ceil(checked / 4);
}

/** The exact bits of `frame` (which has no fault) on the wire. */
export function frameBits(frame: CanFrame): FrameBits {
  if (!frame.fd) {
    return { nominal: classicStuffedBits(frame) + TAIL_BITS + INTERMISSION_BITS, data: 0 };
  }
  const { data } = frame;
  const brsAt = pushHeader(frame, frame.remote, data.length);
  for (const byte of data) push(byte, 8);
  stuffLast = -1;
  stuffRun = 0;
  const head = brsAt + 1;
  const headStuffed = countStuffBits(0, head);
  // The fixed stuff bit before the stuff count takes the place of a stuff bit after the last data bit.
  const lastBit = length - 1;
  const bodyStuffed = countStuffBits(head, lastBit);
  return fdBits(frame.brs, head + headStuffed, length - head + bodyStuffed, data.length);
}

/**
 * The rate changes at the sample points of BRS and of the CRC delimiter. With the same sample point in both
 * phases that is exactly one bit of each rate: BRS counts as nominal, the CRC delimiter as data.
 */
function fdBits(brs: boolean, head: number, body: number, dataLength: number): FrameBits {
  const dataPhase = body + fdCrcFieldBits(dataLength) + 1;
  const nominal = head + TAIL_BITS - 1 + INTERMISSION_BITS;
  return brs ? { nominal, data: dataPhase } : { nominal: nominal + dataPhase, data: 0 };
}

/** Milliseconds that bits take; `bitrate` and `dataBitrate` in bit/s. */
export function bitsDurationMs(of: FrameBits, bitrate: number, dataBitrate: number): number {
  return 1000 * (of.nominal / bitrate + (of.data > 0 ? of.data / dataBitrate : 0));
}

/** Milliseconds from the SOF of `frame` to the earliest SOF after it. */
export function frameDurationMs(frame: CanFrame, bitrate: number, dataBitrate: number): number {
  return bitsDurationMs(frameBits(frame), bitrate, dataBitrate);
}

/** The expected bits when the undefined bytes of `shape` (and with them the CRC) are random. */
export function averageFrameBits(shape: FrameShape): FrameBits {
  const dataLength = shape.bytes.length;
  const brsAt = pushHeader(shape, false, dataLength);
  for (const byte of shape.bytes) {
    if (byte !== undefined) push(byte, 8);
    else for (let bit = 0; bit < 8; bit++) bits[length++] = RANDOM;
  }
  if (!shape.fd) {
    if (shape.bytes.includes(undefined)) {
      for (let bit = 0; bit < CRC15_BITS; bit++) bits[length++] = RANDOM;
    } else {
      push(crc15(bits, length), CRC15_BITS);
    }
    const stuffed = expectedStuffBits(length)[0];
    return { nominal: length + stuffed + TAIL_BITS + INTERMISSION_BITS, data: 0 };
  }
  const head = brsAt + 1;
  const [all, before] = expectedStuffBits(length - 1, head);
  return fdBits(shape.brs, head + before, length - head + all - before, dataLength);
}

/** Chances that the bits on the wire end in a run of 0 to 4 equal bits; a run of 0 exists only at the start. */
type RunChances = readonly [number, number, number, number, number];

/** Expected stuff bits in the first `to` bits, and in the first `mark` of them: a Markov chain over the run. */
function expectedStuffBits(to: number, mark = 0): [all: number, beforeMark: number] {
  // Idle is recessive, but its bits count for no run.
  let ones: RunChances = [1, 0, 0, 0, 0];
  let zeros: RunChances = [0, 0, 0, 0, 0];
  let expected = 0;
  let beforeMark = 0;
  for (let index = 0; index < to; index++) {
    if (index === mark) beforeMark = expected;
    const bit = bits[index];
    const one = bit === RANDOM ? 0.5 : bit === 1 ? 1 : 0;
    const zero = 1 - one;
    // A fifth equal bit is followed by a stuff bit, which begins a run of the other value.
    const fifthOne = one * ones[4];
    const fifthZero = zero * zeros[4];
    expected += fifthZero + fifthOne;
    [ones, zeros] = [
      runsAfter(one, ones, zeros, fifthZero),
      runsAfter(zero, zeros, ones, fifthOne),
    ];
  }
  return [expected, mark >= to ? expected : beforeMark];
}

/** The chances of the run lengths of one bit value after a further bit, which has this value with the chance `likely`. */
function runsAfter(
  likely: number,
  same: RunChances,
  other: RunChances,
  stuffed: number,
): RunChances {
  const changed = other[0] + other[1] + other[2] + other[3] + other[4];
  return [
    0,
    likely * (same[0] + changed) + stuffed,
    likely * same[1],
    likely * same[2],
    likely * same[3],
  ];
}
