// The limit that the frame bits set: the best goodput of UDS TransferData over ISO-TP on a wire that is never idle.

import { averageFrameBits, bitsDurationMs, type FrameShape } from './bit-timing.ts';
import { fdLength } from './can-frame.ts';

export interface TransferLimitOptions {
  /** Nominal bit rate in bit/s. */
  readonly bitrate: number;
  /** Bit rate of the data phase in bit/s; used with `fd` and `brs` only. */
  readonly dataBitrate?: number;
  readonly fd: boolean;
  /** TX_DL of both sides: 8 for CAN 2.0, up to 64 for CAN FD. */
  readonly txDl: number;
  readonly brs?: boolean;
  /** 29 bit identifiers. */
  readonly extended?: boolean;
  /** maxNumberOfBlockLength of RequestDownload: SID, block counter and data. */
  readonly blockLength: number;
  readonly requestId?: number;
  readonly responseId?: number;
  /** Bytes before the PCI: 1 for extended and mixed addressing. */
  readonly addressBytes?: 0 | 1;
  /** BS of the receiver; 0: one flow control for the whole block. */
  readonly blockSize?: number;
  /** STmin of the receiver. */
  readonly stMinMs?: number;
  readonly padding?: number;
}

export interface TransferLimit {
  /** Bytes of the image a second. */
  readonly bytesPerSecond: number;
  /** One TransferData with its answer, with average stuffing. */
  readonly blockMs: number;
  readonly framesPerBlock: number;
  /** The calculation with its numbers, one line. */
  readonly formula: string;
}

/** Bytes of a request besides the data: SID 0x36 and the block counter. */
const TRANSFER_DATA_HEAD = 2;

/** Throws RangeError when the block is too short to carry data or TX_DL cannot hold a frame. */
export function transferLimit(options: TransferLimitOptions): TransferLimit {
  const { txDl, blockLength } = options;
  const address = options.addressBytes ?? 0;
  const padding = options.padding ?? 0xcc;
  if (blockLength <= TRANSFER_DATA_HEAD) {
    throw new RangeError(`a block of ${blockLength} bytes carries no data`);
  }
  const maxTxDl = options.fd ? 64 : 8;
  if (txDl < 8 || txDl > maxTxDl || fdLength(txDl) !== txDl) {
    throw new RangeError(`TX_DL ${txDl} is not possible on this bus`);
  }
  const extended = options.extended ?? false;
  const requestId = options.requestId ?? (extended ? 0x18da10f1 : 0x7e0);
  const responseId = options.responseId ?? (extended ? 0x18daf110 : 0x7e8);

  const durationMs = (id: number, bytes: readonly (number | undefined)[]): number => {
    const padded = [...bytes];
    while (padded.length < (options.fd ? fdLength(Math.max(8, padded.length)) : 8)) {
      padded.push(padding);
    }
    const brs = options.fd && (options.brs ?? true);
    const shape: FrameShape = { id, extended, fd: options.fd, brs, bytes: padded };
    return bitsDurationMs(
      averageFrameBits(shape),
      options.bitrate,
      options.dataBitrate ?? options.bitrate,
    );
  };
  const addressByte = Array<undefined>(address).fill(undefined);
  const random = (count: number): undefined[] => Array<undefined>(count).fill(undefined);

  // ISO 15765-2 9.6.2: which frames carry the request.
  const singleMax = txDl > 8 ? txDl - 2 - address : 7 - address;
  let requestMs: number;
  let requestFrames = 1;
  let flowControls = 0;
  if (blockLength <= singleMax) {
    const pci = blockLength <= 7 - address ? [blockLength, 0x36] : [0, blockLength, 0x36];
    requestMs = durationMs(requestId, [...addressByte, ...pci, ...random(blockLength - 1)]);
  } else {
    const long = blockLength > 0xfff;
    const firstPci = long
      ? [0x10, 0, ...[24, 16, 8, 0].map((shift) => (blockLength >>> shift) & 0xff)]
      : [0x10 | (blockLength >>> 8), blockLength & 0xff];
    const firstData = txDl - firstPci.length - address;
    requestMs = durationMs(requestId, [
      ...addressByte,
      ...firstPci,
      0x36,
      ...random(firstData - 1),
    ]);
    const perFrame = txDl - 1 - address;
    const rest = blockLength - firstData;
    const consecutive = Math.ceil(rest / perFrame);
    const lastData = rest - (consecutive - 1) * perFrame;
    // The sequence number changes the stuffing: the average over all of its values.
    for (let number = 0; number < 16; number++) {
      const full = durationMs(requestId, [...addressByte, 0x20 | number, ...random(perFrame)]);
      requestMs += ((consecutive - 1) * full) / 16;
    }
    const lastPci = 0x20 | (consecutive & 0xf);
    requestMs += durationMs(requestId, [...addressByte, lastPci, ...random(lastData)]);
    requestFrames += consecutive;
    const blockSize = options.blockSize ?? 0;
    flowControls = 1 + (blockSize > 0 ? Math.floor((consecutive - 1) / blockSize) : 0);
    // 9.6.5.4: STmin is the gap from the end of one consecutive frame to the next without FC between them.
    requestMs += Math.max(0, consecutive - flowControls) * (options.stMinMs ?? 0);
  }
  const flowControlMs = durationMs(responseId, [...addressByte, 0x30, options.blockSize ?? 0, 0]);
  const responseMs = durationMs(responseId, [...addressByte, 2, 0x76, undefined]);
  const blockMs = requestMs + flowControls * flowControlMs + responseMs;
  const data = blockLength - TRANSFER_DATA_HEAD;
  const bytesPerSecond = (1000 * data) / blockMs;
  return {
    bytesPerSecond,
    blockMs,
    framesPerBlock: requestFrames + flowControls + 1,
    formula:
      `${data} bytes / (${requestFrames} request frames ${requestMs.toFixed(3)} ms + ` +
      `${flowControls} flow control ${(flowControls * flowControlMs).toFixed(3)} ms + ` +
      `response ${responseMs.toFixed(3)} ms) = ${(bytesPerSecond / 1000).toFixed(1)} kB/s`,
  };
}
