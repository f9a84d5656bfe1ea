// The processes of a bench: started, watched, and ended with it in every case.

import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CanOtaError } from '../core/errors.ts';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of the bench ended too early. */
export class ChildError extends CanOtaError {
  readonly code = 'CHILD';
  /** Exit code of the process; undefined when a signal ended it. */
  readonly exitCode: number | undefined;

  constructor(message: string, exit: ChildExit) {
    super(message);
    this.exitCode = exit.code ?? undefined;
  }
}

export interface ChildOptions {
  /** Called with each line of standard output. */
  readonly onLine?: (line: string) => void;
  /** The process may end by itself; the early end of any other process is a failure of the bench. */
  readonly mayEnd?: boolean;
  /** This stream goes to its standard input (of the CGW, whose driver uses our terminal). */
  readonly input?: Readable;
  /** Its standard error is shown at once; of all other processes the last part is shown when they fail. */
  readonly showErrors?: boolean;
}

export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly exited: Promise<ChildExit>;
  readonly #ready: Promise<Record<string, unknown>>;
  #errors = '';

  constructor(name: string, args: readonly string[], options: ChildOptions) {
    this.name = name;
    this.process = spawn(process.execPath, [...process.execArgv, cliFile, ...args], {
      // The bench is on this machine, so it uses no proxy.
      env: { ...process.env, no_proxy: '*', NO_PROXY: '*' },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'ipc'],
    });
    if (this.process.stdin !== null) {
      this.process.stdin.on('error', () => {}); // its end is reported below
      options.input?.pipe(this.process.stdin);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    this.#ready = promise;
    promise.catch(() => {}); // reported to the caller of `ready`
    this.process.on('message', (message) => resolve(message as Record<string, unknown>));
    this.process.stderr?.on('data', (chunk: Buffer) => {
      // Errors that were shown at once are not shown again at the end.
      if (options.showErrors === true) process.stderr.write(chunk);
      else this.#errors = `${this.#errors}${chunk}`.slice(-4096);
    });
    if (this.process.stdout !== null && options.onLine !== undefined) {
      createInterface(this.process.stdout).on('line', options.onLine);
    } else this.process.stdout?.resume();
    this.exited = new Promise((resolveExit) => {
      this.process.once('error', (error) => {
        this.#errors += error.message;
        resolveExit({ code: null, signal: null });
      });
      this.process.once('close', (code, signal) => resolveExit({ code, signal }));
    });
    void this.exited.then((exit) => reject(this.failure(exit)));
  }

  /** The message that the process sent when it was ready. Throws ChildError when it ended before. */
  ready(): Promise<Record<string, unknown>> {
    return this.#ready;
  }

  /** The last lines of its standard error, unless they were shown. */
  get errors(): string {
    return this.#errors.trim();
  }

  failure(exit: ChildExit): ChildError {
    const how =
      exit.signal === null ? `ended with code ${exit.code}` : `was ended by ${exit.signal}`;
    const what = `${this.name} ${how} during the bench, which ends now`;
    return new ChildError(`${what}${this.errors === '' ? '' : `:\n${this.errors}`}`, exit);
  }
}

const extension = path.extname(import.meta.filename);
/** The program of this process and of each process of a bench. */
const cliFile = path.join(import.meta.dirname, '..', 'cli', `main${extension}`);

/** How long a process may take to end after SIGTERM. */
const PATIENCE_MS = 3000;

export class Children implements AsyncDisposable {
  readonly #children = new Set<Child>();
  readonly #failure = Promise.withResolvers<never>();
  #ending = false;

  constructor() {
    this.#failure.promise.catch(() => {});
  }

  /** Rejects with a ChildError as soon as a process ends too early. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** Throws ChildError while all processes are being ended: a caller that starts several may not know that yet. */
  start(name: string, args: readonly string[], options: ChildOptions = {}): Child {
    if (this.#ending) {
      throw new ChildError(`${name} is not started: the bench ends`, { code: null, signal: null });
    }
    const child = new Child(name, args, options);
    this.#children.add(child);
    void child.exited.then((exit) => {
      this.#children.delete(child);
      if (!this.#ending && options.mayEnd !== true) {
        this.#failure.reject(child.failure(exit));
      }
    });
    return child;
  }

  /** Ends every process: SIGTERM, and SIGKILL for those that do not end in time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    const left = [...this.#children];
    for (const child of left) child.process.kill('SIGTERM');
    const kill = setTimeout(() => {
      for (const child of left) child.process.kill('SIGKILL');
    }, PATIENCE_MS);
    await Promise.all(left.map((child) => child.exited));
    clearTimeout(kill);
  }
}
