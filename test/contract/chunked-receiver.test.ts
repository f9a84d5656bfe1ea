// The receiver of chunks: what it makes of every answer that can come, and that it always ends with the image.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordBytes } from '../../src/contract/chunked/protocol.ts';
import { AHEAD_CHUNKS, ChunkReceiver } from '../../src/contract/chunked/receiver.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { Bench, CHUNK, IMAGE, KEY, sessionKey } from './chunked-receiver-support.ts';

describe('the receiver', () => {
  it('takes chunks in order, asks for the next ones, and knows when all are here', () => {
    const bench = new Bench(CHUNK * 40 + 7);
    expect(bench.receiver.wanted()).toEqual({ from: 0, count: 32 });
    expect(bench.receiver.wanted(4)).toEqual({ from: 0, count: 4 });
    const first = Array.from({ length: 32 }, (_, number) => number);
    expect(bench.short(bench.records(...first))).toEqual(first.map((number) => `next ${number}`));
    expect(bench.receiver.wanted()).toEqual({ from: 32, count: 9 });
    bench.answer(bench.records(32, 33, 34, 35, 36, 37, 38, 39, 40));
    expect(bench.receiver.complete).toBe(true);
    expect(bench.receiver.prefixBytes).toBe(bench.image.length);
    expect(bench.receiver.wanted()).toBeUndefined();
    expect(bench.stored).toEqual(bench.image);
  });

  it('keeps chunks that come early, and asks for the lost ones by number', () => {
    const bench = new Bench(CHUNK * 8);
    expect(bench.short(bench.records(0, 3, 2, 6))).toEqual([
      'next 0',
      'out-of-order 3',
      'out-of-order 2',
      'out-of-order 6',
    ]);
    expect(bench.receiver.wanted()).toEqual({ numbers: [1, 4, 5] });
    expect(bench.receiver.prefix).toBe(1);
    expect(bench.short(bench.records(1))).toEqual(['next 1']);
    expect(bench.receiver.prefix).toBe(4);
    expect(bench.receiver.wanted(1)).toEqual({ numbers: [4] });
    bench.answer(bench.records(4, 5));
    expect(bench.receiver.wanted()).toEqual({ from: 7, count: 1 });
    bench.answer(bench.records(7));
    expect(bench.stored).toEqual(bench.image);
  });

  it('tells repeated chunks from new ones', () => {
    const bench = new Bench(CHUNK * 4);
    expect(bench.short(bench.records(0, 2, 0, 2, 1))).toEqual([
      'next 0',
      'out-of-order 2',
      'repeated 0',
      'repeated 2',
      'next 1',
    ]);
    expect(bench.receiver.counts).toMatchObject({ next: 2, repeated: 2, 'out-of-order': 1 });
  });

  it('does not keep the numbers of chunks that are far too early', () => {
    const bench = new Bench(CHUNK * 200);
    expect(bench.short(bench.records(AHEAD_CHUNKS - 1, AHEAD_CHUNKS, 199))).toEqual([
      `out-of-order ${AHEAD_CHUNKS - 1}`,
      `too-far ${AHEAD_CHUNKS}`,
      'too-far 199',
    ]);
    expect(bench.receiver.missing(3)).toEqual([0, 1, 2]);
  });

  it('believes no chunk of another session, image, device or place, and none that is damaged', () => {
    const bench = new Bench(CHUNK * 4);
    const foreign = [
      bench.record(0, sessionKey(2)),
      bench.record(0, sessionKey(1, 'cd'.repeat(32))),
      bench.record(0, sessionKey(1, IMAGE, 'CO-000002')),
    ];
    const moved = bench.record(1);
    moved[3] = 2;
    const damaged = bench.record(0);
    damaged[20]! ^= 1;
    const badMac = bench.record(0);
    badMac[badMac.length - 1]! ^= 0x80;
    expect(bench.short(concatBytes(...foreign, moved, damaged, badMac, bench.record(0)))).toEqual([
      ...new Array(3).fill('foreign 0'),
      'foreign 2',
      'foreign 0',
      'foreign 0',
      'next 0',
    ]);
    expect(bench.stored.subarray(CHUNK)).toEqual(new Uint8Array(CHUNK * 3));
  });

  it('reads nothing behind a length that the image does not have there', () => {
    const bench = new Bench(CHUNK * 2 + 10);
    const long = bench.record(2);
    long[5] = 11;
    expect(bench.short(concatBytes(long, bench.record(0)))).toEqual(['unreadable']);
    const behind = bench.record(2);
    behind[3] = 3;
    expect(bench.short(concatBytes(behind, bench.record(0)))).toEqual(['unreadable']);
    // Only of that answer.
    expect(bench.short(bench.record(0))).toEqual(['next 0']);
  });

  it('says when an answer ended within a record, and counts answers that brought nothing', () => {
    const bench = new Bench(CHUNK * 4);
    expect(bench.short(bench.records(0, 1).subarray(0, -1))).toEqual(['next 0', 'truncated']);
    expect(bench.receiver.barrenAnswers).toBe(0);
    bench.answer(bench.records(0));
    bench.answer(new Uint8Array());
    bench.answer(bench.record(1).subarray(0, 3));
    expect(bench.receiver.barrenAnswers).toBe(3);
    expect(bench.short(bench.record(1))).toEqual(['next 1']);
    expect(bench.receiver.barrenAnswers).toBe(0);
  });

  it('goes on in another session', () => {
    const bench = new Bench(CHUNK * 4);
    const next = sessionKey(2);
    bench.answer(bench.records(0, 1));
    expect(bench.short(bench.records(2), next)).toEqual(['foreign 2']);
    expect(bench.short(bench.record(2, next), next)).toEqual(['next 2']);
    expect(bench.short(bench.record(3), KEY)).toEqual(['next 3']);
  });

  it('begins behind what is held, without an unfinished chunk', () => {
    const bench = new Bench(CHUNK * 4 + 9, CHUNK * 2 + 5);
    expect(bench.receiver.prefix).toBe(2);
    expect(bench.receiver.wanted()).toEqual({ from: 2, count: 3 });
    expect(new Bench(CHUNK * 4 + 9, CHUNK * 4 + 9).receiver.complete).toBe(true);
    expect(() => bench.another(CHUNK * 5)).toThrow(RangeError);
  });

  it('gives chunks out as views of the one record that it was given', () => {
    const memory = new Uint8Array(recordBytes(CHUNK));
    const bench = new Bench(CHUNK * 2);
    const receiver = new ChunkReceiver({ ...bench.chunking, memory });
    receiver.begin(KEY);
    const { event } = receiver.take(bench.record(0));
    expect(event).toMatchObject({ kind: 'next' });
    expect((event as { data: Uint8Array }).data.buffer).toBe(memory.buffer);
    const little = { ...bench.chunking, memory: memory.subarray(1) };
    expect(() => new ChunkReceiver(little)).toThrow('294 bytes of memory');
  });

  it('takes whatever bytes come without harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const bench = new Bench(CHUNK * 4);
        bench.answer(bytes);
        expect(bench.receiver.prefix).toBe(0);
        expect(bench.short(bench.record(0))).toEqual(['next 0']);
      }),
    );
  });
});
