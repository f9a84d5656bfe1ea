// The rules of a transfer: requests 34, 36, 37 and 38 as steps of a block sequence. Pure, without access to memory.

import { encryptedLength } from '../../../src/trust/image-encryption.ts';
import { Nrc } from '../../../src/uds/nrc.ts';

/** The progress of a transfer, as TransferData counts it. */
export interface BlockSequence {
  /** Bytes on the wire: more than memorySize where the image is encrypted. */
  readonly size: number;
  readonly received: number;
  /** Counter of the last accepted block; undefined before the first. */
  readonly lastCounter: number | undefined;
  readonly maxBlockLength: number;
}

/** The content of RequestDownload. */
export interface DownloadRequest {
  readonly dataFormat: number;
  readonly address: number;
  readonly size: number;
}

/** The allowed place, length and format of an image. */
export interface DownloadArea {
  readonly address: number;
  readonly size: number;
  /** Whether a transfer is under way. */
  readonly isBusy: boolean;
  /** Whether the bank was erased in this session and not written since. */
  readonly blank: boolean;
  /** Length of the plain image from the signed metadata; undefined: no metadata was accepted. */
  readonly expectedLength: number | undefined;
  /** Format in which the image must be sent. */
  readonly format: 'plain' | 'encrypted' | 'either';
  /** An unfinished download of this image: the first `received` bytes are durable, sent as `carried` bytes. */
  readonly resume:
    | { readonly received: number; readonly carried: number; readonly encrypted: boolean }
    | undefined;
}

/** dataFormatIdentifier: compression in the upper nibble, encryption in the lower (15.2.2.1). */
export const DataFormat = { plain: 0x00, encrypted: 0x01 } as const;

export type DownloadStep<Accepted> =
  | ({ readonly nrc?: undefined } & Accepted)
  | { readonly nrc: Nrc };

/** Largest file of 38, which is held in RAM. */
export const MAX_FILE_BYTES = 256 * 1024;

/**
 * ISO 14229-1:2020 15.2 RequestDownload, checks in the order of its NRC table: the format and range, then the state.
 */
export function startImage(
  request: DownloadRequest,
  area: DownloadArea,
  maxBlockLength: number,
): DownloadStep<{ readonly blocks: BlockSequence; readonly resumed: boolean }> {
  const { dataFormat } = request;
  if (dataFormat !== DataFormat.plain && dataFormat !== DataFormat.encrypted) {
    return { nrc: Nrc.requestOutOfRange };
  }
  const encrypted = dataFormat === DataFormat.encrypted;
  const { resume } = area;
  // The rest of an image must start exactly after its durable part.
  const resumed =
    resume !== undefined &&
    resume.encrypted === encrypted &&
    request.address === area.address + resume.received;
  const received = resumed ? resume.received : 0;
  const size = received + request.size;
  if (request.address !== area.address + received || request.size < 1 || size > area.size) {
    return { nrc: Nrc.requestOutOfRange };
  }
  // The format is also signed: an image that was released encrypted must not be sent in plain.
  if (area.expectedLength !== undefined) {
    const right = area.format === 'either' || dataFormat === DataFormat[area.format];
    if (size !== area.expectedLength || !right) return { nrc: Nrc.requestOutOfRange };
  }
  // 15.2.4: 22 while a transfer is under way already, without metadata, and for a bank that was not erased.
  if (area.isBusy || area.expectedLength === undefined || !(resumed || area.blank)) {
    return { nrc: Nrc.conditionsNotCorrect };
  }
  const wireSize = encrypted ? encryptedLength(size) : size;
  const carried = resumed ? resume.carried : 0;
  return { blocks: sequence(wireSize, maxBlockLength, carried), resumed };
}

/** ISO 14229-1:2020 15.6 RequestFileTransfer: adds a file with a known name, which the caller checks. */
export function startFile(
  request: {
    readonly dataFormat: number;
    readonly size: number;
  },
  maxBlockLength: number,
  isBusy: boolean,
): DownloadStep<{ readonly blocks: BlockSequence }> {
  if (request.dataFormat !== DataFormat.plain) return { nrc: Nrc.requestOutOfRange };
  if (request.size < 1 || request.size > MAX_FILE_BYTES) return { nrc: Nrc.requestOutOfRange };
  if (isBusy) return { nrc: Nrc.conditionsNotCorrect };
  return { blocks: sequence(request.size, maxBlockLength) };
}

function sequence(size: number, maxBlockLength: number, received = 0): BlockSequence {
  return { size, received, lastCounter: undefined, maxBlockLength };
}

/**
 * ISO 14229-1:2020 15.4 TransferData with `length` bytes of data. `write` says whether the bytes are new: a repeated
 * last block is answered positively and not written again.
 */
export function transferBlock(
  blocks: BlockSequence,
  counter: number,
  length: number,
): DownloadStep<{ readonly blocks: BlockSequence; readonly write: boolean }> {
  if (length === 0) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
  // 15.4.4: 31 when the record is not consistent with maxNumberOfBlockLength (SID and counter included).
  if (length + 2 > blocks.maxBlockLength) return { nrc: Nrc.requestOutOfRange };
  // 15.4: the tester repeats a block whose response was lost; the server answers and writes nothing.
  if (counter === blocks.lastCounter) return { blocks, write: false };
  // 15.4.4: 24 when all data of memorySize has been received already.
  if (blocks.received === blocks.size) return { nrc: Nrc.requestSequenceError };
  // 15.4.2: the counter starts at 01 and goes on with 00 after FF.
  const next = ((blocks.lastCounter ?? 0) + 1) & 0xff;
  if (counter !== next) return { nrc: Nrc.wrongBlockSequenceCounter };
  // 15.4.4: 71 when the module's length does not meet memorySize.
  if (length > blocks.size - blocks.received) return { nrc: Nrc.transferDataSuspended };
  return {
    blocks: { ...blocks, received: blocks.received + length, lastCounter: counter },
    write: true,
  };
}

/** The NRC against RequestTransferExit, ISO 14229-1:2020 15.5: 24 while bytes are missing. */
export function exitRefusal(blocks: BlockSequence, parameterLength: number): Nrc | undefined {
  if (blocks.received < blocks.size) return Nrc.requestSequenceError;
  return parameterLength > 0 ? Nrc.requestOutOfRange : undefined;
}
