// Tests on a real vcan0 with the kernel's own tools and an ECU of another make: candump, cansend, cangen, canplayer.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { oneOfEach } from './support/one-of-each.ts';

const root = path.resolve(import.meta.dirname, '../..');
// The built package: what users run, and half as many files to read where every system call is slow.
const cli = path.join(root, 'dist/src/cli/main.js');
const vcan = existsSync('/sys/class/net/vcan0');
const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const canUtils = has('candump') && has('cansend') && has('cangen') && has('canplayer');
const python = spawnSync('python3', ['-c', 'import socket; socket.CAN_RAW']).status === 0;

let folder: string;
const running = new Set<Running>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vcan-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all([...running].map((process) => process.stop()));
});

/** A process whose lines can be waited for. */
class Running {
  readonly child: ChildProcess;
  /** Lines of both outputs, as they arrive. */
  readonly lines: string[] = [];
  /** The last line of standard output, which is the result with `--json`. */
  last = '';
  readonly exited: Promise<number | null>;
  #changed = Promise.withResolvers<void>();

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      createInterface(stream).on('line', (line) => {
        this.lines.push(line);
        if (stream === this.child.stdout) this.last = line;
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
    void this.exited.then(() => {
      running.delete(this);
      this.#wake();
    });
    running.add(this);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** The first line that matches. Throws with everything that was printed when the process ends before. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`ended without ${pattern}:\n${this.lines.join('\n')}`);
      }
      await this.#changed.promise;
    }
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exited;
  }
}

const canOta = (...args: string[]): Running => new Running(process.execPath, [cli, ...args]);

/** A command for ECUs without a factory, with the well-known keys of a bench. */
const withBenchKeys = (...args: string[]): Running => canOta(...args, '--bench-keys');

async function ended(process: Running): Promise<{ code: number | null; last: string }> {
  const code = await process.exited;
  return { code, last: process.last };
}

/** Not spawnSync: in a loop it would block the lines of other processes. */
function cansend(...args: string[]): Promise<number | null> {
  return new Running('cansend', args).exited;
}

async function imageOf(bytes: number): Promise<{ file: string; sha256: string; content: Buffer }> {
  const content = randomBytes(bytes);
  const file = path.join(folder, `image-${bytes}.bin`);
  await writeFile(file, content);
  return { file, content, sha256: createHash('sha256').update(content).digest('hex') };
}

