// Number of bits of CAN 2.0 frames by table, a byte at a time, because simulation needs it per frame. ISO 11898-1 10.4, 10.5.

import { byteAt } from '../core/bytes.ts';
import type { CanFrame } from './can-frame.ts';

const CRC15_POLYNOMIAL = 0x4599;
const CRC15_BITS = 15;

/** Change of the CRC register by eight further bits, indexed by its upper eight bits combined with them. */
const CRC15_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 7;
  for (let bit = 0; bit < 8; bit++) {
    crc = (crc & 0x4000) === 0 ? crc << 1 : (crc << 1) ^ CRC15_POLYNOMIAL;
  }
  return crc & 0x7fff;
});
/**
 * State of the bit stuffing: the last bit on the wire, and how many equal bits (1 to 4) it ends. There is no state
 * for a fifth one, because the stuff bit follows at once.
 */
function stuffState(last: number, run: number): number {
  return last * 4 + run - 1;
}

/** Indexed by state and byte: stuff bits inserted (in the upper bits), and the state after them (in the lower three). */
const STUFF_TABLE = Uint8Array.from({ length: 8 * 256 }, (_, index) => {
  let last = index >> 10;
  let run = ((index >> 8) & 3) + 1;
  let stuffed = 0;
  for (let at = 7; at >= 0; at--) {
    const bit = (index >> at) & 1;
    if (bit !== last) {
      last = bit;
      run = 1;
    } else if (++run === 5) {
      stuffed++;
      last = 1 - bit;
      run = 1;
    }
  }
  return (stuffed << 3) | stuffState(last, run);
});

/** State before the padding: any is right, because the padding alternates and leaves one recessive bit before SOF. */
const BEFORE_PADDING = stuffState(0, 1);

/** Header, data and CRC of a CAN 2.0 frame with their stuff bits: the frame without its parts of fixed form. */
export function classicStuffedBits(frame: CanFrame): number {
  const { id, data } = frame;
  const remote = frame.remote ? 0x40 : 0;
  let crc = 0;
  let state = BEFORE_PADDING;
  let stuffed = 0;
  let headerBits: number;
  // The header is padded to whole bytes in front: with zeros for the CRC, which do not change it, and with alternating
  // bits for the stuffing, which need no stuff bits.
  if (frame.extended) {
    headerBits = 39;
    const first = id >>> 23;
    const second = ((id >>> 15) & 0xf8) | 0b110 | ((id >>> 17) & 1); // SRR and IDE in between
    const last = ((id & 1) << 7) | remote | data.length; // r1 and r0 are zero
    crc = crcStep(crcStep(0, first), second);
    crc = crcStep(crcStep(crc, (id >>> 9) & 0xff), (id >>> 1) & 0xff);
    crc = crcStep(crc, last);
    for (const byte of [0x80 | first, second, (id >>> 9) & 0xff, (id >>> 1) & 0xff, last]) {
      const step = byteAt(STUFF_TABLE, (state << 8) | byte);
      stuffed += step >> 3;
      state = step & 7;
    }
  } else {
    headerBits = 19;
    const header = (id << 7) | remote | data.length; // IDE and r0 are zero
    crc = crcStep(crcStep(crcStep(0, header >>> 16), (header >>> 8) & 0xff), header & 0xff);
    let step = byteAt(STUFF_TABLE, (state << 8) | 0b10101000 | (header >>> 16));
    stuffed = step >> 3;
    step = byteAt(STUFF_TABLE, ((step & 7) << 8) | ((header >>> 8) & 0xff));
    stuffed += step >> 3;
    step = byteAt(STUFF_TABLE, ((step & 7) << 8) | (header & 0xff));
    stuffed += step >> 3;
    state = step & 7;
  }
  for (let at = 0; at < data.length; at++) {
    const byte = byteAt(data, at);
    crc = crcStep(crc, byte);
    const step = byteAt(STUFF_TABLE, (state << 8) | byte);
    stuffed += step >> 3;
    state = step & 7;
  }
  // The sixteenth bit differs from the last one of the CRC: it ends every run and is never followed by a stuff bit.
  let step = byteAt(STUFF_TABLE, (state << 8) | (crc >>> 7));
  stuffed += step >> 3;
  step = byteAt(STUFF_TABLE, ((step & 7) << 8) | ((crc << 1) & 0xff) | (~crc & 1));
  stuffed += step >> 3;
  return headerBits + 8 * data.length + CRC15_BITS + stuffed;
}

function crcStep(crc: number, byte: number): number {
  // biome-ignore lint/style/noNonNullAssertion: masked to the 256 entries, and run for each byte of every frame
  return ((crc << 8) & 0x7fff) ^ CRC15_TABLE[((crc >>> 7) ^ byte) & 0xff]!;
}
