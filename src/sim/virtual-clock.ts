// Virtual time: timers fire in order of their due time, promises settle in between, nothing waits for real.

import type { Clock, Timer } from '../core/clock.ts';

interface Entry extends Timer {
  readonly name: string;
  readonly dueMs: number;
  readonly sequence: number;
  readonly fire: () => void;
}

/** Lets every promise that can settle without time passing settle, chains included. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns of the event loop in which promises alone would have settled, then pauses of a millisecond for real I/O. */
const QUICK_TURNS = 100;
const PATIENCE_TURNS = 1000;

function realPause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** A Clock that stands still unless it is told to advance. Timers of the same instant fire in order of creation. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  readonly #startWallMs: number;
  /** Binary heap by (dueMs, sequence). */
  readonly #heap: Entry[] = [];
  readonly #cancelled = new WeakSet<Entry>();

  constructor(startWallMs = Date.UTC(2026, 0, 1)) {
    this.#startWallMs = startWallMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#startWallMs + this.#nowMs;
  }

  after(name: string, delayMs: number, fire: () => void): Timer {
    const entry: Entry = {
      name,
      dueMs: this.#nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      fire,
      cancel: () => {
        this.#cancelled.add(entry);
      },
    };
    this.#push(entry);
    return entry;
  }

  /** Names of the timers that are running, in the order in which they will fire. */
  pending(): string[] {
    return this.#heap
      .filter((entry) => !this.#cancelled.has(entry))
      .sort(before)
      .map((entry) => entry.name);
  }

  /** Moves time on by `ms`, firing every timer that is due on the way. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    while (this.#fireNext(untilMs)) await settle();
    this.#nowMs = untilMs;
  }

  /**
   * Moves time on until `promise` settles, timer by timer. Throws when it has not after `limitMs` of virtual
   * time, or when no timer is left that could make it settle.
   */
  async within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    const untilMs = this.#nowMs + limitMs;
    // Real I/O (a file, a socket) may be what the promise waits for: give it real time before judging.
    for (let idleTurns = 0; !settled; ) {
      await (idleTurns < QUICK_TURNS ? settle() : realPause());
      if (settled) break;
      if (this.#fireNext(untilMs)) idleTurns = 0;
      else if (++idleTurns > QUICK_TURNS + PATIENCE_TURNS) {
        throw new Error(`nothing settled within ${limitMs} ms of virtual time`);
      }
    }
    return promise;
  }

  #fireNext(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.dueMs > untilMs) return false;
      this.#pop();
      if (this.#cancelled.has(next)) continue;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
      return true;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (before(heap[at]!, heap[parent]!) >= 0) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!) < 0) child++;
      if (before(heap[at]!, heap[child]!) <= 0) break;
      [heap[at], heap[child]] = [heap[child]!, heap[at]!];
      at = child;
    }
  }
}

function before(a: Entry, b: Entry): number {
  return a.dueMs - b.dueMs || a.sequence - b.sequence;
}
