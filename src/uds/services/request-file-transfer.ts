// RequestFileTransfer (38), ISO 14229-1:2020 15.6.

import { asciiBytes, asciiText, byteAt, concatBytes, uintToBytes } from '../../core/bytes.ts';
import { assertNever } from '../../core/errors.ts';
import {
  checkedByte,
  field16,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
} from '../codec.ts';
import { bytesNeeded } from '../memory-transfer.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { decodedText, printable } from '../words.ts';

const SID = 0x38;

/** Annex G.1: modeOfOperation. Not a sub-function: bit 7 suppresses nothing. */
export const ModeOfOperation = {
  addFile: 0x01,
  deleteFile: 0x02,
  replaceFile: 0x03,
  readFile: 0x04,
  readDir: 0x05,
  resumeFile: 0x06,
} as const;

interface FileRequest {
  /** filePathAndName, one byte a character, 1 to 65,535 characters. */
  readonly path: string;
}

/** Sizes in bytes; both are equal for plain data. */
interface SizedFileRequest extends FileRequest {
  readonly dataFormat: number;
  readonly size: number;
  readonly compressedSize: number;
}

export type Request =
  | ({ readonly mode: 'addFile' | 'replaceFile' | 'resumeFile' } & SizedFileRequest)
  | ({ readonly mode: 'readFile'; readonly dataFormat: number } & FileRequest)
  | ({ readonly mode: 'deleteFile' | 'readDir' } & FileRequest);

interface TransferResponse {
  /** Longest TransferData message in bytes, service identifier and block counter included. */
  readonly maxBlockLength: number;
}

export type Response =
  | ({ readonly mode: 'addFile' | 'replaceFile'; readonly dataFormat: number } & TransferResponse)
  | { readonly mode: 'deleteFile' }
  | ({
      readonly mode: 'readFile';
      readonly dataFormat: number;
      readonly size: number;
      readonly compressedSize: number;
    } & TransferResponse)
  /** `size`: bytes of directory information to be read. */
  | ({ readonly mode: 'readDir'; readonly size: number } & TransferResponse)
  /** `position`: the byte of the file at which TransferData continues. */
  | ({
      readonly mode: 'resumeFile';
      readonly dataFormat: number;
      readonly position: number;
    } & TransferResponse);

const MODES = new Map<number, Request['mode']>(
  Object.entries(ModeOfOperation).map(([name, code]) => [code, name as Request['mode']]),
);

/** `38 <mode> <length of path, 2> <path> [dataFormat] [width, sizes]`; throws RangeError for a value that does not fit. */
export function encodeRequest(request: Request): Uint8Array {
  if (request.path.length === 0) throw new RangeError('filePathAndName must not be empty');
  const head = [
    Uint8Array.of(SID, ModeOfOperation[request.mode]),
    field16(asciiBytes(request.path)),
  ];
  switch (request.mode) {
    case 'addFile':
    case 'replaceFile':
    case 'resumeFile': {
      const width = bytesNeeded(Math.max(request.size, request.compressedSize));
      head.push(
        Uint8Array.of(checkedByte(request.dataFormat, 'dataFormatIdentifier'), width),
        uintToBytes(request.size, width),
        uintToBytes(request.compressedSize, width),
      );
      break;
    }
    case 'readFile':
      head.push(Uint8Array.of(checkedByte(request.dataFormat, 'dataFormatIdentifier')));
      break;
    case 'deleteFile':
    case 'readDir':
      break;
    default:
      return assertNever(request);
  }
  return concatBytes(...head);
}

/** Returns requestOutOfRange for an unknown mode or a size beyond 2^53. */
export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 5);
  if (problem !== undefined) return problem;
  const mode = MODES.get(byteAt(bytes, 1));
  if (mode === undefined) return Nrc.requestOutOfRange;
  const reader = new Reader(bytes, 2);
  const path = asciiText(reader.field16());
  const request = readBody(mode, path, reader);
  if (!reader.exact || path === '') return Nrc.incorrectMessageLengthOrInvalidFormat;
  return request;
}

