// One run of virtual time: fires timers from a batch of immediates until a promise has settled.

import { guardRealTime, type RealTimeGuard, realTimers } from './virtual-clock-guard.ts';

/** The clock as a run uses it. */
export interface RunClock {
  now(): number;
  /** Fires the timer that is due first, unless it is due after `untilMs`. May throw the timer's error. */
  fireNext(untilMs: number): boolean;
  nextName(): string | undefined;
  hold(what: string): () => void;
  held(): string[];
  isHeld(): boolean;
}

/** Largest batch. Node settles promises between immediates, so one turn of the event loop can serve many timers. */
const MAX_BATCH = 256;
/** Turns without a timer in which chains of promises and `process.nextTick` would have settled. */
const QUIET_TURNS = 20;
/** Pauses of a real millisecond after that in a run that is not strict: real I/O may be under way. */
const PATIENCE_PAUSES = 1000;
/** Limit of timers in one instant; more mean a loop that never lets time pass. */
const MAX_IN_ONE_INSTANT = 1_000_000;
/** How long time may be held in real time; a missing release would otherwise never be noticed. */
const LONGEST_HOLD_MS = 60_000;

export class TimeRun {
  readonly #clock: RunClock;
  readonly #untilMs: number;
  readonly #strict: boolean;
  #guard: RealTimeGuard | undefined;
  #settled = false;
  #failure: Error | undefined;
  #finished = false;
  #finish: (failure: Error | undefined) => void = () => {};
  #batch = 1;
  /** Immediates of this batch that have not run. */
  #queued = 0;
  #fired = 0;
  #quietTurns = 0;
  #instantMs = Number.NEGATIVE_INFINITY;
  #inInstant = 0;
  #holdWatch: NodeJS.Timeout | undefined;

  constructor(clock: RunClock, untilMs: number, strict: boolean) {
    this.#clock = clock;
    this.#untilMs = untilMs;
    this.#strict = strict;
  }

  /** Resolves when `promise` has settled, either way. Rejects as `VirtualClock.run` says. */
  async until(promise: Promise<unknown>): Promise<void> {
    const done = (): void => {
      this.#settled = true;
      this.wake();
    };
    promise.then(done, done);
    if (this.#strict) {
      this.#guard = guardRealTime({
        onViolation: (error) => {
          this.#failure ??= error;
          this.wake();
        },
        hold: (what) => this.#clock.hold(what),
      });
    }
    try {
      const failure = await new Promise<Error | undefined>((resolve) => {
        this.#finish = resolve;
        this.#queueBatch();
      });
      if (failure !== undefined) throw failure;
    } finally {
      this.#guard?.remove();
    }
  }

  /** The last hold was released, or there is another reason to check although time is held. */
  wake(): void {
    if (this.#holdWatch === undefined) return; // the loop is not asleep
    realTimers.clearTimeout(this.#holdWatch);
    this.#holdWatch = undefined;
    this.#queueBatch();
  }

  #end(failure?: Error): void {
    this.#finished = true;
    this.#finish(failure);
  }

  #queueBatch(): void {
    this.#queued = this.#batch;
    this.#fired = 0;
    for (let turn = 0; turn < this.#batch; turn++) realTimers.setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    if (this.#finished) return;
    if (this.#failure !== undefined) this.#end(this.#failure);
    else if (this.#settled) this.#end();
    else {
      this.#step();
      if (--this.#queued === 0 && !this.#finished) this.#batchEnded();
    }
  };

  #step(): void {
    if (this.#clock.isHeld()) return;
    try {
      if (!this.#clock.fireNext(this.#untilMs)) return;
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#fired++;
    const nowMs = this.#clock.now();
    if (nowMs !== this.#instantMs) {
      this.#instantMs = nowMs;
      this.#inInstant = 0;
    } else if (++this.#inInstant > MAX_IN_ONE_INSTANT) {
      const next = this.#clock.nextName() ?? 'none';
      this.#end(new Error(`time stands still at ${nowMs} ms: more than a million timers; ${next}`));
    }
  }

  #batchEnded(): void {
    const realWork = this.#guard?.realWork();
    if (realWork !== undefined) {
      this.#end(new Error(`real asynchronous work in a simulation: ${realWork}`));
    } else if (this.#clock.isHeld()) {
      this.#batch = 1;
      this.#holdWatch = realTimers.setTimeout(() => {
        this.#holdWatch = undefined;
        const holders = this.#clock.held().join(', ');
        this.#end(
          new Error(`time was held for ${LONGEST_HOLD_MS / 1000} s of real time by: ${holders}`),
        );
      }, LONGEST_HOLD_MS);
    } else if (this.#fired > 0) {
      this.#quietTurns = 0;
      this.#batch = Math.min(MAX_BATCH, this.#batch * 2);
      this.#queueBatch();
    } else this.#waitForPromises();
  }

  /** No timer is left within the limit: only promises and real I/O can still change something. */
  #waitForPromises(): void {
    this.#batch = 1;
    const turns = ++this.#quietTurns;
    if (turns <= QUIET_TURNS) this.#queueBatch();
    else if (!this.#strict && turns <= QUIET_TURNS + PATIENCE_PAUSES) {
      realTimers.setTimeout(() => this.#queueBatch(), 1);
    } else {
      const next = this.#clock.nextName();
      const why =
        next === undefined
          ? 'no timer is left that could change that'
          : `${next} is next, after the limit`;
      this.#end(new Error(`nothing settled by ${this.#untilMs} ms of virtual time: ${why}`));
    }
  }
}
