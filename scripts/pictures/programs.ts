// The programs that pictures are made of: each on a terminal of its own or behind a pipe, and none outlives the script.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { TerminalScreen } from './terminal-screen.ts';

const root = path.resolve(import.meta.dirname, '../..');
const CLI = path.join(root, 'src', 'cli', 'main.ts');

/** `can-ota ARGS` to its end, with this on standard input; what it has printed. Throws when it fails. */
export function toItsEnd(args: readonly string[], input = ''): string {
  const done = spawnSync(process.execPath, [CLI, ...args], { input, encoding: 'utf8' });
  if (done.status === 0) return done.stdout;
  throw new Error(`can-ota ${args.join(' ')}: exit code ${done.status}\n${done.stderr}`);
}

export interface Program extends Disposable {
  /** What the awaited line says behind the pattern's parentheses. */
  readonly found: string;
}

/** `can-ota ARGS` in the background, once its output has this; ends when it is disposed of. */
export async function inBackground(args: readonly string[], ready: RegExp): Promise<Program> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  const found = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const match = ready.exec(said);
      if (match !== null) resolve(match[1] ?? '');
    });
    child.once('close', (code) => {
      reject(new Error(`can-ota ${args.join(' ')}: exit code ${code}\n${said}`));
    });
  });
  return { found, [Symbol.dispose]: () => void child.kill() };
}

/** `can-ota ARGS` on a terminal of this size. */
export class OnTerminal implements Disposable {
  readonly screen: TerminalScreen;
  /** The exit code. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], columns: number, rows: number) {
    this.screen = new TerminalScreen(columns, rows);
    const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(' ');
    const line = `stty cols ${columns} rows ${rows}; exec ${command}`;
    this.#child = spawn('script', ['-qefc', line, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, TERM: 'xterm-256color', FORCE_COLOR: '1' },
    });
    const decoder = new TextDecoder();
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.screen.write(decoder.decode(chunk, { stream: true }));
      for (const look of this.#waiting) look();
    });
    this.ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** Resolves with the screen as HTML as soon as it shows this. */
  async shows(text: RegExp): Promise<string> {
    let look = (): void => {};
    const shown = new Promise<string>((resolve) => {
      look = () => {
        if (text.test(this.screen.lines.join('\n'))) resolve(this.screen.html());
      };
      this.#waiting.add(look);
      look();
    });
    const early = this.ended.then((code) => {
      throw new Error(`ended with ${code} without ${text}:\n${this.screen.lines.join('\n')}`);
    });
    early.catch(() => {});
    try {
      return await Promise.race([shown, early]);
    } finally {
      this.#waiting.delete(look);
    }
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