describe.skipIf(!vcan)('vcan0 (needs scripts/with-vcan.sh)', () => {
  it('carries a campaign over one ECU of each make, from HEX and S-record releases', async () => {
    const { args, names } = await oneOfEach(folder, (await imageOf(5000)).file);
    const bench = canOta('bench', '--approve', 'yes', '--json', '--bus', 'vcan0', ...args);
    const { code, last } = await ended(bench);
    expect(JSON.parse(last)).toMatchObject({
      outcome: 'SUCCESS',
      bus: { kind: 'socketcan' },
      // A board with OpenBLT does not tell what it ran before.
      ecus: ['EDT', ...names].map((name) => ({
        ...{ name, from: name === 'BLT' ? 'unknown' : '1.0.0', reported: '2.0.0' },
      })),
    });
    expect(code).toBe(0);
  });

  it('carries the whole bench', async () => {
    const image = await imageOf(20_000);
    const trace = path.join(folder, 'bench.log');
    const bench = canOta(
      ...['bench', '--approve', 'yes', '--json', '--bus', 'vcan0'],
      ...['--image', `EDT=${image.file}@2.1.0`, '--trace', trace],
    );
    const { code, last } = await ended(bench);
    expect(JSON.parse(last)).toMatchObject({
      outcome: 'SUCCESS',
      bus: { kind: 'socketcan', name: 'vcan0' },
      ecus: [
        {
          name: 'EDT',
          from: '1.0.0',
          to: '2.1.0',
          reported: '2.1.0',
          sha256: image.sha256,
          bytes: 20_000,
        },
      ],
    });
    expect(code).toBe(0);
    const lines = (await readFile(trace, 'utf8')).trimEnd().split('\n');
    const { frames } = JSON.parse(last) as { frames: number };
    // The kernel's counter and our trace are compared; normal traffic may fall between their ends.
    expect(Math.abs(lines.length - frames)).toBeLessThan(50);
  });

  it('carries CAN FD with the bit rate switched', async () => {
    const image = await imageOf(30_000);
    const trace = path.join(folder, 'fd.log');
    const ecu = withBenchKeys(
      'ecu',
      'EDT',
      '--bus',
      'vcan0',
      '--fd',
      '--flash',
      path.join(folder, 'edt-fd'),
    );
    await ecu.line(/EDT on vcan0/);
    const flash = withBenchKeys(
      ...['flash', 'EDT', image.file, '--version', '2.0.0', '--bus', 'vcan0', '--fd'],
      ...['--trace', trace, '--json'],
    );
    const { code, last } = await ended(flash);
    expect(JSON.parse(last)).toMatchObject({ ok: true, sha256: image.sha256 });
    expect(code).toBe(0);
    expect(await readFile(trace, 'utf8')).toMatch(/ vcan0 7E1##1/);
  });

  describe.skipIf(!canUtils)('with can-utils', () => {
    it('candump sees what we send, cansend is answered', async () => {
      const ecu = withBenchKeys(
        'ecu',
        'EDT',
        '--bus',
        'vcan0',
        '--flash',
        path.join(folder, 'edt-1'),
      );
      await ecu.line(/EDT on vcan0/);
      // Line-buffered: into a pipe candump would otherwise write whole blocks only.
      const dump = new Running('stdbuf', ['-oL', 'candump', '-L', 'vcan0,7E0:7F0']);
      // candump does not report when it is ready: send requests until it shows one.
      while (!dump.lines.some((line) => line.includes('7E1#'))) {
        await cansend('vcan0', '7E1#023E00CCCCCCCCCC');
      }
      await dump.line(/7E9#027E00/);
      spawnSync('cansend', ['vcan0', '7E1#0322F191CCCCCCCC']);
      await dump.line(/7E9#100B62F1914544/); // first frame of "EDT-HW-1"
      spawnSync('cansend', ['vcan0', '7E1#300000']);
      await dump.line(/7E9#212D48572D31/); // the rest after our flow control
      spawnSync('cansend', ['vcan0', '7E1#0211FFCCCCCCCCCC']);
      await dump.line(/7E9#037F1112/); // subFunctionNotSupported
      const read = withBenchKeys('read', 'EDT', 'F191', '--bus', 'vcan0', '--json');
      expect((await ended(read)).code).toBe(0);
      expect(read.lines.join()).toContain('"text":"EDT-HW-1"');
    });

    it('programming goes through a flood of other frames, and nothing is lost', async () => {
      const image = await imageOf(10_000);
      const ecu = withBenchKeys(
        'ecu',
        'EDT',
        '--bus',
        'vcan0',
        '--flash',
        path.join(folder, 'edt-2'),
      );
      await ecu.line(/EDT on vcan0/);
      // Other frames: counting through all identifiers (-I i) would also send those of the ECU, with random
      // bytes in the middle of its messages.
      const flood = new Running('cangen', ['vcan0', '-g', '2', '-I', '2A5', '-L', '8']);
      const flash = withBenchKeys(
        'flash',
        'EDT',
        image.file,
        '--version',
        '2.0.0',
        '--bus',
        'vcan0',
        '--json',
      );
      const { code, last } = await ended(flash);
      expect(JSON.parse(last)).toMatchObject({ ok: true, sha256: image.sha256, reported: '2.0.0' });
      expect(code).toBe(0);
      expect(flood.child.exitCode).toBe(null);
    });

    it('frames that make no sense to us harm nobody', async () => {
      const ecu = withBenchKeys(
        'ecu',
        'EDT',
        '--bus',
        'vcan0',
        '--flash',
        path.join(folder, 'edt-3'),
      );
      await ecu.line(/EDT on vcan0/);
      for (const frame of [
        '7E1#R',
        '7E1#',
        '7E1#30FFFF',
        '7E1#1FFF',
        '7E1#2A0102',
        '7E1##10A',
        '7DF#1009AABBCCDDEEFF',
        '000007E1#0322F191',
        '7E1#0822F191',
      ]) {
        spawnSync('cansend', ['vcan0', frame]);
      }
      const read = withBenchKeys('read', 'EDT', 'F189', '--bus', 'vcan0', '--json');
      expect((await ended(read)).code).toBe(0);
    });

    it('canplayer plays our trace back, and the monitor decodes it alike', async () => {
      const trace = path.join(folder, 'read.log');
      const ecu = withBenchKeys(
        'ecu',
        'INV',
        '--bus',
        'vcan0',
        '--flash',
        path.join(folder, 'inv'),
      );
      await ecu.line(/INV on vcan0/);
      await ended(withBenchKeys('read', 'INV', 'F191', 'F189', '--bus', 'vcan0', '--trace', trace));
      await ecu.stop();
      const fromFile = canOta('monitor', '--file', trace, '--json');
      await ended(fromFile);
      const texts = (lines: readonly string[]): string[] =>
        lines.flatMap((line) =>
          line.startsWith('{"kind":"message"') ? [(JSON.parse(line) as { text: string }).text] : [],
        );
      // A slow machine makes the ECU say in between that its answer is on its way.
      const answers = texts(fromFile.lines).filter((text) => !text.includes('response pending'));
      expect(answers).toHaveLength(4);
      const live = canOta('monitor', '--bus', 'vcan0');
      await live.line(/listening on vcan0/);
      await live.stop();
      const monitor = canOta('monitor', '--bus', 'vcan0', '--json', '--raw');
      while (!monitor.lines.some((line) => line.includes('"kind":"frame"'))) {
        await cansend('vcan0', '001#00');
      }
      expect(spawnSync('canplayer', ['-I', trace]).status).toBe(0);
      await monitor.line(/"route":"< INV".*1\.0\.0/);
      expect(texts(monitor.lines)).toEqual(texts(fromFile.lines));
    });
  });

  it.skipIf(!python)('flash programs an ECU of another make that speaks standard UDS', async () => {
    const image = await imageOf(3_000);
    const out = path.join(folder, 'other-make.bin');
    const script = path.join(root, 'test/e2e/support/standard-ecu.py');
    const ecu = new Running('python3', [script, 'vcan0', '6A0', '6A8', out]);
    await ecu.line(/ready/);
    const wrong = canOta(
      'flash',
      '6A0:6A8',
      image.file,
      '--bus',
      'vcan0',
      '--xor-key',
      '00',
      '--json',
    );
    expect((await ended(wrong)).code).toBe(7);
    expect(existsSync(out)).toBe(false);
    const flash = canOta(
      'flash',
      '6A0:6A8',
      image.file,
      '--bus',
      'vcan0',
      '--xor-key',
      'a5c3f00d',
      '--json',
    );
    const { code, last } = await ended(flash);
    expect(JSON.parse(last)).toMatchObject({ kind: 'result', ok: true, bytes: 3000 });
    expect(code).toBe(0);
    expect(await readFile(out)).toEqual(image.content);
  });

  it('an interface that goes down is said, and one that is missing is named', async () => {
    const missing = withBenchKeys('read', 'EDT', 'F189', '--bus', 'nocan7');
    expect((await ended(missing)).code).toBe(12);
    expect(missing.lines.join()).toContain('nocan7');
    if (process.getuid?.() !== 0) return;
    spawnSync('ip', ['link', 'add', 'dev', 'vcan9', 'type', 'vcan']);
    spawnSync('ip', ['link', 'set', 'vcan9', 'up', 'mtu', '16']);
    const classic = withBenchKeys('read', 'EDT', 'F189', '--bus', 'vcan9', '--fd');
    expect((await ended(classic)).code).toBe(12);
    expect(classic.lines.join()).toMatch(/mtu/);
    const monitor = canOta('monitor', '--bus', 'vcan9');
    await monitor.line(/listening on vcan9/);
    spawnSync('ip', ['link', 'set', 'vcan9', 'down']);
    await monitor.line(/down/);
    spawnSync('ip', ['link', 'set', 'vcan9', 'up']);
    await monitor.line(/active/);
    spawnSync('ip', ['link', 'del', 'vcan9']);
  });
});
