// A key ceremony in a temporary folder for tests: no prompts, a clock that stands still, and the captured output.

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, onTestFinished } from 'vitest';
import { Ceremony } from '../../src/signing/ceremony.ts';
import { KeyFolder } from '../../src/signing/folder.ts';
import { type InitChoice, initialise } from '../../src/signing/init.ts';
import type { Passphrases } from '../../src/signing/passphrase.ts';
import type { KeysWork } from '../../src/signing/work.ts';

export const NOW = Date.UTC(2026, 8, 1);

export interface TestWork extends KeysWork {
  readonly dir: string;
  /** Lines for people, and objects for machines. */
  readonly said: string[];
  readonly facts: Record<string, unknown>[];
  /** What the last command emitted about files. */
  last(): Record<string, unknown>;
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-keys-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function passphrases(secret?: string): Passphrases {
  return {
    toOpen: async () => secret,
    forNewKeys: async () => secret,
  };
}

export interface WorkOptions {
  readonly dir?: string;
  readonly secret?: string;
  readonly signWith?: readonly string[];
  readonly nowMs?: number;
}

export async function openWork(options: WorkOptions = {}): Promise<TestWork> {
  const dir = options.dir ?? (await temporaryFolder());
  const folder = await KeyFolder.open(dir, true);
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return workOn(folder, options);
}

/** Another command in the same folder. */
export function workOn(folder: KeyFolder, options: WorkOptions = {}): TestWork {
  const { nowMs = NOW } = options;
  const clock = { wallMs: () => nowMs };
  const secrets = passphrases(options.secret);
  const said: string[] = [];
  const facts: Record<string, unknown>[] = [];
  return {
    dir: folder.storage.location,
    folder,
    clock,
    passphrases: secrets,
    said,
    facts,
    last: () => facts.at(-1) ?? {},
    context: {
      say: (line) => said.push(line),
      emit: (fact) => facts.push(fact as Record<string, unknown>),
    },
    ceremony: new Ceremony({
      folder,
      clock,
      passphrases: secrets,
      validityDays: 100,
      signWith: options.signWith,
    }),
  };
}

/** Folders after `can-ota keys init`, made once for all tests of a file, because syncing files is slow. */
const templates = new Map<string, Promise<string>>();
afterAll(async () => {
  for (const folder of templates.values()) await rm(await folder, { recursive: true, force: true });
});

async function template(choice: InitChoice, options: WorkOptions): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'can-ota-keys-'));
  await using folder = await KeyFolder.open(dir, true);
  await initialise(workOn(folder, options), choice);
  return dir;
}

/** A folder after `can-ota keys init`, with one key of each role by default. */
export async function begun(
  choice: Partial<InitChoice> = {},
  options: Pick<WorkOptions, 'secret'> = {},
): Promise<TestWork> {
  const whole = {
    rootKeys: 1,
    rootThreshold: 1,
    targetsKeys: 1,
    targetsThreshold: 1,
    ...choice,
  };
  const name = JSON.stringify([whole, options]);
  const made = templates.get(name) ?? template(whole, options);
  templates.set(name, made);
  const dir = await temporaryFolder();
  await cp(await made, dir, { recursive: true });
  return openWork({ ...options, dir });
}
