// The TMU daemon among real processes: servers that come late or lie, ECUs on a bad day, and signals at every moment.

import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { type FakeBackend, freePort, startFakeBackend, startProxy } from './support/http.ts';
import {
  type Exit,
  eventually,
  folder,
  freshBus,
  inTurns,
  type Run,
  root,
  scenario,
  start,
} from './support/processes.ts';
import {
  cycle,
  type Image,
  image,
  outcomeOf,
  sha256,
  startBackend,
  startTmu,
  startVehicle,
  type TestVehicle,
} from './support/vehicle.ts';

/** SID 31 01 FF00: the routine that erases a bank. */
const ERASE = /#\S*3101FF00/;

async function stateFile(state: string, name: string): Promise<string> {
  return readFile(path.join(state, name), 'utf8');
}

/** `downloaded_sha.txt` as sha256sum writes it. */
function shaLines(images: readonly Image[]): string {
  return images.map(({ sha256, ecu, version }) => `${sha256}  ${ecu} ${version}\n`).join('');
}

async function within(ms: number, run: Run): Promise<Exit> {
  const startMs = performance.now();
  const exit = await run.exited;
  expect(performance.now() - startMs, `time to end: ${run}`).toBeLessThan(ms);
  return exit;
}

describe('tmu', () => {
  scenario('notices every lie, and touches no ECU', async () => {
    const edt = await image('EDT', 40_000);
    const latest = [{ ecu: 'EDT', version: '2.0.0', size: edt.bytes.length, sha256: edt.sha256 }];
    const send = (body: Uint8Array, length = body.length): FakeBackend => ({
      latest,
      download: (answer) => {
        answer.writeHead(200, { 'content-length': length });
        answer.end(body);
      },
    });
    const flipped = Uint8Array.from(edt.bytes);
    flipped[20_000]! ^= 1;
    const cut: FakeBackend = {
      latest,
      download: (answer) => {
        answer.writeHead(200, { 'content-length': edt.bytes.length });
        answer.write(edt.bytes.subarray(0, 1000), () => answer.destroy());
      },
    };
    const tooLong: FakeBackend = {
      latest,
      download: (answer) => {
        answer.writeHead(200); // no length: chunked
        answer.end(Buffer.concat([edt.bytes, Buffer.from('more')]));
      },
    };
    const ends: FakeBackend = {
      latest,
      download: (answer) => {
        answer.writeHead(200);
        answer.end(edt.bytes.subarray(0, 1000));
      },
    };
    const text = (status: number, body: string): FakeBackend => ({ latest: { status, body } });
    const climbing = JSON.stringify({
      releases: [{ ...latest[0], file: '../../etc/passwd' }],
    });
    const lies: [string, FakeBackend, string, number, string][] = [
      ['another length', send(new Uint8Array(39_999)), 'DOWNLOAD_INTEGRITY_FAILED', 6, '39999'],
      ['other bytes', send(flipped), 'DOWNLOAD_INTEGRITY_FAILED', 6, edt.sha256],
      ['too many bytes', tooLong, 'DOWNLOAD_INTEGRITY_FAILED', 6, 'more bytes than'],
      ['an early end', ends, 'DOWNLOAD_INTEGRITY_FAILED', 6, '1000'],
      ['a cut', cut, 'BACKEND_UNAVAILABLE', 11, 'of 40000 bytes'],
      ['no JSON', text(200, '<html>welcome</html>'), 'BACKEND_UNAVAILABLE', 11, '<html>'],
      ['other JSON', text(200, '{"releases":[{"ecu":5}]}'), 'BACKEND_UNAVAILABLE', 11, 'ecu'],
      ['a path', text(200, climbing), 'BACKEND_UNAVAILABLE', 11, 'file'],
      ['an error', text(503, ''), 'BACKEND_UNAVAILABLE', 11, '503'],
      ['endless JSON', text(200, ' '.repeat(2_000_000)), 'BACKEND_UNAVAILABLE', 11, '1048576'],
    ];
    const flash = await folder();
    const bus = freshBus();
    const ecu = start(['ecu', 'EDT', '--json', '--flash', flash, '--bus', bus], {
      supervised: true,
    });
    await ecu.ready;
    const tell = async ([
      name,
      fake,
      outcome,
      code,
      says,
    ]: (typeof lies)[number]): Promise<void> => {
      const { url } = await startFakeBackend(fake);
      const state = await folder();
      const tmu = await cycle({ bus, server: url, state });
      expect(outcomeOf(tmu), name).toMatchObject({ outcome });
      expect(await tmu.code(), name).toBe(code);
      expect(String(outcomeOf(tmu).reason), name).toContain(says);
      expect(await stateFile(state, 'progress.txt'), name).toMatch(/^ERROR\n?$/);
      const installed = await stateFile(state, 'downloaded_sha.txt').catch(() => '');
      expect(installed, name).not.toContain(edt.sha256);
    };
    // One tester at a time speaks with the ECU; a backend that is not understood is left before that.
    const understood = ({ 1: { latest } }: (typeof lies)[number]): boolean => !('status' in latest);
    await Promise.all([
      inTurns(1, lies.filter(understood), tell),
      inTurns(
        5,
        lies.filter((lie) => !understood(lie)),
        tell,
      ),
    ]);
    expect(ecu.events.filter(({ kind }) => kind === 'erase')).toEqual([]);
  });

  scenario('programs an ECU whose power failed in the middle as soon as it is back', async () => {
    const backend = await startBackend();
    const images = [await image('EDT', 3000), await image('INV', 60_000)];
    await backend.release(...images);
    const vehicle = await startVehicle({ faults: { INV: ['power-loss=30000'] } });
    const { bus, flash } = vehicle;
    const tmu = startTmu({ bus, server: backend.url, state: await folder() });
    await vehicle.ecu('INV').exited;
    const args = ['ecu', 'INV', '--flash', path.join(flash, 'INV'), '--bus', bus];
    await start(args, { supervised: true }).ready;
    expect(await tmu.code()).toBe(0);
    expect(await vehicle.version('INV')).toBe('2.0.0');
    expect(await vehicle.version('EDT')).toBe('2.0.0');
  });

  scenario('refuses a second daemon, waits for its backend, and then does its work', async () => {
    const port = await freePort();
    const server = `http://127.0.0.1:${port}`;
    const state = await folder();
    const vehicle = await startVehicle({ ecus: ['EDT'] });
    const { bus } = vehicle;
    const daemon = startTmu({ bus, server, state, more: ['--poll', '0.2'] });
    const alone = cycle({ bus: freshBus(), server, state: await folder() });
    await daemon.event({ kind: 'retry' });

    const second = await cycle({ bus, server, state });
    expect(await second.code()).toBe(14);
    expect(second.stderr).toContain(state);
    expect(second.stderr).toContain(`process ${daemon.process.pid}`);
    expect(second.stderr).not.toMatch(/^\s+at /m);

    const once = await alone;
    expect(await once.code()).toBe(11);
    expect(outcomeOf(once)).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE', code: 'ECONNREFUSED' });
    expect(String(outcomeOf(once).reason)).toContain(server);
    expect(once.events.filter(({ kind }) => kind === 'retry')).toHaveLength(3);

    const backend = await startBackend({ port });
    const edt = await image('EDT', 6000);
    await backend.release(edt);
    await daemon.event({ kind: 'outcome', outcome: 'SUCCESS' });
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    await daemon.event({ kind: 'next-poll' }, ({ inMs }) => Number(inMs) <= 300);
    daemon.kill('SIGTERM');
    expect(await within(3000, daemon)).toEqual({ code: 143, signal: null });
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines([edt]));
  });

  /** Stops the daemon in each phase, and starts it again: one campaign, carried to its end. */
  async function stopAndGoOn(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const vehicle = await startVehicle({ approve: 'ask' });
    const { bus } = vehicle;
    const state = await folder();
    const backend = await startBackend();
    const images = [await image('EDT', 150_000), await image('INV', 40_000)];
    await backend.release(...images);
    const proxy = await startProxy(backend.url, 50_000);
    const go = (): Run => startTmu({ bus, server: proxy.url, state });
    const stop = async (tmu: Run): Promise<void> => {
      tmu.kill(signal);
      const exit = await within(3000, tmu);
      const expected = signal === 'SIGTERM' ? { code: 143, signal: null } : { code: null, signal };
      expect(exit).toEqual(expected);
    };
    const question = (count: number): Promise<void> =>
      eventually(() => {
        const asked = vehicle.ecu('CGW').lines.filter((line) => /answer within/.test(line));
        expect(asked).toHaveLength(count);
      });

    const downloading = go();
    const part = path.join(state, 'images', `${images[0]!.sha256}.part`);
    await eventually(async () => expect((await stat(part)).size).toBe(50_000));
    await stop(downloading);
    expect(proxy.ranges).toEqual(['none']);
    proxy.holdAfter = undefined;

    const asking = go();
    await asking.event({ kind: 'approval', status: 'asking' });
    await question(1);
    expect(proxy.ranges).toEqual(['none', 'bytes=50000-', 'none']);
    await stop(asking);

    const programming = go();
    await programming.event({ kind: 'approval', status: 'asking' });
    // A daemon that was killed could not withdraw its question: it is still the one on the screen.
    await question(signal === 'SIGTERM' ? 2 : 1);
    vehicle.ecu('CGW').type('approve\n');
    await programming.event(
      { kind: 'ecu-progress', ecu: 'EDT' },
      ({ sent }) => Number(sent) > 20_000,
    );
    const percent = Number(await stateFile(state, 'progress.txt'));
    expect(percent).toBeGreaterThanOrEqual(50); // all is downloaded
    expect(percent).toBeLessThan(100);
    await stop(programming);

    const last = go();
    expect(await last.code()).toBe(0);
    expect(outcomeOf(last)).toMatchObject({ outcome: 'SUCCESS' });
    // The approval was given: nobody is asked twice.
    expect(last.events.filter(({ kind }) => kind === 'approval')).toEqual([]);
    expect(await stateFile(state, 'progress.txt')).toMatch(/^100\n?$/);
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines(images));
    for (const { ecu, sha256: digest } of images) {
      expect(await vehicle.version(ecu)).toBe('2.0.0');
      expect((await vehicle.banks(ecu)).map(sha256)).toContain(digest);
    }

    const trace = path.join(state, 'after.log');
    const again = await cycle({
      ...{ bus, server: backend.url, state },
      more: ['--once', '--trace', trace],
    });
    expect(await again.code()).toBe(5);
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines(images));
    expect(await stateFile(state, 'progress.txt')).toMatch(/^100\n?$/);
    expect(await stateFile(state, 'after.log')).not.toMatch(ERASE);
    expect(await backend.pages()).toContain('SUCCESS');
  }

  scenario('ends in time on SIGTERM, survives SIGKILL, and the next start carries on', async () => {
    await Promise.all([stopAndGoOn('SIGTERM'), stopAndGoOn('SIGKILL')]);
  });

  interface BadDay {
    readonly fault: string;
    readonly outcome: string;
    readonly code: number;
    /** In the reason. */
    readonly says: readonly string[];
    /** Noticed before anybody is asked. */
    readonly early?: true;
  }
  const BAD_DAYS: readonly BadDay[] = [
    {
      ...{ fault: 'silent', outcome: 'PRECONDITION_FAILED', code: 8, early: true },
      says: ['INV', 'no answer', 'check power'],
    },
    {
      ...{ fault: 'hardware-id=INV-HW-9', outcome: 'PRECONDITION_FAILED', code: 8, early: true },
      says: ['INV', 'INV-HW-9', 'INV-HW-1'],
    },
    {
      ...{ fault: 'fail-write=9000', outcome: 'ROLLBACK_COMPLETED', code: 9 },
      says: ['INV', 'generalProgrammingFailure', '12000 bytes'],
    },
    {
      ...{ fault: 'refuse-boot', outcome: 'ROLLBACK_COMPLETED', code: 9 },
      says: ['INV', 'did not start'],
    },
    {
      ...{ fault: 'self-test', outcome: 'ROLLBACK_COMPLETED', code: 9 },
      says: ['INV', 'self test'],
    },
  ];

  scenario('takes every ECU back to its old version and tells the backend', async () => {
    const backend = await startBackend();
    await backend.release(await image('EDT', 12_000), await image('INV', 12_000));
    const reports = await inTurns(3, BAD_DAYS, async ({ fault, outcome, code, says, early }) => {
      const vehicle = await startVehicle({
        faults: { INV: [fault] },
        ...(early === true ? { approve: 'nobody' } : {}),
      });
      const tmu = await cycle({ bus: vehicle.bus, server: backend.url, state: await folder() });
      const { outcome: got, reason } = outcomeOf(tmu);
      expect(got, fault).toBe(outcome);
      expect(await tmu.code()).toBe(code);
      for (const text of says) expect(String(reason), fault).toContain(text);
      expect(await vehicle.version('EDT'), fault).toBe('1.0.0');
      if (early !== true) expect(await vehicle.version('INV'), fault).toBe('1.0.0');
      return String(reason);
    });
    const pages = (await backend.pages()).replaceAll('&quot;', '"').replaceAll('&gt;', '>');
    // What stops a check for lack of an ECU is not a campaign, everything else is reported.
    for (const reason of reports.slice(1)) expect(pages).toContain(reason);
  });

  scenario('holds nothing of an image in memory', async () => {
    const size = 192 * 1024 * 1024;
    const block = Buffer.alloc(1024 * 1024, 'image');
    const hash = createHash('sha256');
    for (let sent = 0; sent < size; sent += block.length) hash.update(block);
    const bus = freshBus();
    const place = await folder();
    const description = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
    const vehicleFile = path.join(place, 'vehicle.yaml');
    await writeFile(
      vehicleFile,
      description.replace('order: 10', `order: 10\n    memory: { bankSize: ${2 * size} }`),
    );
    const ecus = [
      start(['ecu', 'EDT', '--flash', path.join(place, 'edt'), '--bus', bus], { supervised: true }),
      start(['cgw', '--approve', 'no', '--flash', path.join(place, 'cgw'), '--bus', bus], {
        supervised: true,
      }),
    ];
    await Promise.all(ecus.map((ecu) => ecu.ready));
    let tmu: Run;
    let beforeKiB = 0;
    const peakKiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${tmu.process.pid}/status`, 'utf8');
      return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]);
    };
    const { url } = await startFakeBackend({
      latest: [{ ecu: 'EDT', version: '2.0.0', size, sha256: hash.digest('hex') }],
      download: async (answer) => {
        beforeKiB = await peakKiB();
        answer.writeHead(200, { 'content-length': size });
        for (let sent = 0; sent < size; sent += block.length) {
          if (!answer.write(block)) await new Promise((resolve) => answer.once('drain', resolve));
        }
        answer.end();
      },
    });
    tmu = startTmu({
      ...{ bus, server: url, state: path.join(place, 'state') },
      more: ['--poll', '60', '--vehicle', vehicleFile],
    });
    await tmu.event({ kind: 'outcome', outcome: 'USER_REJECTED' });
    const grownMiB = ((await peakKiB()) - beforeKiB) / 1024;
    expect(beforeKiB).toBeGreaterThan(20_000);
    expect(grownMiB).toBeLessThan(128);
  });

  /** BMS comes first, so it is the one that carries the local bus. */
  async function vehicleOnBms(): Promise<{ host: Run; vehicle: TestVehicle }> {
    const bus = freshBus();
    const flash = await folder();
    const host = start(['ecu', 'BMS', '--flash', path.join(flash, 'BMS'), '--bus', bus], {
      supervised: true,
    });
    await host.ready;
    return { host, vehicle: await startVehicle({ bus, flash }) };
  }

  scenario('goes on when nothing is under way', async () => {
    const { host, vehicle } = await vehicleOnBms();
    host.kill('SIGKILL');
    await host.exited;
    const backend = await startBackend();
    await backend.release(await image('EDT', 5000), await image('INV', 5000));
    const tmu = await cycle({ bus: vehicle.bus, server: backend.url, state: await folder() });
    expect(await tmu.code()).toBe(0);
    expect(await vehicle.version('INV')).toBe('2.0.0');
  });

  scenario('ends a campaign in a defined way, and the next one succeeds', async () => {
    const { host, vehicle } = await vehicleOnBms();
    const backend = await startBackend();
    const state = await folder();
    await backend.release(await image('EDT', 150_000), await image('INV', 5000));
    const tmu = startTmu({ bus: vehicle.bus, server: backend.url, state });
    await tmu.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 50_000);
    host.kill('SIGKILL');
    const code = await tmu.code();
    expect([0, 9]).toContain(code);
    const version = code === 0 ? '2.0.0' : '1.0.0';
    for (const ecu of ['EDT', 'INV']) expect(await vehicle.version(ecu)).toBe(version);

    const newer = [await image('EDT', 6000, '2.0.1'), await image('INV', 6000, '2.0.1')];
    await backend.release(...newer);
    const next = await cycle({ bus: vehicle.bus, server: backend.url, state });
    expect(await next.code()).toBe(0);
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines(newer));
  });
});
