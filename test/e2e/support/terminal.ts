// A shell on a terminal of its own, as a person has it, for tests: what is on its screen, and a hand to type with.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { atTheEnd } from './processes.ts';

const WAIT_MS = 180_000;

export const hasScript = spawnSync('script', ['--version']).status === 0;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export class Terminal {
  readonly #shell: ChildProcess;
  #raw = '';
  #commands = 0;
  #changed = Promise.withResolvers<void>();

  /** Ends with the scenario. */
  constructor(
    cwd: string,
    env: NodeJS.ProcessEnv,
    size: TerminalSize = { columns: 160, rows: 40 },
  ) {
    this.#shell = spawn('script', ['-qfc', 'bash --norc --noprofile', '/dev/null'], {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#shell.stdout?.on('data', (chunk: Buffer) => {
      this.#raw += chunk.toString();
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    });
    this.type(`stty -echo cols ${size.columns} rows ${size.rows}; PS1=''\n`);
    atTheEnd(() => this.#end());
  }

  /** Everything that was ever on it, as text. */
  get screen(): string {
    return stripVTControlCharacters(this.#raw);
  }

  /** The same with its control sequences. */
  get raw(): string {
    return this.#raw;
  }

  type(text: string): void {
    this.#shell.stdin?.write(text);
  }

  async shows(text: string | RegExp): Promise<RegExpExecArray> {
    const pattern =
      typeof text === 'string' ? new RegExp(text.replaceAll(/[^\w\s]/g, '\\$&')) : text;
    const late = setTimeout(() => this.#changed.reject(new Error('late')), WAIT_MS);
    try {
      for (;;) {
        const found = pattern.exec(this.screen);
        if (found !== null) return found;
        await this.#changed.promise;
      }
    } catch {
      throw new Error(`the terminal does not show ${pattern}:\n${this.screen.slice(-3000)}`);
    } finally {
      clearTimeout(late);
    }
  }

  /** One line to its end; resolves with its exit code. */
  async code(line: string): Promise<number> {
    const number = ++this.#commands;
    // The shell reads a group as a whole before it begins: a program that reads the terminal gets nothing of this. The
    // word is in two parts, so that the typed line itself does not look like the answer.
    this.type(`{ ${line}\n}; echo "done ""${number}: $?"\n`);
    const [, code] = await this.shows(new RegExp(`done ${number}: (\\d+)`));
    return Number(code);
  }

  /** The same; throws when it fails. */
  async run(line: string): Promise<void> {
    const code = await this.code(line);
    if (code !== 0) throw new Error(`${line}: exit code ${code}\n${this.screen.slice(-3000)}`);
  }

  #end(): void {
    const { pid } = this.#shell;
    if (pid === undefined) return;
    for (const child of childrenOf(pid)) kill(child);
    kill(pid);
  }
}

/** Each shell leads a session of its own on its terminal. */
function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)]);
  const direct = String(stdout).trim().split(/\s+/).filter(Boolean).map(Number);
  return direct.flatMap((child) => [...childrenOf(child), child]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
