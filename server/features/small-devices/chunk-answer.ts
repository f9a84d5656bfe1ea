// The bytes of a chunk answer, read from the stored image; and where a bench server wants that, wrong ones.

import type { ChunkFault, ChunkFaultRates } from '../../../src/contract/chunked/faults.ts';
import {
  type Chunking,
  type ChunkKey,
  chunkLength,
  encodeRecord,
  RECORD_HEAD_BYTES,
  RECORD_MAC_BYTES,
} from '../../../src/contract/chunked/protocol.ts';
import { concatBytes } from '../../../src/core/bytes.ts';
import { type Clock, sleep } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { OpenImage } from '../releases/image-store.ts';

/** Longer than any device waits. */
const LATE_MS = 60_000;

export class ChunkFaults {
  readonly #rates: ChunkFaultRates;
  readonly #random: Random;
  readonly #clock: Clock;
  /** By device: the answer before. */
  readonly #before = new Map<string, Uint8Array>();

  constructor(rates: ChunkFaultRates, random: Random, clock: Clock) {
    this.#rates = rates;
    this.#random = random;
    this.#clock = clock;
  }

  hits(fault: ChunkFault): boolean {
    const rate = this.#rates[fault];
    // A server without faults draws nothing: its random numbers are those that it always had.
    return rate !== undefined && this.#random.fraction() < rate;
  }

  /** One record, spoilt or not. */
  record(record: Uint8Array): Uint8Array {
    const data = [RECORD_HEAD_BYTES, record.length - RECORD_MAC_BYTES] as const;
    if (this.hits('corrupt-chunk')) this.#flip(record, ...data);
    if (this.hits('bad-hmac')) this.#flip(record, data[1], record.length);
    return record;
  }

  /** What goes out in place of these records. */
  async answer(serial: string, records: readonly Uint8Array[]): Promise<Uint8Array> {
    if (this.hits('timeout')) await sleep(this.#clock, 'ota-fault', LATE_MS);
    const turned = this.hits('wrong-order') ? [...records].reverse() : records;
    let body = concatBytes(...turned);
    const before = this.#before.get(serial);
    if (this.#rates.replay !== undefined) {
      if (before !== undefined && this.hits('replay')) body = before;
      else this.#before.set(serial, body);
    }
    const last = turned.at(-1)?.length ?? 0;
    return this.hits('truncate')
      ? body.subarray(0, body.length - 1 - Math.floor(this.#random.fraction() * (last - 1)))
      : body;
  }

  /** The same text with its first hexadecimal digit changed. */
  spoil(fault: ChunkFault, hex: string): string {
    if (!this.hits(fault)) return hex;
    return (Number.parseInt(hex.slice(0, 1), 16) ^ 1).toString(16) + hex.slice(1);
  }

  #flip(bytes: Uint8Array, from: number, to: number): void {
    const at = from + Math.floor(this.#random.fraction() * (to - from));
    bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  }
}

/** The records of these chunks, in this order. Throws RangeError for a number behind the end of the image. */
export async function readRecords(
  image: OpenImage,
  chunking: Chunking,
  key: ChunkKey,
  numbers: readonly number[],
): Promise<Uint8Array[]> {
  const records: Uint8Array[] = [];
  for (const number of numbers) {
    const length = chunkLength(chunking, number);
    if (length === 0) throw new RangeError(`the image has no chunk ${number}`);
    const data = await image.read(number * chunking.chunkBytes, length);
    if (data.length < length) throw new Error('the stored image is shorter than it was');
    records.push(encodeRecord(key, chunking.chunkBytes, number, data));
  }
  return records;
}
