// `can-ota bench` as a user runs it: one command, its output and exit code, and no leftovers.

import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { z } from 'zod';
import { readPage } from '../support/shell-blocks.ts';
import {
  allGone,
  eventually,
  family,
  folder,
  freshBus,
  inTurns,
  type Run,
  type RunOptions,
  root,
  run,
  scenario,
  start,
} from './support/processes.ts';
import { image, sha256 } from './support/vehicle.ts';

const firmware = path.join(root, 'test', 'fixtures', 'firmware');

const versions = z.strictObject({
  root: z.number().int().positive(),
  timestamp: z.number().int().positive().optional(),
  snapshot: z.number().int().positive().optional(),
  targets: z.number().int().positive().optional(),
});

/** Schema of the last line, which is a contract. */
const resultSchema = z.strictObject({
  outcome: z.string(),
  reason: z.string().optional(),
  bus: z.strictObject({ kind: z.enum(['local', 'socketcan']), name: z.string().min(1) }),
  seconds: z.number().positive(),
  frames: z.number().int().positive(),
  ecus: z.array(
    z.strictObject({
      name: z.string(),
      from: z.string(),
      to: z.string(),
      reported: z.string().nullable(),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .nullable(),
      bytes: z.number().int().nonnegative(),
      seconds: z.number().nonnegative(),
      limitShare: z.number().min(0).max(1),
    }),
  ),
  /** Versions of each role as the TMU verified them; null when it did not verify them. */
  verified: z.strictObject({ director: versions, images: versions }).nullable(),
});

function resultOf(bench: Run): z.infer<typeof resultSchema> {
  return resultSchema.parse(bench.last);
}

/** A block of docs/bench.md by its first words. */
function pageBlock(start: string): string {
  const block = readPage('docs/bench.md').blocks.find(({ text }) => text.startsWith(start));
  if (block === undefined) throw new Error(`docs/bench.md has no block that begins with ${start}`);
  return block.text;
}

/** What the bench says step by step, with any numbers, whatever ECU comes first. */
function stepsOf(lines: readonly string[]): string[] {
  return lines
    .filter((line) => /^(?:TMU {2}|\w+: provisioned)/.test(line))
    .map((line) => line.replaceAll(/\d+(?:\.\d+)*/g, 'N'))
    .sort();
}

/** SID 31 01 FF00: the routine that erases a bank. */
const ERASE = /#\S*3101FF00/;

async function erasesIn(trace: string): Promise<number> {
  const lines = (await readFile(trace, 'utf8')).split('\n');
  expect(lines.length).toBeGreaterThan(20);
  return lines.filter((line) => ERASE.test(line)).length;
}

async function flashOf(data: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const ecu of ['cgw', 'edt', 'inv', 'bms']) {
    for (const bank of ['bank-a.bin', 'bank-b.bin']) {
      const bytes = await readFile(path.join(data, ecu, bank)).catch(() => undefined);
      digests[`${ecu}/${bank}`] = bytes === undefined ? 'none' : sha256(bytes);
    }
  }
  return digests;
}

const hasLog2asc = spawnSync('log2asc', ['-h']).error === undefined;
if (!hasLog2asc) {
  process.stderr.write('left out: log2asc reads the trace: install can-utils to run this part\n');
}

/** Two ECUs, which are enough for tests of the processes. */
async function smallVehicle(): Promise<string[]> {
  const text = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
  const file = path.join(await folder(), 'small.yaml');
  await writeFile(file, text.slice(0, text.indexOf('  - name: INV')));
  return ['--vehicle', file];
}

