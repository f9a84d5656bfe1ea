// The timers of a virtual clock in order of their due time, and of creation within one instant.

import type { Timer } from '../core/clock.ts';

/** A timer of virtual time. `fire` is gone once it fired or was cancelled, and what it held on to with it. */
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

/** Below this, cancelled timers are cheaper to step over than to look for. */
const SWEEP_ABOVE = 64;

/**
 * A heap with four children a node: half as deep as a binary one, and the children lie side by side. Cancelled
 * timers stay until they come up or outnumber the others: most time-outs are cancelled, and few come up.
 */
export class TimerHeap {
  #timers: VirtualTimer[] = [];
  #sequence = 0;
  #cancelled = 0;

  /** Timers that are running. */
  get size(): number {
    return this.#timers.length - this.#cancelled;
  }

  add(name: string, dueMs: number, fire: () => void): VirtualTimer {
    const timer = new VirtualTimer(this, name, dueMs, this.#sequence++, fire);
    this.#timers.push(timer);
    this.#rise(timer, this.#timers.length - 1);
    return timer;
  }

  /** The running timer that is due first; it stays. */
  peek(): VirtualTimer | undefined {
    for (;;) {
      const first = this.#timers[0];
      if (first === undefined || first.fire !== undefined) return first;
      this.#removeFirst();
      this.#cancelled--;
    }
  }

  /** Takes off what `peek` has just returned. */
  removeFirst(): void {
    this.#removeFirst();
  }

  /** In the order in which they will fire. */
  inOrder(): VirtualTimer[] {
    return this.#timers
      .filter((timer) => timer.fire !== undefined)
      .sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence);
  }

  /** Called by a timer of this heap. */
  wasCancelled(): void {
    if (++this.#cancelled <= SWEEP_ABOVE || this.#cancelled * 2 <= this.#timers.length) return;
    // Sorted is a heap, too; the order of what fires does not depend on the shape.
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
