// A machine of the simulated world: one disk, many lives. A power cut ends a life at once, as SIGKILL does.

import type { CanBus } from '../bus/can-bus.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { HttpRequest, HttpResponse, HttpTransport } from '../link/http-transport.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedBus } from './simulated-bus.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** What a program can use of the world while its machine lives. */
export interface MachineLife {
  /** Number of the life, from 1. */
  readonly number: number;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly random: Random;
  readonly alive: boolean;
  /** The bus, until the end of this life. */
  bus(bus: SimulatedBus): CanBus;
  /** The network, until the end of this life. */
  network(transport: HttpTransport): HttpTransport;
  /** Calls `call` while this life lasts, and does nothing afterwards. */
  whileAlive<A extends unknown[]>(call: (...args: A) => void): (...args: A) => void;
  /** Calls `call` at the end of this life, however it ends. */
  onEnd(call: () => void): void;
}

/** A running program, started at power-on. `stopped` resolves when it ends by itself, which it should not do. */
export interface RunningProgram {
  readonly stopped: Promise<unknown>;
}

export type Program = (life: MachineLife) => Promise<RunningProgram>;

export interface MachineOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly disk: SimulatedDisk;
  /** Each life and each cut gets its own stream. */
  readonly random: SeededRandom;
  readonly program: Program;
  /** Called when the machine is switched on or off, or when its program ends by itself. */
  readonly onEvent?: (event: MachineEvent) => void;
}

export type MachineEvent =
  | { readonly kind: 'power-on'; readonly life: number }
  | { readonly kind: 'power-cut'; readonly life: number }
  | { readonly kind: 'killed'; readonly life: number }
  /** The program threw during its start, or ended by itself. `reason`: the message of the error, or how it ended. */
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

  /** Whether its power is on and its program has not ended. */
  get alive(): boolean {
    return this.#life !== undefined;
  }

  /** How often it was switched on. */
  get lives(): number {
    return this.#lives;
  }

  /** The clock of the present life; its timers end with the life. Throws when the machine is off. */
  get clock(): Clock {
    if (this.#life === undefined) throw new Error(`${this.name} is switched off`);
    return this.#life.clock;
  }

  /**
   * Switches the machine on; does nothing when it is on. Resolves when its program has started or failed to start,
   * or when the power is cut meanwhile. Never rejects.
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

  /** Cuts the power at this instant: no further frame, answer or write, and data that was not synced may be lost. */
  cut(): void {
    const number = this.#life?.number;
    this.#end();
    this.disk.cut(this.#options.random.fork(`cut ${this.#lives}`));
    if (number !== undefined) this.#emit({ kind: 'power-cut', life: number });
  }

  /** Ends the program (SIGKILL, watchdog); data that it has written stays written. */
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
  /** Resolves at the end of the life. */
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

/** A timer of a life, in a ring with the other timers of that life, so that the end of the life finds them all. */
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

/** A new promise for each call: a shared one would keep the waiters of all ended lives in memory. */
function never(): Promise<never> {
  return new Promise(() => {});
}

/** Settles as `promise` does while the life lasts; afterwards it never settles. */
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
