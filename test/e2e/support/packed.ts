// The package as npm would publish it, and the Nodes of this machine that it has to run on.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect } from 'vitest';
import { root, run } from './processes.ts';

const bin = path.join(root, 'node_modules', '.bin');

export interface PackedFile {
  readonly file: string;
  /** Names of what is in it. */
  readonly names: readonly string[];
}

/** Once for all tests of a file. */
let built: Promise<void> | undefined;

async function build(): Promise<void> {
  // `npm test` has built it just now, and the tests on vcan0 run it at this moment.
  if (process.env.CAN_OTA_OUT !== undefined) return;
  const compiled = await run(['-p', 'tsconfig.build.json'], { program: [path.join(bin, 'tsc')] });
  expect(compiled.lines.join('\n')).toBe('');
  expect(await compiled.code()).toBe(0);
}

/** Builds and packs into `place`. */
export async function pack(place: string): Promise<PackedFile> {
  built ??= build();
  await built;
  const args = ['--ignore-scripts', '--json', '--offline', '--pack-destination', place];
  const packed = await run(args, { program: ['npm', 'pack'] });
  expect(packed.exit?.code, packed.stderr).toBe(0);
  const [{ filename, files }] = JSON.parse(packed.lines.join('\n')) as [
    { filename: string; files: { path: string }[] },
  ];
  return { file: path.join(place, filename), names: files.map((file) => file.path) };
}

/** The Node of this machine beside the one of the project; undefined where it is missing or new enough. */
export function oldNode(): string | undefined {
  for (const place of ['/usr/bin', '/usr/local/bin', '/bin']) {
    const node = path.join(place, 'node');
    const { stdout } = spawnSync(node, ['--version']);
    const match = /^v(\d+)\./.exec(String(stdout ?? ''));
    if (match !== null && Number(match[1]) >= 16 && Number(match[1]) < 24) return node;
  }
  return undefined;
}
