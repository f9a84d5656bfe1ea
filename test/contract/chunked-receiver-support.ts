// A server of chunks for the tests of the receiver.

import {
  type ChunkKey,
  chunkKey,
  chunkLength,
  encodeRecord,
  recordBytes,
} from '../../src/contract/chunked/protocol.ts';
import { type ChunkEvent, ChunkReceiver } from '../../src/contract/chunked/receiver.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';

export const CHUNK = 256;
export const IMAGE = 'ab'.repeat(32);

export function sessionKey(number: number, image = IMAGE, serial = 'CO-000001'): ChunkKey {
  const id = number.toString(16).padStart(32, '0');
  const secret = new Uint8Array(32).fill(number);
  return chunkKey({ id, serial, suite: 'aes-256-gcm', secret }, image);
}

export const KEY = sessionKey(1);

/** An image and what a device has stored of it. */
export class Bench {
  readonly image: Uint8Array;
  readonly stored: Uint8Array;
  readonly chunking: { readonly length: number; readonly chunkBytes: number };
  receiver: ChunkReceiver;

  constructor(length: number, held = 0) {
    this.image = seededRandom(`image ${length}`).bytes(length);
    this.stored = new Uint8Array(length);
    this.stored.set(this.image.subarray(0, held));
    this.chunking = { length, chunkBytes: CHUNK };
    this.receiver = this.another(held);
  }

  another(held: number): ChunkReceiver {
    const memory = new Uint8Array(recordBytes(CHUNK));
    this.receiver = new ChunkReceiver({ ...this.chunking, held, memory });
    return this.receiver;
  }

  record(number: number, key = KEY): Uint8Array {
    const at = number * CHUNK;
    const data = this.image.subarray(at, at + chunkLength(this.chunking, number));
    return encodeRecord(key, CHUNK, number, data);
  }

  records(...numbers: readonly number[]): Uint8Array {
    return concatBytes(...numbers.map((number) => this.record(number)));
  }

  /** One whole answer, in pieces of this size; what was new is stored. */
  answer(bytes: Uint8Array, key = KEY, piece = 100): ChunkEvent[] {
    const events: ChunkEvent[] = [];
    this.receiver.begin(key);
    for (let at = 0; at < bytes.length; ) {
      const { taken, event } = this.receiver.take(bytes.subarray(at, at + piece));
      at += taken;
      if (event === undefined) continue;
      if (event.kind === 'next' || event.kind === 'out-of-order') {
        this.stored.set(event.data, event.offset);
      }
      events.push(event);
    }
    const last = this.receiver.end();
    return last === undefined ? events : [...events, last];
  }

  short(bytes: Uint8Array, key = KEY): string[] {
    return this.answer(bytes, key).map((event) =>
      'number' in event ? `${event.kind} ${event.number}` : event.kind,
    );
  }
}