describe('bench', () => {
  scenario('says what docs/bench.md shows', async () => {
    const bench = await run(['bench', '--approve', 'yes', '--bus', freshBus()]);
    expect(await bench.code(), String(bench)).toBe(0);
    const page = pageBlock('bench on ').trimEnd().split('\n');
    expect(stepsOf(bench.lines)).toEqual(stepsOf(page));
    const titles = (lines: readonly string[]): string[] =>
      lines.find((line) => line.startsWith('│ ECU'))?.split(/ *│ */) ?? [];
    expect(titles(bench.lines)).toEqual(titles(page));
    expect(bench.lines.at(-1)).toBe(page.at(-1));
  });

  scenario(
    'updates the vehicle, then has nothing to do, then takes the no of the driver',
    async () => {
      const data = await folder();
      const trace = path.join(data, 'update.log');
      const bus = freshBus();
      const common = ['bench', '--json', '--bus', bus, '--data', data];

      const first = await run([...common, '--approve', 'yes', '--trace', trace]);
      expect(first.stderr).toBe('');
      expect(await first.code()).toBe(0);
      const result = resultOf(first);
      expect(resultSchema.safeParse(JSON.parse(pageBlock('{"outcome"'))).error).toBeUndefined();
      expect(result.outcome).toBe('SUCCESS');
      expect(result.bus).toEqual({ kind: 'local', name: /local:(.*)\?/.exec(bus)![1] });
      expect(result.ecus.map(({ name }) => name)).toEqual(['EDT', 'INV']);
      // One signature of the image repository's Targets in the ceremony, and one for each release.
      expect(result.verified).toEqual({
        director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
        images: { root: 1, timestamp: 3, snapshot: 3, targets: 3 },
      });
      for (const [index, release] of ['ecu-feature/new.bin', 'ecu-bugfix/new.bin'].entries()) {
        const bytes = await readFile(path.join(firmware, release));
        const { name: _, seconds, limitShare, ...facts } = result.ecus[index]!;
        expect(facts).toEqual({
          from: '1.0.0',
          to: '2.0.0',
          reported: '2.0.0',
          sha256: sha256(bytes),
          bytes: bytes.length,
        });
        expect(seconds).toBeGreaterThan(0);
        expect(limitShare).toBeGreaterThan(0);
      }
      await allGone(first);
      expect(await erasesIn(trace)).toBe(2);

      // The trace has the format of other tools, and can-ota reads it, too.
      const monitor = await run(['monitor', '--file', trace, '--json']);
      expect(await monitor.code()).toBe(0);
      expect(monitor.stderr).toBe('');
      expect(monitor.last).toMatchObject({ kind: 'summary', errors: 0 });
      // The trace continues while the result is already being printed.
      const frames = Number(monitor.last.frames);
      expect(frames).toBeGreaterThanOrEqual(result.frames);
      expect(frames).toBeLessThan(result.frames + 100);
      const texts = monitor.events.map(({ text }) => String(text));
      for (const service of [
        'securityAccess',
        'requestDownload',
        'transferData',
        'routineControl',
      ]) {
        expect(texts.some((text) => text.includes(service))).toBe(true);
      }
      if (hasLog2asc) {
        const asc = path.join(data, 'update.asc');
        const converted = spawnSync('log2asc', ['-I', trace, '-O', asc, result.bus.name]);
        expect(converted.status).toBe(0);
        const lines = (await readFile(asc, 'utf8')).split('\n');
        expect(lines.filter((line) => /^ *\d+\.\d{6} 1 /.test(line))).toHaveLength(frames);
      }

      const before = await flashOf(data);
      const second = await run([...common, '--approve', 'yes', '--trace', trace]);
      expect(await second.code()).toBe(5);
      expect(resultOf(second)).toMatchObject({ outcome: 'UP_TO_DATE', ecus: [] });
      // A kept folder keeps its keys, its releases and all identities.
      expect(resultOf(second).verified?.images.root).toBe(1);
      const { ecus } = JSON.parse(await readFile(path.join(data, 'tmu', 'identity.json'), 'utf8'));
      expect(ecus).toMatchObject({ CGW: { serial: 'CO-000002' }, BMS: { serial: 'CO-000005' } });
      expect(await erasesIn(trace)).toBe(0);

      const newer = await image('INV', 5000, '3.0.0');
      const third = await run([
        ...common,
        ...['--approve', 'no', '--trace', trace, '--image', `INV=${newer.file}@3.0.0`],
      ]);
      expect(await third.code()).toBe(3);
      expect(resultOf(third).outcome).toBe('USER_REJECTED');
      expect(await erasesIn(trace)).toBe(0);
      expect(await flashOf(data)).toEqual(before);
      await allGone(third);
    },
  );

  scenario('carries one byte and a mebibyte intact, over CAN FD', async () => {
    const data = await folder();
    const [one, mebibyte] = [await image('EDT', 1, '2.1.0'), await image('BMS', 1_048_577, '7.0')];
    const bench = await run([
      ...['bench', '--approve', 'yes', '--json', '--fd', '--bus', freshBus(), '--data', data],
      ...['--image', `EDT=${one.file}@2.1.0`, '--image', `BMS=${mebibyte.file}@7.0`],
      ...['--trace', path.join(data, 'fd.log')],
    ]);
    expect(bench.stderr).toBe('');
    expect(await bench.code()).toBe(0);
    const { ecus } = resultOf(bench);
    expect(ecus.map(({ name, reported, sha256 }) => ({ name, reported, sha256 }))).toEqual([
      { name: 'EDT', reported: '2.1.0', sha256: one.sha256 },
      { name: 'BMS', reported: '7.0', sha256: mebibyte.sha256 },
    ]);
    const flash = await flashOf(data);
    expect(Object.values(flash)).toEqual(expect.arrayContaining([one.sha256, mebibyte.sha256]));
    // Frames of 64 bytes: candump writes CAN FD with two #.
    expect(await readFile(path.join(data, 'fd.log'), 'utf8')).toMatch(/##[0-9A-F][0-9A-F]{128}\n/);
  });

  scenario('asks a driver at its own terminal', async () => {
    const small = await image('EDT', 3000, '2.0.0');
    const vehicle = await smallVehicle();
    const ask = (more: readonly string[] = [], options: RunOptions = { keepInput: true }): Run =>
      start(
        [
          ...['bench', '--approve', 'ask', '--bus', freshBus(), ...vehicle],
          ...['--image', `EDT=${small.file}@2.0.0`, ...more],
        ],
        options,
      );
    const approved = ask();
    // No answer is no approval.
    const silent = ask(['--approval-timeout', '1', '--json']);
    await approved.line(/^CGW .*approve.*deny/i);
    approved.type('approve\n');
    expect(await approved.code()).toBe(0);
    expect(approved.lines.join('\n')).toMatch(/SUCCESS in /);
    expect(await silent.code()).toBe(4);
    expect(resultOf(silent).outcome).toBe('DEFERRED');

    // With --json the question goes to standard error, so that standard output has only JSON.
    const denied = ask(['--json']);
    await denied.error(/approve.*deny/i);
    denied.type('deny\n');
    denied.type('deny\n');
    expect(await denied.code()).toBe(3);
    expect(resultOf(denied).outcome).toBe('USER_REJECTED');
    expect(denied.events.length).toBe(denied.lines.length);
  });

  scenario('leaves no process behind when it is interrupted, at whatever moment', async () => {
    const moments: [string, NodeJS.Signals, (bench: Run) => Promise<unknown>, number][] = [
      ['at the start', 'SIGINT', (bench) => bench.line(/^bench on /), 130],
      ['with the backend up', 'SIGTERM', (bench) => bench.line(/^backend on /), 143],
      ['before the answer', 'SIGINT', (bench) => bench.line(/^CGW .*approve.*deny/i), 130],
    ];
    const vehicle = await smallVehicle();
    await Promise.all(
      moments.map(async ([moment, signal, reached, code]) => {
        const bench = start(['bench', '--approve', 'ask', '--bus', freshBus(), ...vehicle], {
          keepInput: true,
        });
        await reached(bench);
        bench.kill(signal);
        expect(await bench.code(), moment).toBe(code);
        await allGone(bench);
        // What was being done when it ended stands before it.
        const said = bench.stderr.split('\n').filter((line) => !line.endsWith(' ...'));
        expect(said, moment).toEqual([`can-ota: ended early: ${signal}`, '']);
      }),
    );
  });

  scenario(
    'ends with a message when one of its processes is killed, and takes all others along',
    async () => {
      const programming = (bench: Run) =>
        bench.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 8000);
      const victims: [string, RegExp, (bench: Run) => Promise<unknown>][] = [
        ['EDT', / ecu EDT /, programming],
        ['server', / server --port /, (bench) => bench.event({ kind: 'plan' })],
        ['CGW', / cgw /, (bench) => bench.event({ kind: 'approval', status: 'asking' })],
        ['TMU', / tmu /, programming],
      ];
      const vehicle = await smallVehicle();
      await Promise.all(
        victims.map(async ([name, command, reached]) => {
          const approve = name === 'CGW' ? 'ask' : 'yes';
          const bus = freshBus('bitrate=500000');
          const args = ['bench', '--approve', approve, '--json', '--bus', bus, ...vehicle];
          const bench = start(args, { keepInput: true });
          await reached(bench);
          const victim = family(bench).find((found) => command.test(found.command));
          process.kill(victim!.pid, 'SIGKILL');
          expect(await bench.code(), name).toBe(1);
          await allGone(bench);
          expect(bench.stderr, name).toMatch(
            // The question to the driver may come before it.
            new RegExp(`^can-ota: ${name} was ended by SIGKILL during the bench`, 'm'),
          );
          expect(bench.stderr, name).not.toMatch(/^\s+at /m);
          expect(bench.last, name).toMatchObject({ error: { code: 'CHILD', exitCode: 1 } });
        }),
      );
    },
  );

  scenario('takes its processes along when it is killed itself', async () => {
    const moments: [string, (bench: Run) => Promise<unknown>][] = [
      [
        'while they start',
        (bench) => eventually(() => expect(family(bench).length).toBeGreaterThan(1)),
      ],
      ['while programming', (bench) => bench.event({ kind: 'ecu-progress', ecu: 'EDT' })],
    ];
    const vehicle = await smallVehicle();
    await Promise.all(
      moments.map(async ([, reached]) => {
        // It could no longer remove the files that it had made.
        const data = await folder();
        const bus = freshBus('bitrate=500000');
        const bench = start([
          'bench',
          '--approve',
          'yes',
          '--json',
          '--bus',
          bus,
          '--data',
          data,
          ...vehicle,
        ]);
        await reached(bench);
        bench.kill('SIGKILL');
        await allGone(bench);
      }),
    );
  });

  scenario('keeps other benches off its bus', async () => {
    const bus = freshBus();
    const first = start(['bench', '--bus', bus, ...(await smallVehicle())], { keepInput: true });
    await first.line(/backend on/);
    const second = await run(['bench', '--bus', bus, '--approve', 'yes']);
    expect(second.exit?.code).toBe(2);
    expect(second.stderr).toContain('another bench is on');
    expect(second.stderr).toContain('--bus local:second');
    first.process.kill('SIGINT');
    await allGone(first);
  });

  scenario(
    'says what is wrong with its input, and what to do, before it starts anything',
    async () => {
      const place = await folder();
      const file = async (name: string, text: string | Uint8Array): Promise<string> => {
        await writeFile(path.join(place, name), text);
        return path.join(place, name);
      };
      const vehicle = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
      const twins = await file('twins.yaml', vehicle.replace('request: 0x7E2', 'request: 0x7E1'));
      const broken = await file('broken.yaml', 'vin: [');
      const field = await file('field.yaml', vehicle.replace('order: 10', 'order: first'));
      const empty = await file('empty.bin', '');
      const large = await file('large.bin', new Uint8Array(16 * 1024 * 1024 + 1));
      const some = await file('some.bin', 'some');
      const missing = path.join(place, 'missing');
      const inFile = path.join(some, 'data');
      const cases: [readonly string[], number, readonly string[]][] = [
        [['--vehicle', missing], 2, ['--vehicle', missing, 'does not exist']],
        [['--vehicle', place], 2, [place, 'is a folder']],
        [['--vehicle', twins], 2, [twins, 'INV', 'EDT', '7E1', 'once']],
        [['--vehicle', broken], 2, [`${broken}:1`, 'YAML']],
        [['--vehicle', field], 2, [`${field}:`, 'order', 'number']],
        [['--image', `EDT=${missing}@2.0.0`], 2, ['--image', missing, 'does not exist']],
        [['--image', `EDT=${place}@2.0.0`], 2, [place, 'is a folder']],
        [['--image', `EDT=${empty}@2.0.0`], 2, [empty, 'at least one byte']],
        [['--image', `EDT=${large}@2.0.0`], 2, [large, 'EDT', '16777217', '16777216']],
        [['--image', `XYZ=${some}@2.0.0`], 2, ['XYZ', 'CGW, EDT, INV, BMS']],
        [['--image', `EDT=${some}`], 2, ['--image', 'ECU=FILE@VERSION']],
        [['--image', `EDT=${some}@2 beta`], 2, ['--image', '2 beta', '1 to 32 characters']],
        [
          ['--image', `EDT=${some}@2.0.0`, '--image', `EDT=${some}@2.0.1`],
          2,
          ['two images for EDT'],
        ],
        [
          ['--image', `EDT=${some}@2.0.0`, '--encrypt', 'INV'],
          2,
          ['--encrypt', 'INV gets no image', 'EDT'],
        ],
        [['--bus', 'local:no blanks'], 2, ['local:no blanks', 'letters, digits']],
        [['--bus', 'local:x?bitrate=fast'], 2, ['bitrate', 'fast', 'bit/s']],
        [['--bus', 'nocan0'], 12, ['nocan0', 'ip link']],
        [['--data', inFile], 15, [inFile, 'creating the folder']],
        [['--data', '/proc/can-ota'], 15, ['/proc/can-ota', 'no permission']],
        [['--trace', path.join(missing, 'x.log')], 2, ['--trace', missing, 'cannot be written']],
        [['--approve', 'perhaps'], 2, ['--approve', 'ask, yes, no']],
        [['--approval-timeout', '0'], 2, ['--approval-timeout', 'seconds']],
        [['--frobnicate'], 2, ['--frobnicate', '--help']],
      ];
      const results = await inTurns(3, cases, ([args]) =>
        run(['bench', '--approve', 'yes', '--bus', freshBus(), ...args]),
      );
      for (const [index, [args, code, texts]] of cases.entries()) {
        const bench = results[index]!;
        expect(bench.exit?.code, args.join(' ')).toBe(code);
        for (const text of texts) expect(bench.stderr).toContain(text);
        expect(bench.stderr).not.toMatch(/^\s+at |Error:/m);
        expect(bench.lines.join('\n')).not.toContain('backend on');
      }
    },
  );
});
