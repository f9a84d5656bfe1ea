// `can-ota simulate` as a process: errors, output and traces. Short: episodes have their own tests.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sharesOf } from '../../src/sim/limits.ts';

const cli = path.resolve('src/cli/main.ts');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function simulate(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'simulate', ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

describe('can-ota simulate', () => {
  it.each([
    [['--faults', 'power,fire'], '--faults: "fire" is none of none, all, power'],
    [['--only', '1/EDT/'], '--only: needs --episode'],
    [['--episode', '0', '--only', '1 EDT'], '--only: "1": expected CAMPAIGN/ECUS/FAULTS'],
    [['--trace', 'x.log'], '--trace: needs --episode'],
    [['--exhaustive', '--vehicles', '2'], '--exhaustive: is one campaign of one vehicle'],
    [['--sabotage', 'everything'], 'skip-verify, confirm-early'],
    [['--campaigns', '0'], '--campaigns'],
    [['--jobs', '0'], '--jobs'],
    [['--episode', '0', '--trace', '/nowhere/x.log'], '--trace: /nowhere/x.log cannot be written'],
  ])('refuses %s and says why', async (args, text) => {
    const { code, stderr } = await simulate(...args);
    expect(stderr).toContain(text);
    expect(code).toBe(2);
  });

  it('writes the frames of one episode for other tools, and ends with one JSON object', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-simulate-'));
    const trace = path.join(folder, 'frames.log');
    try {
      const { code, stdout } = await simulate(
        ...['--episode', '0', '--only', '1/BMS/', '--seed', 'cli', '--image-bytes', '500'],
        ...['--trace', trace, '--json'],
      );
      const report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
      expect(report).toMatchObject({ campaigns: 1, success: 1, violations: [], seed: 'cli' });
      const lines = (await readFile(trace, 'utf8')).trimEnd().split('\n');
      expect(lines).toHaveLength(report.frames);
      expect(lines[0]).toMatch(/^\(\d+\.\d{6}\) sim0 [0-9A-F]{3,8}#/);
      expect(code).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says the same with three jobs as with one', async () => {
    const runs = [];
    for (const jobs of ['1', '3']) {
      const { code, stdout, stderr } = await simulate(
        ...['--sabotage', 'counter-early', '--campaigns', '60', '--image-bytes', '500'],
        ...['--faults', 'none', '--no-shrink', '--jobs', jobs, '--json'],
      );
      const { seconds, campaignsPerSecond, limits, ...told } = JSON.parse(stdout);
      expect({ seconds, campaignsPerSecond, limits }).toMatchObject({ limits: expect.any(Object) });
      runs.push({ code, stderr, told });
    }
    expect(runs[0]).toMatchObject({ code: 1, told: { episodes: 3, violations: { length: 3 } } });
    expect(runs[1]).toEqual(runs[0]);
  });

  it('prints a violation with everything that is needed to see it again', async () => {
    const { code, stderr, stdout } = await simulate(
      ...['--sabotage', 'counter-early', '--campaigns', '3', '--image-bytes', '500'],
      ...['--faults', 'none', '--no-shrink'],
    );
    expect(stderr).toContain('VIOLATION early-counter: no counter rises before every ECU');
    expect(stderr).toMatch(/replay: can-ota simulate --seed 1 .*--sabotage counter-early/);
    expect(stdout).toMatch(/\d+ violations?$/m);
    expect(code).toBe(1);
  });
});

it('shares of the time add up to one, and what nobody knows belongs to its caller', () => {
  const frame = (functionName: string, url: string) => ({ functionName, url });
  const shares = sharesOf([
    { id: 1, callFrame: frame('(root)', ''), hitCount: 0, children: [2, 4] },
    { id: 2, callFrame: frame('deliver', 'file:///x/src/bus/wire.ts'), hitCount: 2, children: [3] },
    { id: 3, callFrame: frame('set', ''), hitCount: 1, children: [] },
    { id: 4, callFrame: frame('(garbage collector)', ''), hitCount: 1 },
  ]);
  expect(shares).toMatchObject({ frames: 0.75, memory: 0.25 });
});
