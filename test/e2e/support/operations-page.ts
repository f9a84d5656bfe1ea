// Runs the commands of a page in docs/operations exactly as they are written, so that page and test cannot differ.

import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { cli, folder, type Run, root, run } from './processes.ts';

/** The address that the pages use for the backend. */
const WRITTEN_URL = 'http://127.0.0.1:8080';

export interface PageOptions {
  readonly url?: string;
  /** Words of the page and their replacements in this test. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Shift of the date for libfaketime, like `+360d`. */
  readonly shift?: string;
}

export class OperationsPage {
  readonly #sections: ReadonlyMap<string, string>;
  readonly #tried = new Set<string>();
  /** Folder in which the commands run; it contains the names of the page (`ceremony`, `release.token`). */
  readonly place: string;
  readonly #programs: string;

  private constructor(sections: ReadonlyMap<string, string>, place: string, programs: string) {
    this.#sections = sections;
    this.place = place;
    this.#programs = programs;
  }

  /** `name` of `docs/operations/NAME.md`. */
  static async open(name: string): Promise<OperationsPage> {
    const text = await readFile(path.join(root, 'docs', 'operations', `${name}.md`), 'utf8');
    const sections = new Map<string, string>();
    for (const section of text.split(/^## /m).slice(1)) {
      const commands = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, code]) => code!);
      if (commands.length > 0) sections.set(section.split('\n', 1)[0]!, commands.join(''));
    }
    const place = await folder();
    const programs = path.join(place, '.bin');
    await mkdir(programs);
    const program = path.join(programs, 'can-ota');
    const main = process.env.CAN_OTA_CLI ?? cli;
    await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
    await chmod(program, 0o755);
    return new OperationsPage(sections, place, programs);
  }

  /** Puts a file or folder where the page expects it. */
  async use(name: string, target: string): Promise<void> {
    await symlink(target, path.join(this.place, name));
  }

  /** Runs all commands of a section in order, up to the first one that fails. */
  async section(heading: string, options: PageOptions = {}): Promise<Run> {
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
    return run(['-euo', 'pipefail', '-c', script], {
      program: ['bash'],
      cwd: this.place,
      env: { PATH: `${this.#programs}:${process.env.PATH}`, ...shifted(options.shift) },
    });
  }

  /** Like `section`, but expects success. */
  async does(heading: string, options: PageOptions = {}): Promise<string> {
    const done = await this.section(heading, options);
    expect(done.exit?.code, String(done)).toBe(0);
    return done.lines.join('\n');
  }

  /** Fails when the page has a command that no test has run. */
  expectAllTried(): void {
    expect([...this.#tried].sort()).toEqual([...this.#sections.keys()].sort());
  }
}

export const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** The environment of a process with a shifted date; its monotonic clock is not shifted. */
export function shifted(offset: string | undefined): NodeJS.ProcessEnv {
  if (offset === undefined) return {};
  return {
    LD_PRELOAD: FAKETIME,
    FAKETIME: offset,
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}
