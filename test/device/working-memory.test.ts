// The arena: what is taken, given back and refused, and how high it ever was.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARENA_BYTES, WorkingMemory, WorkingMemoryError } from '../../src/device/working-memory.ts';

describe('the working memory', () => {
  it('has 16 KiB, and says what did not fit', () => {
    const memory = new WorkingMemory();
    expect(memory.capacity).toBe(ARENA_BYTES);
    expect(ARENA_BYTES).toBe(16_384);
    using taken = memory.allocate('a block', 16_000);
    expect(taken.bytes.length).toBe(16_000);
    expect(() => memory.allocate('a chunk', 385)).toThrow(
      new WorkingMemoryError(
        'a chunk needs 385 bytes of working memory, 16000 of 16384 are taken: use smaller chunks',
      ),
    );
    expect(memory.allocate('a chunk', 384).bytes.length).toBe(384);
  });

  it('remembers its highest mark', () => {
    const memory = new WorkingMemory(100);
    {
      using _a = memory.allocate('a', 40);
      using _b = memory.allocate('b', 30);
      expect([memory.usedBytes, memory.peakBytes]).toEqual([70, 70]);
    }
    using _c = memory.allocate('c', 10);
    expect([memory.usedBytes, memory.peakBytes]).toEqual([10, 70]);
  });

  it('uses a gap again', () => {
    const memory = new WorkingMemory(100);
    const first = memory.allocate('first', 40);
    const second = memory.allocate('second', 40);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(memory.usedBytes).toBe(40);
    expect(() => memory.allocate('wide', 41)).toThrow(WorkingMemoryError);
    const again = memory.allocate('again', 40);
    again.bytes.fill(1);
    second.bytes.fill(2);
    expect([...again.bytes]).toEqual(new Array(40).fill(1));
  });

  it('never gives the same byte out twice', () => {
    const step = fc.record({ take: fc.integer({ min: 1, max: 40 }), drop: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const memory = new WorkingMemory(128);
        const held: { block: ReturnType<WorkingMemory['allocate']>; mark: number }[] = [];
        steps.forEach(({ take, drop }, mark) => {
          for (const { block } of held.splice(drop, 1)) block[Symbol.dispose]();
          try {
            const block = memory.allocate('some', take);
            block.bytes.fill(mark);
            held.push({ block, mark });
          } catch (error) {
            expect(error).toBeInstanceOf(WorkingMemoryError);
          }
        });
        for (const { block, mark } of held) {
          expect(block.bytes.every((byte) => byte === mark)).toBe(true);
        }
        expect(memory.usedBytes).toBe(held.reduce((sum, { block }) => sum + block.bytes.length, 0));
        expect(memory.peakBytes).toBeLessThanOrEqual(128);
      }),
    );
  });
});
