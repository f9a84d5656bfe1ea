// Runs the commands of a page of the documentation exactly as they are written, so that page and test cannot differ.

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { isShell, readPage } from '../../support/shell-blocks.ts';
import { cli, folder, type Run, type RunOptions, run, start } from './processes.ts';

/** The address that the pages use for the backend. */
const WRITTEN_URL = 'http://127.0.0.1:8080';

export interface PageOptions {
  readonly url?: string;
  /** Other words of the page and what stands for them here. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Libfaketime: `+360d`. */
  readonly shift?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export class DocsPage {
  readonly #sections: ReadonlyMap<string, string>;
  readonly #tried = new Set<string>();
  /** Where the commands run; the page's names (`ceremony`, `release.token`) are in here. */
  readonly place: string;
  readonly #programs: string;

  private constructor(sections: ReadonlyMap<string, string>, place: string, programs: string) {
    this.#sections = sections;
    this.place = place;
    this.#programs = programs;
  }

  /** `operations/expiry` for `docs/operations/expiry.md`. */
  static async open(name: string): Promise<DocsPage> {
    const sections = new Map<string, string>();
    for (const block of readPage(`docs/${name}.md`).blocks) {
      if (!isShell(block)) continue;
      sections.set(block.heading, `${sections.get(block.heading) ?? ''}${block.text}`);
    }
    const place = await folder();
    const programs = path.join(place, '.bin');
    await mkdir(programs);
    const program = path.join(programs, 'can-ota');
    const main = process.env.CAN_OTA_CLI ?? cli;
    await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
    await chmod(program, 0o755);
    return new DocsPage(sections, place, programs);
  }

  /** Puts a file or folder where the page expects it. */
  async use(name: string, target: string): Promise<void> {
    await symlink(target, path.join(this.place, name));
  }

  /** All commands of a section, one after the other, to the first that fails. */
  async section(heading: string, options: PageOptions = {}): Promise<Run> {
    return run(['-euo', 'pipefail', '-c', this.#script(heading, options)], this.#bash(options));
  }

  /** The same, where success is expected. */
  async does(heading: string, options: PageOptions = {}): Promise<string> {
    const done = await this.section(heading, options);
    expect(done.exit?.code, String(done)).toBe(0);
    return done.lines.join('\n');
  }

  /** A section whose last command goes on until it is stopped. */
  starts(heading: string, options: PageOptions = {}): Run {
    return start(['-euo', 'pipefail', '-c', this.#script(heading, options)], this.#bash(options));
  }

  /** A page may not grow commands that no test runs. `elsewhere`: sections that another scenario of the file runs. */
  expectAllTried(elsewhere: readonly string[] = []): void {
    expect([...this.#tried, ...elsewhere].sort()).toEqual([...this.#sections.keys()].sort());
  }

  #script(heading: string, options: PageOptions): string {
    const commands = this.#sections.get(heading);
    if (commands === undefined) {
      throw new Error(`no section "${heading}": ${[...this.#sections.keys()].join(', ')}`);
    }
    this.#tried.add(heading);
    let script = commands;
    if (options.url !== undefined) script = script.replaceAll(WRITTEN_URL, options.url);
    for (const [word, value] of Object.entries(options.replace ?? {})) {
      if (!script.includes(word)) throw new Error(`"${heading}" does not use ${word}`);
      script = script.replaceAll(word, value);
    }
    return script;
  }

  #bash({ shift, env }: PageOptions): RunOptions {
    return {
      program: ['bash'],
      cwd: this.place,
      env: { PATH: `${this.#programs}:${process.env.PATH}`, ...shifted(shift), ...env },
    };
  }
}

export const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** The environment of a process whose day is another one; its monotonic clock is right. */
export function shifted(offset: string | undefined): NodeJS.ProcessEnv {
  if (offset === undefined) return {};
  return {
    LD_PRELOAD: FAKETIME,
    FAKETIME: offset,
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}
