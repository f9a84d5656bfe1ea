// The receiver of chunks ends with the image, whatever answers come.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChunkKey, chunkCount } from '../../src/contract/chunked/protocol.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { type SeededRandom, seededRandom } from '../../src/sim/seeded-random.ts';
import { Bench, CHUNK, sessionKey } from './chunked-receiver-support.ts';

describe('the receiver', () => {
  it('ends with the image through loss, repetition, disorder, forgery, cuts and restarts', () => {
    const run = (seed: number, length: number): void => {
      const random = seededRandom(`receiver ${seed}`);
      const bench = new Bench(length);
      let session = 1;
      let rounds = 0;
      while (!bench.receiver.complete) {
        if (++rounds > 2000) throw new Error('it does not end');
        if (random.fraction() < 0.1) session++;
        // A restart keeps the prefix and forgets what came early.
        if (random.fraction() < 0.1) bench.another(bench.receiver.prefixBytes);
        const key = sessionKey(session);
        const before = bench.receiver.prefixBytes;
        bench.answer(spoilt(bench, key, random), key, 1 + Math.floor(random.fraction() * 400));
        expect(bench.receiver.prefixBytes).toBeGreaterThanOrEqual(before);
        const { prefixBytes } = bench.receiver;
        expect(bench.stored.subarray(0, prefixBytes)).toEqual(bench.image.subarray(0, prefixBytes));
      }
      expect(bench.stored).toEqual(bench.image);
    };
    fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: CHUNK * 90 }), run), {
      numRuns: 60,
    });
  });
});

/** What the receiver asked for, as a bad network and a bad server bring it. */
function spoilt(bench: Bench, key: ChunkKey, random: SeededRandom): Uint8Array {
  const wanted = bench.receiver.wanted()!;
  const numbers =
    'numbers' in wanted
      ? [...wanted.numbers]
      : Array.from({ length: wanted.count }, (_, index) => wanted.from + index);
  const count = chunkCount(bench.chunking);
  const parts: Uint8Array[] = [];
  for (const number of numbers) {
    const fate = random.fraction();
    if (fate < 0.15) continue;
    const record = bench.record(number, fate < 0.25 ? sessionKey(99) : key);
    if (fate > 0.9) record[Math.floor(random.fraction() * record.length)]! ^= 1;
    parts.push(record);
    if (fate > 0.8) parts.push(bench.record(Math.floor(random.fraction() * count), key));
  }
  if (random.fraction() < 0.5) parts.reverse();
  const whole = concatBytes(...parts);
  return random.fraction() < 0.2
    ? whole.subarray(0, Math.floor(random.fraction() * whole.length))
    : whole;
}
