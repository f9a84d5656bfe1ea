// The TMU daemon with real processes: servers that start late or answer falsely, faulty ECUs, and signals at every moment.

import { createHash } from 'node:crypto';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { freePort, type Lies, startLiar, startProxy } from './support/http.ts';
import {
  eventually,
  folder,
  freshBus,
  inTurns,
  type Run,
  run,
  scenario,
} from './support/processes.ts';
import {
  cycle,
  type Image,
  image,
  outcomeOf,
  sha256,
  startBenchVehicle,
  startTmu,
  TestFactory,
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

describe('tmu', () => {
  // The long ones first: other tests run while they wait.
  interface BadDay {
    readonly fault: string;
    readonly outcome: string;
    readonly code: number;
    /** Texts that the reason contains. */
    readonly says: readonly string[];
    /** Noticed before the driver is asked. */
    readonly early?: true;
  }
  const BAD_DAYS: readonly BadDay[] = [
    {
      // The Director decides nothing for a vehicle whose reports are incomplete.
      ...{ fault: 'silent', outcome: 'PRECONDITION_FAILED', code: 8, early: true },
      says: ['INV', 'check power', 'MANIFEST_INCOMPLETE'],
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
    const factory = await TestFactory.open();
    const images = [await image('EDT', 12_000), await image('INV', 12_000)];
    await inTurns(3, BAD_DAYS, async ({ fault, outcome, code, says, early }) => {
      const backend = await factory.backend();
      await backend.release(...images);
      const vehicle = await factory.vehicle({ faults: { INV: [fault] } });
      const tmu = await cycle({ vehicle, server: backend.url, state: await factory.state() });
      const { outcome: got, reason } = outcomeOf(tmu);
      expect(got, `${fault}: ${String(reason)}`).toBe(outcome);
      expect(await tmu.code()).toBe(code);
      for (const text of says) expect(String(reason), fault).toContain(text);
      expect(await vehicle.version('EDT'), fault).toBe('1.0.0');
      if (early !== true) expect(await vehicle.version('INV'), fault).toBe('1.0.0');
      const pages = (await backend.pages()).replaceAll('&quot;', '"').replaceAll('&gt;', '>');
      // A check that a missing ECU stops is not a campaign; everything else is reported.
      if (fault !== 'silent') expect(pages, fault).toContain(String(reason));
    });
  });

  scenario('notices every lie, and touches no ECU', async () => {
    // The content type of our server for an image; without it, and with another length, the answer
    // would count as the network's.
    const OCTETS = { 'content-type': 'application/octet-stream' };
    const edt = await image('EDT', 40_000);
    const send = (body: Uint8Array, length = body.length): Lies => ({
      download: (answer) => {
        answer.writeHead(200, { 'content-length': length, ...OCTETS });
        answer.end(body);
      },
    });
    const flipped = Uint8Array.from(edt.bytes);
    flipped[20_000]! ^= 1;
    const cut: Lies = {
      download: (answer) => {
        answer.writeHead(200, { 'content-length': edt.bytes.length, ...OCTETS });
        answer.write(edt.bytes.subarray(0, 1000), () => answer.destroy());
      },
    };
    const tooLong: Lies = {
      download: (answer) => {
        answer.writeHead(200, OCTETS); // no length: chunked
        answer.end(Buffer.concat([edt.bytes, Buffer.from('more')]));
      },
    };
    const ends: Lies = {
      download: (answer) => {
        answer.writeHead(200, OCTETS);
        answer.end(edt.bytes.subarray(0, 1000));
      },
    };
    const text = (status: number, body: string): Lies => ({ latest: { status, body } });
    const climbing = JSON.stringify({
      vin: null,
      releases: [
        { ecu: 'EDT', version: '2.0.0', size: 9, sha256: edt.sha256, file: '../../etc/passwd' },
      ],
    });
    const lies: [string, Lies, string, number, string][] = [
      ['another length', send(new Uint8Array(39_999)), 'DOWNLOAD_INTEGRITY_FAILED', 6, '39999'],
      ['other bytes', send(flipped), 'DOWNLOAD_INTEGRITY_FAILED', 6, edt.sha256],
      ['too many bytes', tooLong, 'DOWNLOAD_INTEGRITY_FAILED', 6, 'more bytes than'],
      ['an early end', ends, 'BACKEND_UNAVAILABLE', 11, '1000'],
      ['a cut', cut, 'BACKEND_UNAVAILABLE', 11, 'of 40000 bytes'],
      ['no JSON', text(200, '<html>welcome</html>'), 'BACKEND_UNAVAILABLE', 11, '<html>'],
      [
        'other JSON',
        text(200, '{"vin":null,"releases":[{"ecu":5}]}'),
        'BACKEND_UNAVAILABLE',
        11,
        'ecu',
      ],
      ['a path', text(200, climbing), 'BACKEND_UNAVAILABLE', 11, 'file'],
      ['an error', text(503, ''), 'BACKEND_UNAVAILABLE', 11, '503'],
      ['endless JSON', text(200, ' '.repeat(2_000_000)), 'BACKEND_UNAVAILABLE', 11, '1048576'],
    ];
    const factory = await TestFactory.open(['EDT']);
    const vehicle = await factory.vehicle();
    const backend = await factory.backend();
    await backend.release(edt);
    const tell = async (
      [name, lie, outcome, code, says]: (typeof lies)[number],
      state: string,
    ): Promise<void> => {
      const { url: server } = await startLiar(backend.url, lie);
      const tmu = await cycle({ vehicle, server, state });
      expect(outcomeOf(tmu), name).toMatchObject({ outcome });
      expect(await tmu.code(), name).toBe(code);
      expect(String(outcomeOf(tmu).reason), name).toContain(says);
      expect(await stateFile(state, 'progress.txt'), name).toMatch(/^ERROR\n?$/);
      const installed = await stateFile(state, 'downloaded_sha.txt').catch(() => '');
      expect(installed, name).not.toContain(edt.sha256);
    };
    // One tester at a time speaks with the ECU; a backend with invalid answers is given up before that.
    const understood = ({ 1: { latest } }: (typeof lies)[number]): boolean => latest === undefined;
    const believing = await factory.state();
    await Promise.all([
      inTurns(1, lies.filter(understood), async (lie) => {
        // Forgets the result of the last false answer; the trust stays, because for the Director all of these are
        // one TMU.
        for (const name of await readdir(believing)) {
          if (!['identity.json', 'trust'].includes(name)) {
            await rm(path.join(believing, name), { recursive: true });
          }
        }
        await tell(lie, believing);
      }),
      inTurns(
        5,
        lies.filter((lie) => !understood(lie)),
        async (lie) => tell(lie, await factory.state()),
      ),
    ]);
    expect(vehicle.ecu('EDT').events.filter(({ kind }) => kind === 'erase')).toEqual([]);
  });

  scenario('programs an ECU whose power failed in the middle as soon as it is back', async () => {
    const factory = await TestFactory.open();
    const backend = await factory.backend();
    const images = [await image('EDT', 3000), await image('INV', 60_000)];
    await backend.release(...images);
    const vehicle = await factory.vehicle({ faults: { INV: ['power-loss=30000'] } });
    const tmu = startTmu({ vehicle, server: backend.url, state: await factory.state() });
    await vehicle.ecu('INV').exited;
    await vehicle.start('INV');
    expect(await tmu.code()).toBe(0);
    expect(await vehicle.version('INV')).toBe('2.0.0');
    expect(await vehicle.version('EDT')).toBe('2.0.0');
  });

  scenario('refuses a second daemon, waits for its backend, and then does its work', async () => {
    const port = await freePort();
    const server = `http://127.0.0.1:${port}`;
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const state = await factory.state();
    const vehicle = await factory.vehicle();
    const daemon = startTmu({ vehicle, server, state, more: ['--poll', '0.2'] });
    const nobody = { shared: ['--bus', freshBus(), '--vehicle', factory.vehicleFile] };
    const alone = cycle({ vehicle: nobody, server, state: await factory.state() });
    await daemon.event({ kind: 'retry' });

    const second = await cycle({ vehicle, server, state });
    expect(await second.code()).toBe(14);
    expect(second.stderr).toContain(state);
    expect(second.stderr).toContain(`process ${daemon.process.pid}`);
    expect(second.stderr).not.toMatch(/^\s+at /m);

    const once = await alone;
    expect(await once.code()).toBe(11);
    expect(outcomeOf(once)).toMatchObject({ outcome: 'BACKEND_UNAVAILABLE', code: 'ECONNREFUSED' });
    expect(String(outcomeOf(once).reason)).toContain(server);
    expect(once.events.filter(({ kind }) => kind === 'retry')).toHaveLength(3);

    const backend = await factory.backend({ port });
    const edt = await image('EDT', 6000);
    await backend.release(edt);
    await daemon.event({ kind: 'outcome', outcome: 'SUCCESS' });
    await daemon.event({ kind: 'next-poll' }, ({ inMs }) => Number(inMs) <= 300);
    daemon.kill('SIGTERM');
    expect(await daemon.exited).toEqual({ code: 143, signal: null });
    // Not earlier: it may still ask the ECU for its report, and a bus has one tester at a time.
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines([edt]));
  });

  /** Stops the daemon in each phase and starts it again: one campaign, continued to its end. */
  async function stopAndGoOn(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const factory = await TestFactory.open();
    const vehicle = await factory.vehicle({ approve: 'ask' });
    const state = await factory.state();
    const backend = await factory.backend();
    const images = [await image('EDT', 150_000), await image('INV', 40_000)];
    await backend.release(...images);
    const proxy = await startProxy(backend.url, 50_000);
    const go = (): Run => startTmu({ vehicle, server: proxy.url, state });
    const stop = async (tmu: Run): Promise<void> => {
      tmu.kill(signal);
      const exit = await tmu.exited;
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
    const [status] = (await run(['status', '--state-dir', state, '--json'])).events;
    expect(status).toMatchObject({ daemon: { running: true, pid: asking.process.pid } });
    expect(proxy.ranges).toEqual(['none', 'bytes=50000-', 'none']);
    await stop(asking);

    const programming = go();
    await programming.event({ kind: 'approval', status: 'asking' });
    // A killed daemon could not withdraw its question, so it is still on the screen.
    await question(signal === 'SIGTERM' ? 2 : 1);
    vehicle.ecu('CGW').type('approve\n');
    await programming.event(
      { kind: 'ecu-progress', ecu: 'EDT' },
      ({ sent }) => Number(sent) > 20_000,
    );
    await eventually(async () => {
      const percent = Number(await stateFile(state, 'progress.txt'));
      expect(percent).toBeGreaterThanOrEqual(50); // all images are downloaded
      expect(percent).toBeLessThan(100);
    });
    await stop(programming);

    const last = go();
    expect(await last.code()).toBe(0);
    expect(outcomeOf(last)).toMatchObject({ outcome: 'SUCCESS' });
    // The approval was given; the driver is not asked twice.
    expect(last.events.filter(({ kind }) => kind === 'approval')).toEqual([]);
    expect(await stateFile(state, 'progress.txt')).toMatch(/^100\n?$/);
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines(images));
    for (const { ecu, sha256: digest } of images) {
      expect(await vehicle.version(ecu)).toBe('2.0.0');
      expect((await vehicle.banks(ecu)).map(sha256)).toContain(digest);
    }

    const trace = path.join(state, 'after.log');
    const again = await cycle({
      ...{ vehicle, server: backend.url, state },
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

  scenario('holds nothing of an image in memory', async () => {
    const size = 192 * 1024 * 1024;
    const file = path.join(await folder(), 'large.bin');
    const bytes = Buffer.alloc(1024 * 1024, 'image');
    const hash = createHash('sha256');
    await using target = await open(file, 'w');
    for (let written = 0; written < size; written += bytes.length) {
      await target.write(bytes);
      hash.update(bytes);
    }
    const large: Image = { ecu: 'EDT', version: '2.0.0', file, bytes, sha256: hash.digest('hex') };
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend({ more: ['--max-upload', '256'] });
    await backend.release(large);
    const changes = { EDT: { memory: { bankSize: 2 * size } } };
    const vehicle = await factory.vehicle({ approve: 'no', changes });
    const proxy = await startProxy(backend.url, 0);
    const state = await factory.state();
    const tmu = startTmu({ vehicle, server: proxy.url, state, more: ['--poll', '60'] });
    const peakKiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${tmu.process.pid}/status`, 'utf8');
      return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]);
    };
    // The first download is held back, so that the time before it can be measured.
    await eventually(() => expect(proxy.ranges).toHaveLength(1));
    const beforeKiB = await peakKiB();
    proxy.release();
    await tmu.event({ kind: 'outcome', outcome: 'USER_REJECTED' });
    const grownMiB = ((await peakKiB()) - beforeKiB) / 1024;
    expect(beforeKiB).toBeGreaterThan(20_000);
    expect(grownMiB).toBeLessThan(128);
  });

  /** BMS, which belongs to no vehicle here, starts first and runs the local bus. */
  async function vehicleOnBms(factory: TestFactory): Promise<{ host: Run; vehicle: TestVehicle }> {
    const host = await startBenchVehicle(['BMS']);
    return { host: host.ecu('BMS'), vehicle: await factory.vehicle({ bus: host.bus }) };
  }

  scenario('goes on when nothing is under way', async () => {
    const factory = await TestFactory.open();
    const { host, vehicle } = await vehicleOnBms(factory);
    host.kill('SIGKILL');
    await host.exited;
    const backend = await factory.backend();
    await backend.release(await image('EDT', 5000), await image('INV', 5000));
    const tmu = await cycle({ vehicle, server: backend.url, state: await factory.state() });
    expect(await tmu.code()).toBe(0);
    expect(await vehicle.version('INV')).toBe('2.0.0');
  });

  scenario('ends a campaign in a defined way, and the next one succeeds', async () => {
    const factory = await TestFactory.open();
    const { host, vehicle } = await vehicleOnBms(factory);
    const backend = await factory.backend();
    const state = await factory.state();
    await backend.release(await image('EDT', 150_000), await image('INV', 5000));
    const tmu = startTmu({ vehicle, server: backend.url, state });
    await tmu.event({ kind: 'ecu-progress', ecu: 'EDT' }, ({ sent }) => Number(sent) > 50_000);
    host.kill('SIGKILL');
    const code = await tmu.code();
    expect([0, 9]).toContain(code);
    const version = code === 0 ? '2.0.0' : '1.0.0';
    for (const ecu of ['EDT', 'INV']) expect(await vehicle.version(ecu)).toBe(version);

    const newer = [await image('EDT', 6000, '2.0.1'), await image('INV', 6000, '2.0.1')];
    await backend.release(...newer);
    const next = await cycle({ vehicle, server: backend.url, state });
    expect(await next.code()).toBe(0);
    expect(await stateFile(state, 'downloaded_sha.txt')).toBe(shaLines(newer));
  });
});