function readBody(mode: Request['mode'], path: string, reader: Reader): Request | Nrc {
  switch (mode) {
    case 'addFile':
    case 'replaceFile':
    case 'resumeFile': {
      const dataFormat = reader.uint(1);
      const width = reader.uint(1);
      const size = reader.uint(width);
      const compressedSize = reader.uint(width);
      if (width === 0 || !Number.isSafeInteger(size) || !Number.isSafeInteger(compressedSize)) {
        return Nrc.requestOutOfRange;
      }
      return { mode, path, dataFormat, size, compressedSize };
    }
    case 'readFile':
      return { mode, path, dataFormat: reader.uint(1) };
    case 'deleteFile':
    case 'readDir':
      return { mode, path };
    default:
      return assertNever(mode);
  }
}

/** `78 <mode> [width, maxNumberOfBlockLength, dataFormat] [width of sizes, 2, sizes | position, 8]` */
export function encodeResponse(response: Response): Uint8Array {
  const head = Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, ModeOfOperation[response.mode]);
  if (response.mode === 'deleteFile') return head;
  const width = Math.max(2, bytesNeeded(response.maxBlockLength));
  const block = concatBytes(
    head,
    Uint8Array.of(width),
    uintToBytes(response.maxBlockLength, width),
    // 15.6.3.2: a directory has no data format, so the byte is 00.
    Uint8Array.of(
      response.mode === 'readDir' ? 0 : checkedByte(response.dataFormat, 'dataFormatIdentifier'),
    ),
  );
  switch (response.mode) {
    case 'addFile':
    case 'replaceFile':
      return block;
    case 'resumeFile':
      return concatBytes(block, uintToBytes(response.position, 8));
    case 'readFile': {
      const sizeWidth = bytesNeeded(Math.max(response.size, response.compressedSize));
      return concatBytes(
        block,
        uintToBytes(sizeWidth, 2),
        uintToBytes(response.size, sizeWidth),
        uintToBytes(response.compressedSize, sizeWidth),
      );
    }
    case 'readDir': {
      const sizeWidth = bytesNeeded(response.size);
      return concatBytes(block, uintToBytes(sizeWidth, 2), uintToBytes(response.size, sizeWidth));
    }
    default:
      return assertNever(response);
  }
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const mode = MODES.get(byteAt(bytes, 1));
  if (mode === undefined) return malformed(`modeOfOperation ${bytes[1]} is reserved`);
  const reader = new Reader(bytes, 2);
  const response = readResponse(mode, reader);
  if (!reader.exact) return malformed(`${bytes.length} bytes do not fit the fields of ${mode}`);
  const numbers = Object.values(response).filter((value) => typeof value === 'number');
  if (!numbers.every(Number.isSafeInteger)) return malformed('a size is beyond 2^53');
  // Below 3 there is no space for data after the identifier and the counter.
  if ('maxBlockLength' in response && response.maxBlockLength < 3) {
    return malformed(`maxNumberOfBlockLength ${response.maxBlockLength} is below 3`);
  }
  return response;
}

function readResponse(mode: Request['mode'], reader: Reader): Response {
  if (mode === 'deleteFile') return { mode };
  const maxBlockLength = reader.uint(reader.uint(1));
  const dataFormat = reader.uint(1);
  switch (mode) {
    case 'addFile':
    case 'replaceFile':
      return { mode, maxBlockLength, dataFormat };
    case 'resumeFile':
      return { mode, maxBlockLength, dataFormat, position: reader.uint(8) };
    case 'readFile': {
      const width = reader.uint(2);
      const size = reader.uint(width);
      return { mode, maxBlockLength, dataFormat, size, compressedSize: reader.uint(width) };
    }
    case 'readDir':
      return { mode, maxBlockLength, size: reader.uint(reader.uint(2)) };
    default:
      return assertNever(mode);
  }
}

export const row = serviceRow({
  name: 'requestFileTransfer',
  sid: SID,
  echoed: 1,
  named: [1],
  request: (message) =>
    decodedText(decodeRequest(message), (request) => {
      const size = 'size' in request ? ` ${request.size} bytes` : '';
      return `${request.mode} ${printable(request.path)}${size}`;
    }),
  response: (message) =>
    decodedText(decodeResponse(message), (response) => {
      const block =
        'maxBlockLength' in response ? ` blocks of up to ${response.maxBlockLength} bytes` : '';
      const size = 'size' in response ? ` ${response.size} bytes` : '';
      const position = 'position' in response ? ` from byte ${response.position}` : '';
      return `${response.mode}${size}${position}${block}`;
    }),
});
