// The engine of a wire: the order that arbitration gives, and wire time that no late step loses.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CanFrame, classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import { encodeFrame, readWord } from '../../src/bus/linux-frame.ts';
import { arbitrationKey, arbitrationKeyOfWord, Wire } from '../../src/bus/wire.ts';
import { anyFrame } from '../support/frames.ts';

/** The arbitration field bit by bit, as a text that sorts like the bus decides. */
function arbitrationBits(frame: CanFrame): string {
  const bits = (value: number, width: number): string => value.toString(2).padStart(width, '0');
  const remote = frame.remote ? '1' : '0';
  const fdf = frame.fd ? '1' : '0';
  return frame.extended
    ? `${bits(frame.id >>> 18, 11)}11${bits(frame.id & 0x3ffff, 18)}${remote}${fdf}`
    : `${bits(frame.id, 11)}${remote}0${fdf}`;
}

describe('arbitration', () => {
  it('orders by identifier, then data before remote, 11 before 29 bit', () => {
    const empty = new Uint8Array(0);
    const order: CanFrame[] = [
      classicFrame(0x000, empty),
      classicFrame(0x100, empty),
      { ...classicFrame(0x100, empty), remote: true },
      classicFrame(0x100 << 18, empty, true),
      { ...classicFrame(0x100 << 18, empty, true), remote: true },
      classicFrame((0x100 << 18) | 1, empty, true),
      classicFrame(0x101, empty),
      fdFrame(0x101, empty),
      classicFrame(0x7ff, empty),
      classicFrame(0x1fffffff, empty, true),
    ];
    const keys = order.map(arbitrationKey);
    expect(keys).toEqual([...keys].sort((x, y) => x - y));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('agrees with the bits on the wire for any two frames', () => {
    fc.assert(
      fc.property(anyFrame, anyFrame, (one, other) => {
        const [x, y] = [arbitrationBits(one), arbitrationBits(other)];
        const width = Math.min(x.length, y.length);
        const onWire = Math.sign(x.slice(0, width).localeCompare(y.slice(0, width)));
        const byKey = Math.sign(arbitrationKey(one) - arbitrationKey(other));
        if (onWire !== 0) expect(byKey).toBe(onWire);
        const bytes = new Uint8Array(72);
        encodeFrame(one, bytes, 0);
        expect(arbitrationKeyOfWord(readWord(bytes, 0), one.fd)).toBe(arbitrationKey(one));
      }),
    );
  });
});

describe('a wire', () => {
  const put = (
    wire: Wire<string>,
    node: ReturnType<Wire<string>['attach']>,
    item: string,
    key: number,
    readyMs: number,
    durationMs = 1,
  ): void => wire.enqueue(node, { key, durationMs, readyMs, item });

  it('starts a frame when it is ready and the next at its end', () => {
    const wire = new Wire<string>();
    const node = wire.attach();
    const log: [string, number][] = [];
    const step = (nowMs: number): number | undefined =>
      wire.step(nowMs, (_, item, endMs) => log.push([item, endMs]));
    put(wire, node, 'first', 1, 5);
    put(wire, node, 'second', 1, 5);
    expect(step(5)).toBe(6);
    expect(step(5.9)).toBe(6);
    expect(step(6.4)).toBe(7); // late, but the second started at 6
    expect(step(9)).toBeUndefined();
    put(wire, node, 'third', 1, 9);
    expect(step(9)).toBe(10);
    expect(step(10)).toBeUndefined();
    expect(log).toEqual([
      ['first', 6],
      ['second', 7],
      ['third', 10],
    ]);
    expect(wire.busyMs).toBe(3);
    expect(wire.frames).toBe(3);
    expect(wire.idle).toBe(true);
  });

  it('does not let a frame that came later win an arbitration that was before', () => {
    const wire = new Wire<string>();
    const [one, other] = [wire.attach(), wire.attach()];
    const log: string[] = [];
    put(wire, one, 'early', 9, 0);
    put(wire, other, 'late but important', 1, 0.5);
    wire.step(10, (_, item) => log.push(item));
    expect(log).toEqual(['early', 'late but important']);
  });

  it('delivers everything of a late step at the times when it happened', () => {
    const wire = new Wire<string>();
    const nodes = [wire.attach(), wire.attach()];
    const ends: number[] = [];
    for (let index = 0; index < 10; index++) put(wire, nodes[index % 2]!, 'x', index, 0, 0.25);
    expect(wire.step(100, (_node, _item, endMs) => ends.push(endMs))).toBeUndefined();
    expect(ends).toEqual(Array.from({ length: 10 }, (_, index) => 0.25 * (index + 1)));
  });

  it('stops at the limit of a step and goes on later', () => {
    const wire = new Wire<number>();
    const node = wire.attach();
    for (let item = 0; item < 5; item++) {
      wire.enqueue(node, { key: 1, durationMs: 0, readyMs: 0, item });
    }
    const log: number[] = [];
    expect(wire.step(3, (_, item) => log.push(item), 2)).toBe(3);
    expect(log).toEqual([0, 1]);
    expect(wire.step(3, (_, item) => log.push(item))).toBeUndefined();
    expect(log).toEqual([0, 1, 2, 3, 4]);
  });

  it('ends the frame on the wire of a node that left, and drops what waited', () => {
    const wire = new Wire<string>();
    const node = wire.attach();
    const log: string[] = [];
    put(wire, node, 'on the wire', 1, 0);
    put(wire, node, 'waits', 1, 0);
    wire.step(0.5, (_, item) => log.push(item));
    expect(wire.detach(node)).toEqual(['waits']);
    expect(wire.step(5, (_, item) => log.push(item))).toBeUndefined();
    expect(log).toEqual(['on the wire']);
  });

  it('sends nothing before the end of a hold', () => {
    const wire = new Wire<string>();
    const node = wire.attach();
    const ends: number[] = [];
    put(wire, node, 'x', 1, 0);
    wire.notBefore(7);
    expect(wire.step(7, () => {})).toBe(8);
    wire.step(8, (_node, _item, endMs) => ends.push(endMs));
    expect(ends).toEqual([8]);
  });

  it('sends a spoiled frame again before the others of its node, after the error frame', () => {
    const wire = new Wire<string>();
    const [one, other] = [wire.attach(), wire.attach()];
    const again = { key: 5, durationMs: 1, readyMs: 0, item: 'again' };
    wire.enqueue(one, again);
    put(wire, one, 'behind it', 5, 0);
    put(wire, other, 'higher priority, later', 1, 0.5);
    put(wire, other, 'lower priority', 9, 0.5);
    const log: [string, number][] = [];
    let spoiled = 2;
    wire.step(100, (node, item, endMs) => {
      log.push([item, endMs]);
      if (item !== 'again' || spoiled-- === 0) return;
      wire.occupy(0.25);
      wire.sendAgain(node, again);
    });
    expect(log).toEqual([
      ['again', 1],
      ['higher priority, later', 2.25],
      ['again', 3.25],
      ['again', 4.5],
      ['behind it', 5.5],
      ['lower priority', 6.5],
    ]);
    expect(wire.busyMs).toBe(6.5);
  });

  it('lets a node that suspends its transmission lose to all that come meanwhile', () => {
    const wire = new Wire<string>();
    const [one, other] = [wire.attach(), wire.attach()];
    put(wire, one, 'important', 1, 0);
    one.notBeforeMs = 3;
    put(wire, other, 'first', 9, 1);
    put(wire, other, 'second', 9, 1.5);
    const log: [string, number][] = [];
    const note = (_node: unknown, item: string, endMs: number): void => {
      log.push([item, endMs]);
    };
    expect(wire.step(0, note)).toBe(1);
    expect(wire.step(3, note)).toBe(4);
    expect(wire.step(9, note)).toBeUndefined();
    expect(log).toEqual([
      ['first', 2],
      ['second', 3],
      ['important', 4],
    ]);
  });

  it('never carries two frames at once, keeps each node in order, loses none', () => {
    const frames = fc.array(
      fc.record({
        node: fc.nat(3),
        key: fc.nat(5),
        gapMs: fc.constantFrom(0, 0, 0.3, 2),
        durationMs: fc.constantFrom(0.2, 0.5, 1),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(frames, fc.constantFrom(0.1, 0.7, 5), (list, beatMs) => {
        const wire = new Wire<{
          node: number;
          index: number;
          durationMs: number;
          readyMs: number;
        }>();
        const nodes = [0, 1, 2, 3].map(() => wire.attach());
        let readyMs = 0;
        for (const [index, { node, key, gapMs, durationMs }] of list.entries()) {
          readyMs += gapMs;
          const item = { node, index, durationMs, readyMs };
          wire.enqueue(nodes[node]!, { key, durationMs, readyMs, item });
        }
        const last = [-1, -1, -1, -1];
        let freeMs = 0;
        let count = 0;
        for (let nowMs = 0; nowMs < readyMs + list.length + 10; nowMs += beatMs) {
          wire.step(nowMs, (_, item, endMs) => {
            const startMs = endMs - item.durationMs;
            expect(startMs).toBeGreaterThanOrEqual(Math.max(freeMs, item.readyMs) - 1e-9);
            expect(endMs).toBeLessThanOrEqual(nowMs);
            expect(item.index).toBeGreaterThan(last[item.node]!);
            last[item.node] = item.index;
            freeMs = endMs;
            count++;
          });
        }
        expect(count).toBe(list.length);
      }),
    );
  });
});
