// Programs the flash of an OpenBLT board: clear all ranges, program them in pieces of 256 bytes, end, and read them back.

import { hexNumber } from '../../core/bytes.ts';
import { defined } from '../../core/optional.ts';
import type { ImageSource } from '../../image/image-source.ts';
import { decodeUploaded } from '../../xcp/answers.ts';
import { XcpError } from '../../xcp/errors.ts';
import { failure } from '../exchange.ts';
import { ImageReader } from '../image-reader.ts';
import type { Layout, MemoryRange } from '../layout.ts';
import type { BoardAnswer, BoardExchange } from './board-exchange.ts';

/** Bytes from one SET_MTA to the next, as OpenBLT's host does it. */
const PIECE_BYTES = 256;
const DONE = { ok: true, value: undefined } as const;

export interface BoardProgramOptions {
  readonly board: BoardExchange;
  readonly layout: Layout;
  readonly maxCto: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((progress: { sent: number; total: number }) => void) | undefined;
}

/** PROGRAM_CLEAR of every range before anything is written, because a sector may hold bytes of two ranges. */
export async function clearBoard({
  board,
  layout,
  signal,
}: BoardProgramOptions): Promise<BoardAnswer<void>> {
  for (const { address, size } of layout.erase) {
    const doing = `erasing ${rangeText({ address, size })}`;
    const placed = await setAddress(board, address, doing, signal);
    if (!placed.ok) return placed;
    const cleared = await board.ask({ kind: 'program-clear', mode: 0, length: size }, doing, {
      signal,
      from: address,
    });
    if (!cleared.ok) return cleared;
  }
  return DONE;
}

/** PROGRAM and PROGRAM_MAX of every range, and the end of the programming. */
export async function writeBoard(options: BoardProgramOptions): Promise<BoardAnswer<void>> {
  const { board, layout, signal, progress } = options;
  const total = layout.carried;
  let sent = 0;
  progress?.({ sent, total });
  for (const range of layout.ranges) {
    const reader = new ImageReader(range.source);
    for (let at = 0; at < range.size; at += PIECE_BYTES) {
      const piece = await reader.next(Math.min(PIECE_BYTES, range.size - at));
      if (piece.length < Math.min(PIECE_BYTES, range.size - at)) return endsEarly(options);
      const written = await writePiece(options, range.address + at, piece);
      if (!written.ok) return written;
      sent += piece.length;
      progress?.({ sent, total });
    }
  }
  const ended = await board.ask(
    { kind: 'program', data: new Uint8Array() },
    'ending the programming',
    { signal },
  );
  return ended.ok ? DONE : ended;
}

/** PROGRAM carries the bytes that fill no PROGRAM_MAX, then PROGRAM_MAX carries MAX_CTO - 1 bytes each. */
async function writePiece(
  { board, maxCto, signal }: BoardProgramOptions,
  address: number,
  piece: Uint8Array,
): Promise<BoardAnswer<void>> {
  const doing = `programming ${rangeText({ address, size: piece.length })}`;
  const placed = await setAddress(board, address, doing, signal);
  if (!placed.ok) return placed;
  const most = maxCto - 1;
  const odd = piece.length % most;
  for (let at = 0; at < piece.length; ) {
    const count = at === 0 && odd > 0 ? odd : most;
    const data = piece.subarray(at, at + count);
    const written = await board.ask(
      { kind: count === most ? 'program-max' : 'program', data },
      doing,
      { signal, from: address + at },
    );
    if (!written.ok) return written;
    at += count;
  }
  return DONE;
}

function endsEarly({ board }: BoardProgramOptions): BoardAnswer<void> {
  return failure(
    'IMAGE_INVALID',
    `the image for ${board.ecu.name} ended before its length: fetch it again`,
  );
}

/** What the read-back has shown. `word`: address of the only word that differs, taken for the boot loader's checksum. */
export interface ReadBack {
  /** False: the board is built without UPLOAD, or is not read. */
  readonly compared: boolean;
  readonly word?: number;
}

/** OpenBLT's ports keep their checksum in a word of the vector table, which is at the beginning of the application. */
const VECTOR_TABLE_BYTES = 1024;
const WORD_BYTES = 4;

/** Compares the flash with the image. A difference is a failure, except in the checksum of the boot loader. */
export async function readBoardBack(options: BoardProgramOptions): Promise<BoardAnswer<ReadBack>> {
  const { board, layout } = options;
  const { readBack } = board.ecu.programming.openblt;
  if (readBack === 'skip') return { ok: true, value: { compared: false } };
  const first = layout.ranges[0]?.address ?? 0;
  let word: number | undefined;
  for (const range of layout.ranges) {
    const compared = await compareRange(options, range, (place) => {
      if (isChecksum(board, place)) return true;
      const at = place - (place % WORD_BYTES);
      if (readBack === 'required' || at >= first + VECTOR_TABLE_BYTES) return false;
      word ??= at;
      return word === at;
    });
    if (compared.ok) continue;
    const isUnknown = compared.xcpError === XcpError.cmdUnknown;
    return isUnknown && readBack === 'try' ? { ok: true, value: { compared: false } } : compared;
  }
  return { ok: true, value: { compared: true, ...defined({ word }) } };
}

/** `mayDiffer`: whether another byte at this address is the work of the boot loader. */
async function compareRange(
  { board, maxCto, signal }: BoardProgramOptions,
  { address, size, source }: MemoryRange & { readonly source: ImageSource },
  mayDiffer: (place: number) => boolean,
): Promise<BoardAnswer<void>> {
  const doing = `reading back ${rangeText({ address, size })}`;
  const placed = await setAddress(board, address, doing, signal);
  if (!placed.ok) return placed;
  const reader = new ImageReader(source);
  for (let at = 0; at < size; ) {
    const count = Math.min(maxCto - 1, size - at);
    const read = await board.askFor(
      { kind: 'upload', count },
      doing,
      (bytes) => {
        const data = decodeUploaded(bytes, count);
        return data && { data };
      },
      { signal, from: address + at },
    );
    if (!read.ok) return read;
    const { data } = read.value;
    const expected = await reader.next(count);
    for (const [index, byte] of expected.entries()) {
      const place = address + at + index;
      const held = data[index] ?? 0;
      if (held === byte || mayDiffer(place)) continue;
      return failure(
        'DIGEST_MISMATCH',
        `${board.peer}: byte ${hexNumber(place, 8)} is ${hexNumber(held, 2)} in its flash and ${hexNumber(byte, 2)} in the image: ` +
          `repeat, then suspect its flash; where the boot loader keeps its checksum there, name that place (${board.field('checksum')})`,
        true,
      );
    }
    at += count;
  }
  return DONE;
}

function isChecksum({ ecu }: BoardExchange, place: number): boolean {
  const { checksum } = ecu.programming.openblt;
  return (
    checksum !== undefined && place >= checksum.address && place < checksum.address + checksum.size
  );
}

async function setAddress(
  board: BoardExchange,
  address: number,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<BoardAnswer<Uint8Array>> {
  return board.ask({ kind: 'set-mta', extension: 0, address }, doing, { signal });
}

function rangeText({ address, size }: MemoryRange): string {
  return `${hexNumber(address, 8)} to ${hexNumber(address + size - 1, 8)}`;
}
