// Real processes of can-ota for tests: started, watched line by line, and ended with their test.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'vitest';

export const root = path.resolve(import.meta.dirname, '../../..');
export const cli = path.join(root, 'src', 'cli', 'main.ts');

/** Environment variable of everything that a test starts, directly or indirectly. */
const MARKER = 'CAN_OTA_E2E';
/** Cache of compiled code, which saves half of the cost of a process that runs for seconds. */
const COMPILED = path.join(root, 'node_modules', '.cache', 'can-ota-e2e');
/** Limit of a wait, below the test's own limit, so that the failed wait itself is reported. */
const WAIT_MS = 300_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunOptions {
  readonly input?: string;
  /** Leaves standard input open after `input`. */
  readonly keepInput?: boolean;
  /** Starts the process as the bench does: it reports when it is ready, and ends with its parent. */
  readonly supervised?: boolean;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Another program than `node src/cli/main.ts`. */
  readonly program?: readonly string[];
}

export type Json = Record<string, unknown>;

interface Waiter {
  check(): boolean;
  fail(error: Error): void;
}

export class Run {
  readonly process: ChildProcess;
  readonly args: readonly string[];
  readonly lines: string[] = [];
  readonly marker = randomBytes(8).toString('hex');
  readonly ready: Promise<Json>;
  readonly exited: Promise<Exit>;
  stderr = '';
  exit: Exit | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(args: readonly string[], options: RunOptions = {}) {
    this.args = args;
    // The tests on vcan0 run the built package: half as many files to read where every system call is slow.
    const [program, ...first] = options.program ?? [
      process.execPath,
      process.env.CAN_OTA_CLI ?? cli,
    ];
    this.process = spawn(program!, [...first, ...args], {
      cwd: options.cwd ?? root,
      env: {
        ...process.env,
        NO_COLOR: '1',
        NODE_COMPILE_CACHE: COMPILED,
        [MARKER]: this.marker,
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe', ...(options.supervised === true ? (['ipc'] as const) : [])],
    });
    const { stdin, stdout, stderr } = this.process;
    stdin!.on('error', () => {}); // it may end without reading
    if (options.input !== undefined) stdin!.write(options.input);
    if (options.keepInput !== true) stdin!.end();
    createInterface(stdout!).on('line', (line) => {
      this.lines.push(line);
      this.#check();
    });
    stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#check();
    });
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    this.ready = promise;
    promise.catch(() => {});
    const late = setTimeout(() => reject(new Error(`is not ready: ${this}`)), WAIT_MS);
    void promise.catch(() => {}).finally(() => clearTimeout(late));
    this.process.once('message', (message) => resolve(message as Json));
    this.exited = new Promise((resolveExit) => {
      this.process.once('close', (code, signal) => {
        this.exit = { code, signal };
        reject(new Error(`ended before it was ready: ${this}`));
        for (const waiter of this.#waiters) {
          if (!waiter.check()) waiter.fail(new Error(`ended without what was waited for: ${this}`));
        }
        resolveExit(this.exit);
      });
    });
    mine().runs.add(this);
  }

  /** The exit code, or the name of the signal. */
  async code(): Promise<number | string | null> {
    const { code, signal } = await this.exited;
    return signal ?? code;
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): this {
    this.process.kill(signal);
    return this;
  }

  type(text: string): void {
    this.process.stdin!.write(text);
  }

  /** Standard output as JSON, line by line; lines that are not JSON are left out. */
  get events(): Json[] {
    return this.lines.flatMap((line) => {
      try {
        const value: unknown = JSON.parse(line);
        return typeof value === 'object' && value !== null ? [value as Json] : [];
      } catch {
        return [];
      }
    });
  }

  get last(): Json {
    const line = this.lines.at(-1);
    if (line === undefined) throw new Error(`no line on standard output: ${this}`);
    return JSON.parse(line) as Json;
  }

  /** The first line of standard output that matches. */
  line(pattern: RegExp): Promise<string> {
    return this.#until(
      () => this.lines.find((line) => pattern.test(line)),
      `a line like ${pattern}`,
    );
  }

  /** The first event with the fields of `wanted` for which `test` holds. */
  event(wanted: Json, test: (event: Json) => boolean = () => true): Promise<Json> {
    const fits = (event: Json): boolean =>
      Object.entries(wanted).every(([key, value]) => event[key] === value) && test(event);
    return this.#until(() => this.events.find(fits), `an event ${JSON.stringify(wanted)}`);
  }

  /** Resolves when `holds` is true after a line. */
  until(holds: () => boolean, what: string): Promise<true> {
    return this.#until(() => (holds() ? true : undefined), what);
  }

  /** Resolves when standard error matches. */
  error(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(
      () => pattern.exec(this.stderr) ?? undefined,
      `${pattern} on standard error`,
    );
  }

  #until<T>(look: () => T | undefined, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => waiter.fail(new Error(`waited in vain for ${what}: ${this}`)),
        WAIT_MS,
      );
      const waiter: Waiter = {
        check: () => {
          const found = look();
          if (found === undefined) return false;
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          resolve(found);
          return true;
        },
        fail: (error) => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      if (!waiter.check() && this.exit !== undefined) {
        waiter.fail(new Error(`ended without ${what}: ${this}`));
      }
    });
  }

  #check(): void {
    for (const waiter of this.#waiters) waiter.check();
  }

  toString(): string {
    const how = this.exit === undefined ? 'running' : JSON.stringify(this.exit);
    return `can-ota ${this.args.join(' ')} (${how})\n${this.lines.slice(-15).join('\n')}\n${this.stderr.slice(-2000)}`;
  }
}

