// The systemd units, the container file and the compose file: checked by the programs that read them, where these exist.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createProgram } from '../../src/cli/program.ts';
import { root } from './support/processes.ts';

const folder = path.join(root, 'packaging');
const units = readdirSync(path.join(folder, 'systemd')).map((name) =>
  path.join(folder, 'systemd', name),
);
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('the units of systemd', () => {
  it.skipIf(!hasSystemd).each(units)('%s is valid and hardened', (unit) => {
    const verified = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    expect(verified.stderr).toBe('');
    expect(verified.status).toBe(0);
    // 10 means a service without any protection.
    const args = ['security', '--offline=true', '--threshold=20', '--no-pager', unit];
    const rated = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    expect(rated.status, rated.stdout.slice(-300)).toBe(0);
  });

  it.each(units)('%s starts a command with options that it has', (unit) => {
    const line = /^ExecStart=\/usr\/bin\/env can-ota (.+)$/m.exec(readFileSync(unit, 'utf8'))?.[1];
    const [name, ...words] = (line ?? '').split(' ');
    const command = createProgram().commands.find((known) => known.name() === name);
    const known = command?.options.map(({ long }) => long);
    expect(known).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
  });
});

describe('the container', () => {
  it('is started with options that the server has', () => {
    const text = readFileSync(path.join(folder, 'Containerfile'), 'utf8');
    const words = JSON.parse(/^CMD (\[.*\])$/m.exec(text)?.[1] ?? '[]') as string[];
    const server = createProgram().commands.find((known) => known.name() === words[0]);
    const known = server?.options.map(({ long }) => long);
    expect(words.length).toBeGreaterThan(4);
    expect(known).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
    // Each file that is copied by name exists.
    for (const [, names] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const name of (names ?? '').split(' ')) {
        expect(readdirSync(path.join(root, path.dirname(name)))).toEqual(
          name === '.' ? expect.anything() : expect.arrayContaining([path.basename(name)]),
        );
      }
    }
  });

  it('has its folders outside, and writes nowhere else', () => {
    const compose = parse(readFileSync(path.join(folder, 'compose.yaml'), 'utf8')) as {
      services: {
        backend: { volumes: string[]; read_only: boolean; build: { dockerfile: string } };
      };
    };
    const { backend } = compose.services;
    expect(backend.volumes.map((volume) => volume.split(':').at(-1))).toEqual(['/data', '/trust']);
    expect(backend.read_only).toBe(true);
    expect(backend.build.dockerfile).toBe('packaging/Containerfile');
  });
});
