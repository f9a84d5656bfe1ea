// ISO 15765-2:2016 9.6: protocol control information, the first bytes of every frame's data.

import { byteAt, bytesToUint } from '../core/bytes.ts';

/** FlowStatus, table 19. */
export const FlowStatus = { continueToSend: 0, wait: 1, overflow: 2 } as const;
export type FlowStatus = (typeof FlowStatus)[keyof typeof FlowStatus];

/** Largest length that the 12 bit of a first frame hold; above it the 32 bit escape is used. */
export const MAX_12_BIT_LENGTH = 0xfff;

/**
 * The content of a frame. `dataAt` is where the payload starts within the frame's data. `ignore` names the reason why
 * the standard demands to ignore the frame.
 */
export type Pci =
  | { readonly kind: 'single'; readonly length: number; readonly dataAt: number }
  | { readonly kind: 'first'; readonly length: number; readonly dataAt: number }
  | { readonly kind: 'consecutive'; readonly sequence: number; readonly dataAt: number }
  | {
      readonly kind: 'flow-control';
      /** A value above 2 is reserved: N_INVALID_FS. */
      readonly status: number;
      readonly blockSize: number;
      /** The raw byte; `stMinToMs` reads it. */
      readonly stMin: number;
    }
  | { readonly kind: 'ignore'; readonly reason: string };

/**
 * Reads the PCI at `at` (1 behind an address byte of extended or mixed addressing, otherwise 0).
 * `data.length` is CAN_DL.
 */
export function decodePci(data: Uint8Array, at: number): Pci {
  const first = data[at];
  if (first === undefined) return ignore('no PCI byte');
  switch (first >> 4) {
    case 0:
      return decodeSingle(data, at, first & 0x0f);
    case 1:
      return decodeFirst(data, at, first & 0x0f);
    case 2:
      return { kind: 'consecutive', sequence: first & 0x0f, dataAt: at + 1 };
    case 3: {
      const blockSize = data[at + 1];
      const stMin = data[at + 2];
      if (blockSize === undefined || stMin === undefined)
        return ignore('flow control below 3 bytes');
      return { kind: 'flow-control', status: first & 0x0f, blockSize, stMin };
    }
    default:
      return ignore(`reserved PCI type 0x${(first >> 4).toString(16)}`);
  }
}

/** 9.6.2: up to CAN_DL 8 the length is in the low nibble; above it the nibble is 0 and a byte follows. */
function decodeSingle(data: Uint8Array, at: number, nibble: number): Pci {
  const escaped = data.length > 8;
  if (escaped && nibble !== 0)
    return ignore('single frame above 8 bytes without the length escape');
  const length = escaped ? byteAt(data, at + 1) : nibble;
  const dataAt = at + (escaped ? 2 : 1);
  // 9.6.2.2: SF_DL of zero, or larger than the frame holds, is ignored.
  if (length === 0) return ignore('single frame of length 0');
  if (length > data.length - dataAt)
    return ignore(`single frame of length ${length} in ${data.length} bytes`);
  return { kind: 'single', length, dataAt };
}

/** 9.6.3: 12 bit length, or zero and 32 bit. */
function decodeFirst(data: Uint8Array, at: number, nibble: number): Pci {
  if (data.length < 8) return ignore('first frame below 8 bytes');
  const short = (nibble << 8) | byteAt(data, at + 1);
  if (short !== 0) {
    // 9.6.3.2: FF_DL must be more than a single frame of this CAN_DL holds.
    if (short < minFirstFrameLength(data.length, at))
      return ignore(`first frame of length ${short}`);
    return { kind: 'first', length: short, dataAt: at + 2 };
  }
  const length = bytesToUint(data.subarray(at + 2, at + 6));
  // 9.6.3.2: the escape is for lengths that need it.
  if (length <= MAX_12_BIT_LENGTH) return ignore(`escaped first frame of length ${length}`);
  return { kind: 'first', length, dataAt: at + 6 };
}

/** FF_DLmin of table 14: one more than what fits into a single frame of this length. */
export function minFirstFrameLength(canDl: number, addressBytes: number): number {
  return maxSingleFrameLength(canDl, addressBytes) + 1;
}

/** What fits into a single frame of `txDl` bytes. */
export function maxSingleFrameLength(txDl: number, addressBytes: number): number {
  return (txDl > 8 ? txDl - 2 : txDl - 1) - addressBytes;
}

function ignore(reason: string): Pci {
  return { kind: 'ignore', reason };
}

/** 9.6.5.4: 00..7F are milliseconds, F1..F9 hundreds of microseconds; all other values are reserved and mean 127 ms. */
export function stMinToMs(stMin: number): number {
  if (stMin <= 0x7f) return stMin;
  if (stMin >= 0xf1 && stMin <= 0xf9) return (stMin - 0xf0) / 10;
  return 127;
}

/** The smallest STmin byte that asks for at least `ms`; throws RangeError above 127 ms. */
export function msToStMin(ms: number): number {
  if (ms > 0 && ms <= 0.9) return 0xf0 + Math.ceil(ms * 10 - 1e-9);
  const whole = Math.ceil(ms);
  if (!(whole >= 0 && whole <= 0x7f)) throw new RangeError(`STmin of ${ms} ms is outside 0..127`);
  return whole;
}
