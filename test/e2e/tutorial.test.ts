// docs/tutorial.md, run as it is written: one terminal for each block, in the order of the page.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { atTheEnd, cli, folder, root, scenario } from './support/processes.ts';

const TUTORIAL = path.join(root, 'docs', 'tutorial.md');
const WAIT_MS = 180_000;

interface Block {
  /** `sh`: lines of a shell. `keys`: typed into the running program. `text`: what must be on the screen. */
  readonly kind: string;
  readonly terminal: string;
  /**
   * Text on the screen before the next block, for a program that continues to run. For `keys`: before they are typed.
   */
  readonly until: string | undefined;
  readonly lines: readonly string[];
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+) terminal=(\w+)(?: until="([^"]+)")?\n(.*?)^```$/gms)].map(
    ([, kind = '', terminal = '', until, text = '']) => {
      return { kind, terminal, until, lines: text.trimEnd().split('\n') };
    },
  );
}

/** A shell on its own terminal, as a user has it. */
class Terminal {
  readonly #shell: ChildProcess;
  #screen = '';
  #commands = 0;
  #changed = Promise.withResolvers<void>();

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    this.#shell = spawn('script', ['-qfc', 'bash --norc --noprofile', '/dev/null'], {
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#shell.stdout?.on('data', (chunk: Buffer) => {
      this.#screen += stripVTControlCharacters(chunk.toString());
      this.#changed.resolve();
      this.#changed = Promise.withResolvers<void>();
    });
    this.type("stty -echo cols 160 rows 40; PS1=''\n");
  }

  get screen(): string {
    return this.#screen;
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
        const found = pattern.exec(this.#screen);
        if (found !== null) return found;
        await this.#changed.promise;
      }
    } catch {
      throw new Error(`the terminal does not show ${pattern}:\n${this.#screen.slice(-3000)}`);
    } finally {
      clearTimeout(late);
    }
  }

  /** Runs one line to its end; throws when it fails. */
  async run(line: string): Promise<void> {
    const number = ++this.#commands;
    // In two parts, so that the typed line itself does not look like the output.
    this.type(`${line}\necho "done ""${number}: $?"\n`);
    const [, code] = await this.shows(new RegExp(`done ${number}: (\\d+)`));
    if (code !== '0') throw new Error(`${line}: exit code ${code}\n${this.#screen.slice(-3000)}`);
  }

  end(): void {
    const { pid } = this.#shell;
    if (pid === undefined) return;
    for (const child of childrenOf(pid)) kill(child);
    kill(pid);
  }
}

/** Each shell is the leader of its own session and terminal. */
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

const hasScript = spawnSync('script', ['--version']).status === 0;

describe('the tutorial', () => {
  scenario('works as it is written', async () => {
    if (!hasScript) {
      process.stderr.write('left out: the tutorial: there is no program "script" (util-linux)\n');
      return;
    }
    const place = await folder();
    const bin = path.join(place, '.bin');
    await mkdir(bin);
    await writeFile(path.join(bin, 'can-ota'), `#!/bin/sh\nexec ${process.execPath} ${cli} "$@"\n`);
    await chmod(path.join(bin, 'can-ota'), 0o755);
    const env = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      TERM: 'xterm',
      NO_COLOR: '1',
    };
    const terminals = new Map<string, Terminal>();
    const terminal = (name: string): Terminal => {
      let found = terminals.get(name);
      if (found === undefined) {
        const made = new Terminal(place, env);
        atTheEnd(() => made.end());
        terminals.set(name, made);
        found = made;
      }
      return found;
    };
    for (const block of blocksOf(await readFile(TUTORIAL, 'utf8'))) {
      const on = terminal(block.terminal);
      if (block.kind === 'keys') {
        if (block.until !== undefined) await on.shows(block.until);
        on.type(block.lines.join('\n'));
      } else if (block.kind === 'text') {
        for (const line of block.lines) await on.shows(line);
      } else if (block.until !== undefined) {
        on.type(`${block.lines.join('\n')}\n`);
        await on.shows(block.until);
      } else {
        for (const line of block.lines) await on.run(line);
      }
    }
    const digest = /^([0-9a-f]{64}) {2}edt\.bin/m.exec(terminal('desk').screen)?.[1];
    expect(digest).toBeDefined();
    expect(terminal('desk').screen).toContain(`FD01  ${digest}`);
  });

  it('is found, block by block', async () => {
    const blocks = blocksOf(await readFile(TUTORIAL, 'utf8'));
    const page = await readFile(TUTORIAL, 'utf8');
    expect(blocks).toHaveLength(page.match(/^```\w/gm)?.length ?? 0);
    expect(blocks.length).toBeGreaterThan(15);
  });
});
