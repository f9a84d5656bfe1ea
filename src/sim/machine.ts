// A machine of the simulated world: one disk, many lives. What is cut is simply gone, as by SIGKILL.

import type { CanBus } from '../bus/can-bus.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from '../link/http-transport.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedBus } from './simulated-bus.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** What a program gets to see of the world, for as long as its machine lives. */
export interface MachineLife {
  /** From 1. */
  readonly number: number;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly random: Random;
  readonly alive: boolean;
  /** The bus, until the end of this life. */
  bus(bus: SimulatedBus): CanBus;
  /** The network, until the end of this life. */
  network(transport: HttpTransport): HttpTransport;
  /** `call` as long as this life lasts, nothing afterwards. */
  whileAlive<A extends unknown[]>(call: (...args: A) => void): (...args: A) => void;
  /** Called at the end of this life, however it ends. */
  onEnd(call: () => void): void;
}

/** A program that runs: started on power-on; `stopped` resolves when it ends by itself, which it should not. */
export interface RunningProgram {
  readonly stopped: Promise<unknown>;
}

export type Program = (life: MachineLife) => Promise<RunningProgram>;

export interface MachineOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly disk: SimulatedDisk;
  /** Each life and each cut has a stream of its own. */
  readonly random: SeededRandom;
  readonly program: Program;
  /** The machine was switched on or off, or its program ended by itself: that is what nobody asked for. */
  readonly onEvent?: (event: MachineEvent) => void;
}

export type MachineEvent =
  | { readonly kind: 'power-on'; readonly life: number }
  | { readonly kind: 'power-cut'; readonly life: number }
  | { readonly kind: 'killed'; readonly life: number }
  /** The program threw while it started, or ended by itself. `reason`: the message of what it threw, or its end. */
  | { readonly kind: 'program-ended'; readonly life: number; readonly reason: string };

export class SimulatedMachine {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly #options: MachineOptions;
  #life: Life | undefined;
  #lives = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.disk = options.disk;
  }

  /** Its power is on, and its program has not ended. */
  get alive(): boolean {
    return this.#life !== undefined;
  }

  /** Times that it was switched on. */
  get lives(): number {
    return this.#lives;
  }

  /** The clock of the present life: its timers die with it. Throws where there is none. */
  get clock(): Clock {
    if (this.#life === undefined) throw new Error(`${this.name} is switched off`);
    return this.#life.clock;
  }

  /**
   * Switches it on; nothing where it is on. Resolves when its program has started, has failed to start, or the power
   * went away again: never rejects.
   */
  async boot(): Promise<void> {
    if (this.#life !== undefined) return;
    const { random, clock, program } = this.#options;
    const number = ++this.#lives;
    const life = new Life(number, clock, this.disk.open(), random.fork(`life ${number}`));
    this.#life = life;
    this.#emit({ kind: 'power-on', life: number });
    const ended = (reason: unknown): void => {
      if (!life.alive) return;
      this.#end();
      this.disk.kill();
      this.#emit({ kind: 'program-ended', life: number, reason: textOf(reason) });
    };
    const starting = program(life).then(({ stopped }) => {
      stopped.then(ended, ended);
    }, ended);
    await Promise.race([starting, life.over]);
  }

  /** Power is gone at this very instant: no frame, no answer, no write more, and what was not synced is in danger. */
  cut(): void {
    const number = this.#life?.number;
    this.#end();
    this.disk.cut(this.#options.random.fork(`cut ${this.#lives}`));
    if (number !== undefined) this.#emit({ kind: 'power-cut', life: number });
  }

  /** The program dies (SIGKILL, watchdog); what it has written stays written. */
  kill(): void {
    const number = this.#life?.number;
    this.#end();
    this.disk.kill();
    if (number !== undefined) this.#emit({ kind: 'killed', life: number });
  }

  #end(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.end();
  }

  #emit(event: MachineEvent): void {
    this.#options.onEvent?.(event);
  }
}

class Life implements MachineLife {
  readonly number: number;
  readonly storage: Storage;
  readonly random: Random;
  readonly clock: LifeClock;
  /** Resolves at its end. */
  readonly over: Promise<void>;
  #resolveOver!: () => void;
  #ends: (() => void)[] = [];
  alive = true;

  constructor(number: number, clock: Clock, storage: Storage, random: Random) {
    this.number = number;
    this.storage = storage;
    this.random = random;
    this.clock = new LifeClock(clock);
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
  }

  bus(bus: SimulatedBus): CanBus {
    this.onEnd(() => bus.vanish());
    return bus;
  }

  network(transport: HttpTransport): HttpTransport {
    return new LifeNetwork(this, transport);
  }

  whileAlive<A extends unknown[]>(call: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.alive) call(...args);
    };
  }

  onEnd(call: () => void): void {
    if (this.alive) this.#ends.push(call);
    else call();
  }

  end(): void {
    this.alive = false;
    this.clock.stop();
    for (const call of this.#ends) call();
    this.#ends = [];
    this.#resolveOver();
  }
}

/** A timer of a life, in a ring with the others of that life, so that its end finds them all at once. */
class LifeTimer implements Timer {
  before: LifeTimer = this;
  after: LifeTimer = this;
  inner: Timer | undefined;
  #fire: (() => void) | undefined;

  constructor(fire: () => void) {
    this.#fire = fire;
  }

  readonly due = (): void => {
    const fire = this.#fire;
    this.#leave();
    fire?.();
  };

  cancel(): void {
    this.inner?.cancel();
    this.#leave();
  }

  #leave(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
    this.inner = undefined;
    this.#fire = undefined;
  }
}

class LifeClock implements Clock {
  readonly #clock: Clock;
  readonly #ring = new LifeTimer(() => {});
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(name: string, delayMs: number, fire: () => void): Timer {
    const timer = new LifeTimer(fire);
    if (this.#stopped) return timer;
    const { before } = this.#ring;
    timer.before = before;
    timer.after = this.#ring;
    before.after = timer;
    this.#ring.before = timer;
    timer.inner = this.#clock.after(name, delayMs, timer.due);
    return timer;
  }

  stop(): void {
    this.#stopped = true;
    while (this.#ring.after !== this.#ring) this.#ring.after.cancel();
  }
}

class LifeNetwork implements HttpTransport {
  readonly #life: Life;
  readonly #transport: HttpTransport;

  constructor(life: Life, transport: HttpTransport) {
    this.#life = life;
    this.#transport = transport;
  }

  open(request: HttpRequest): Promise<HttpResponse> {
    const life = this.#life;
    if (!life.alive) return never();
    return untilDead(life, this.#transport.open(request)).then((response) => ({
      status: response.status,
      headers: response.headers,
      destroy: () => response.destroy(),
      body: {
        [Symbol.asyncIterator]: () => {
          const chunks = response.body[Symbol.asyncIterator]();
          return {
            next: () => untilDead(life, chunks.next()),
            return: async () => {
              await chunks.return?.();
              return { done: true, value: undefined };
            },
          };
        },
      },
    }));
  }
}

/** Each its own: a promise that all the dead wait for would keep them all in memory. */
function never(): Promise<never> {
  return new Promise(() => {});
}

/** Settles as `promise` does while the life lasts; afterwards nothing is told any more, good or bad. */
function untilDead<T>(life: Life, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    promise.then(
      (value) => {
        if (life.alive) resolve(value);
      },
      (error: unknown) => {
        if (life.alive) reject(error);
      },
    );
  });
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason);
}
