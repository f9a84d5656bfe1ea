// The timers of a virtual clock, ordered by due time and, within one instant, by creation.

import type { Timer } from '../core/clock.ts';

/** A timer of virtual time. `fire` is removed once it fired or was cancelled, so that its closure is released. */
export class VirtualTimer implements Timer {
  readonly name: string;
  readonly dueMs: number;
  readonly sequence: number;
  fire: (() => void) | undefined;
  readonly #heap: TimerHeap;

  constructor(heap: TimerHeap, name: string, dueMs: number, sequence: number, fire: () => void) {
    this.#heap = heap;
    this.name = name;
    this.dueMs = dueMs;
    this.sequence = sequence;
    this.fire = fire;
  }

  cancel(): void {
    if (this.fire === undefined) return;
    this.fire = undefined;
    this.#heap.wasCancelled();
  }
}

/** Number of timers below which cancelled ones are skipped one by one instead of swept. */
const SWEEP_ABOVE = 64;

/**
 * A heap with four children for each node: half as deep as a binary heap, with the children side by side in memory.
 * Cancelled timers stay until they come up or outnumber the others: most time-outs are cancelled, and few come up.
 */
export class TimerHeap {
  #timers: VirtualTimer[] = [];
  #sequence = 0;
  #cancelled = 0;

  /** Number of running timers. */
  get size(): number {
    return this.#timers.length - this.#cancelled;
  }

  add(name: string, dueMs: number, fire: () => void): VirtualTimer {
    const timer = new VirtualTimer(this, name, dueMs, this.#sequence++, fire);
    this.#timers.push(timer);
    this.#rise(timer, this.#timers.length - 1);
    return timer;
  }

  /** The running timer that is due first; it stays in the heap. */
  peek(): VirtualTimer | undefined {
    for (;;) {
      const first = this.#timers[0];
      if (first === undefined || first.fire !== undefined) return first;
      this.#removeFirst();
      this.#cancelled--;
    }
  }

  /** Removes the timer that `peek` has just returned. */
  removeFirst(): void {
    this.#removeFirst();
  }

  /** Timers in the order in which they will fire. */
  inOrder(): VirtualTimer[] {
    return this.#timers
      .filter((timer) => timer.fire !== undefined)
      .sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence);
  }

  /** Called by a cancelled timer of this heap. */
  wasCancelled(): void {
    if (++this.#cancelled <= SWEEP_ABOVE || this.#cancelled * 2 <= this.#timers.length) return;
    // A sorted array is a valid heap, and the order of firing does not depend on the heap's shape.
    this.#timers = this.inOrder();
    this.#cancelled = 0;
  }

  #rise(timer: VirtualTimer, from: number): void {
    const timers = this.#timers;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 2;
      const parent = timers[parentAt];
      if (parent === undefined || !before(timer, parent)) break;
      timers[at] = parent;
      at = parentAt;
    }
    timers[at] = timer;
  }

  #removeFirst(): void {
    const timers = this.#timers;
    const last = timers.pop();
    const count = timers.length;
    if (last === undefined || count === 0) return;
    let at = 0;
    for (;;) {
      const firstChild = 4 * at + 1;
      let leastAt = firstChild;
      let least = timers[firstChild];
      if (least === undefined) break;
      const end = Math.min(firstChild + 4, count);
      for (let child = firstChild + 1; child < end; child++) {
        const other = timers[child];
        if (other !== undefined && before(other, least)) {
          least = other;
          leastAt = child;
        }
      }
      if (!before(least, last)) break;
      timers[at] = least;
      at = leastAt;
    }
    timers[at] = last;
  }
}

function before(a: VirtualTimer, b: VirtualTimer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}
