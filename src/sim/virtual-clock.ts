// Virtual time: timers fire in order of their due time, promises settle in between, nothing waits for real time.

import type { Clock, Timer } from '../core/clock.ts';
import { TimerHeap } from './timer-heap.ts';
import { TimeRun } from './virtual-clock-run.ts';

/** Lets every promise settle that can settle without time passing, chains included. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns of the event loop that settle promises alone, before pauses of a millisecond give real I/O time. */
const QUICK_TURNS = 100;
const PATIENCE_TURNS = 1000;

function realPause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

export interface RunOptions {
  /**
   * Real time (setTimeout, AbortSignal.timeout, files, sockets, threads) during the run makes it fail: work that
   * finishes at an unknown time cannot be replayed from a seed.
   */
  readonly strict?: boolean;
}

/** A Clock that stands still until it is told to advance. Timers of the same instant fire in order of creation. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #startWallMs: number;
  readonly #timers = new TimerHeap();
  readonly #holds = new Set<{ readonly what: string }>();
  #onRelease: (() => void) | undefined;
  #running = false;

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
    if (Number.isNaN(delayMs)) throw new RangeError(`the delay of ${name} is not a number`);
    return this.#timers.add(name, delayMs > 0 ? this.#nowMs + delayMs : this.#nowMs, fire);
  }

  /** Names of the running timers, in the order in which they will fire. */
  pending(): string[] {
    return this.#timers.inOrder().map((timer) => timer.name);
  }

  /** Number of running timers; cheaper than `pending`. */
  get pendingCount(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; undefined when no timer is running. */
  get nextDueMs(): number | undefined {
    return this.#timers.peek()?.dueMs;
  }

  /**
   * Time stands still until all holds are released: for work that takes real turns of the event loop but no time
   * in the simulated world. `what` is named when it is never released. A second release does nothing.
   */
  hold(what = 'unnamed'): () => void {
    const hold = { what };
    this.#holds.add(hold);
    return () => {
      if (this.#holds.delete(hold) && this.#holds.size === 0) this.#onRelease?.();
    };
  }

  /** Names of the holds at present. */
  held(): string[] {
    return [...this.#holds].map((hold) => hold.what);
  }

  /** Moves time on by `ms` and fires every timer that is due on the way, one for each turn of the event loop. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      if (this.#holds.size === 0 && !this.#fireNext(untilMs)) break;
    }
    this.#nowMs = untilMs;
  }

  /**
   * Moves time on until `promise` settles, timer by timer. Throws when it has not settled after `limitMs` of
   * virtual time, or when no timer is left that could settle it. Real I/O gets a turn between any two timers.
   */
  async within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    const untilMs = this.#nowMs + limitMs;
    // The promise may wait for real I/O (a file, a socket): it gets real time before the run fails.
    for (let idleTurns = 0; !settled; ) {
      await (idleTurns < QUICK_TURNS ? settle() : realPause());
      if (settled) break;
      if (this.#holds.size > 0) continue;
      if (this.#fireNext(untilMs)) idleTurns = 0;
      else if (++idleTurns > QUICK_TURNS + PATIENCE_TURNS) {
        throw new Error(`nothing settled within ${limitMs} ms of virtual time`);
      }
    }
    return promise;
  }

  /**
   * `within` for a whole simulated world in which only promises and this clock matter: many timers for each turn of
   * the event loop, a fifth of a microsecond each instead of a whole turn. Promises still settle between any two
   * timers. Rejects when `limitMs` of virtual time have passed, when nothing is left that could settle `promise`,
   * when a timer throws, and when time has stopped moving although timers fire. One run at a time.
   */
  async run<T>(promise: Promise<T>, limitMs: number, options: RunOptions = {}): Promise<T> {
    if (this.#running) throw new Error('this clock is running already');
    this.#running = true;
    try {
      const run = new TimeRun(
        {
          now: () => this.#nowMs,
          fireNext: (untilMs) => this.#fireNext(untilMs),
          nextName: () => this.#timers.peek()?.name,
          hold: (what) => this.hold(what),
          held: () => this.held(),
          isHeld: () => this.#holds.size > 0,
        },
        this.#nowMs + limitMs,
        options.strict ?? false,
      );
      this.#onRelease = () => run.wake();
      await run.until(promise);
    } finally {
      this.#onRelease = undefined;
      this.#running = false;
    }
    return promise;
  }

  #fireNext(untilMs: number): boolean {
    const next = this.#timers.peek();
    if (next === undefined || next.dueMs > untilMs) return false;
    this.#timers.removeFirst();
    if (next.dueMs > this.#nowMs) this.#nowMs = next.dueMs;
    const { fire } = next;
    next.fire = undefined;
    fire?.();
    return true;
  }
}
