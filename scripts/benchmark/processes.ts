// Starts the processes that a benchmark measures, and reads the JSON lines that they print.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { present } from '../../src/core/present.ts';

const root = path.resolve(import.meta.dirname, '../..');

export class Worker implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #exited: Promise<unknown>;

  /** `script` is relative to the project; `command` is the program that runs it, Node by default. */
  constructor(script: string, args: readonly string[], command: string = process.execPath) {
    const own = command === process.execPath ? [path.join(root, script)] : [script];
    this.#process = spawn(command, [...own, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: root,
    });
    createInterface(present(this.#process.stdout, 'its output')).on('line', (line) => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#lines.push(line);
      else next(line);
    });
    this.#exited = once(this.#process, 'close').then(() => {
      for (const next of this.#waiting.splice(0)) next(undefined);
    });
  }

  get pid(): number {
    return present(this.#process.pid, 'the id of the process');
  }

  /** The next line as JSON; undefined when the process has ended. */
  async next(): Promise<unknown> {
    const buffered = this.#lines.shift();
    if (buffered !== undefined) return JSON.parse(buffered);
    if (this.#process.exitCode !== null) return undefined;
    const line = await new Promise<string | undefined>((resolve) => this.#waiting.push(resolve));
    return line === undefined ? undefined : JSON.parse(line);
  }

  /** The first line that `wanted` accepts. Throws when the process ends earlier. */
  async until<T>(wanted: (value: unknown) => value is T): Promise<T> {
    for (;;) {
      const value = await this.next();
      if (value === undefined)
        throw new Error(`a process ended too early (${this.#process.spawnargs.join(' ')})`);
      if (wanted(value)) return value;
    }
  }

  /** Tells a waiting process to end. */
  tell(): void {
    this.#process.stdin?.write('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#exited;
  }
}

export const isReady = (value: unknown): value is 'ready' => value === 'ready';

export function hasKey<K extends string>(key: K) {
  return (value: unknown): value is Record<K, number> & Record<string, number> =>
    typeof value === 'object' && value !== null && key in value;
}