/** Processes and folders of one test. */
interface Belongings {
  readonly runs: Set<Run>;
  readonly folders: Set<string>;
  readonly endings: Set<() => void>;
}

const belongings = new AsyncLocalStorage<Belongings>();

function mine(): Belongings {
  const store = belongings.getStore();
  if (store === undefined) throw new Error('processes are started inside of `scenario`');
  return store;
}

/** How many tests run at a time: processes wait more than they work, so a few tests fill two cores. */
const AT_A_TIME = 4;
let running = 0;
const queue: (() => void)[] = [];

/** A test with its own processes and folders, which are ended and removed after it. */
export function scenario(name: string, body: () => Promise<void>, limitMs?: number): void {
  it.concurrent(
    name,
    async () => {
      if (running >= AT_A_TIME) await new Promise<void>((resolve) => queue.push(resolve));
      running++;
      const store: Belongings = { runs: new Set(), folders: new Set(), endings: new Set() };
      try {
        await belongings.run(store, body);
      } finally {
        running--;
        queue.shift()?.();
        for (const run of store.runs) for (const pid of processesOf(run)) stop(pid);
        for (const end of store.endings) end();
        await Promise.all([...store.runs].map((run) => run.exited));
        for (const made of store.folders) await rm(made, { recursive: true, force: true });
      }
    },
    limitMs,
  );
}

/** Calls `end` when the scenario ends. */
export function atTheEnd(end: () => void): void {
  mine().endings.add(end);
}

function stop(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Starts `can-ota ARGS` as a process. */
export function start(args: readonly string[], options: RunOptions = {}): Run {
  return new Run(args, options);
}

/** Runs `can-ota ARGS` to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const started = new Run(args, options);
  await started.exited;
  return started;
}

export async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'can-ota-e2e-'));
  mine().folders.add(made);
  return made;
}

/** A separate bus for each test. */
export function freshBus(options = 'bitrate=0'): string {
  return `local:e2e-${randomBytes(6).toString('hex')}?${options}`;
}

/** The running processes that `run` started, directly or not, including itself, with their command lines. */
export function family(run: Run): { readonly pid: number; readonly command: string }[] {
  return processesOf(run).flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      // A process that has ended and waits to be collected has no command line any more.
      return command === '' ? [] : [{ pid, command }];
    } catch {
      return [];
    }
  });
}

function processesOf(run: Run): number[] {
  const marker = `${MARKER}=${run.marker}\0`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return `${readFileSync(`/proc/${pid}/environ`, 'latin1')}\0`.includes(marker);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Polls the process table, which has no events, until no process of `run` is left. */
export async function allGone(run: Run, withinMs = 120_000): Promise<void> {
  await eventually(() => {
    const left = family(run);
    if (left.length > 0) throw new Error(`still running: ${JSON.stringify(left)}`);
  }, withinMs);
}

/** Repeats `check` until it does not throw, for effects of other processes that have no event. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  withinMs = 120_000,
): Promise<Awaited<T>> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Runs `work` for every item, `width` of them at the same time. */
export async function inTurns<T, R>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      results[next[0]] = await work(next[1]);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
