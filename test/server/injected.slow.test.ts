// The server on handed-in capabilities alone: no file, no timer and no randomness of the machine, and one seed is one run.

import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../server/platform/db/database.ts';
import { NodeSqliteDialect } from '../../server/platform/db/sqlite-dialect.ts';
import { createServer } from '../../server/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { InjectedBackend } from './injected-support.ts';
import { json } from './support.ts';
import { bearer, DAY_MS, logIn, VIN } from './trust-support.ts';

const IMAGE = Buffer.alloc(300_000, 'firmware of the EDT');
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');

/** All that vehicles and the release tool ask for, in one update. */
async function update(backend: InjectedBackend): Promise<void> {
  const vehicle = await backend.vehicle();
  expect((await vehicle.checkin(undefined, { nonces: ['ab'.repeat(16)] })).status).toBe(200);
  const name = await backend.publish(IMAGE, { encrypt: true, forced: true });
  await backend.clock.advance(60_000);
  expect((await vehicle.get('/latest_version')).json.releases).toMatchObject([{ ecu: 'EDT' }]);
  expect((await vehicle.checkin()).json.status).toBe('pending');
  const verified = await vehicle.verify();
  expect(verified).toMatchObject({ ok: true, targets: [{ name, encrypt: true, forced: true }] });
  expect((await vehicle.send('/vehicle/time', { nonces: [] })).status).toBe(200);
  if (!verified.ok) throw new Error('unreachable');
  const { file } = verified.targets[0]!.encryption!;
  const { nonce } = (await vehicle.get('/get_nonce')).json;
  const part = await vehicle.request(`/ota_download/${file}?nonce=${nonce}`, {
    Range: 'bytes=1000-',
  });
  expect([part.status, part.body.length]).toEqual([206, part.body.length]);
  expect((await vehicle.get(`/ota_download/${file}?nonce=${nonce}`)).status).toBe(200);
  const campaign = { vin: VIN, campaign: 'c1', state: 'staging' };
  expect((await vehicle.send('/vehicle/campaign', campaign)).json).toEqual({ cancel: null });
  const cancelled = await backend.request(`/vehicles/${VIN}/cancel`, {
    ...json({ reason: 'withdrawn' }),
    headers: { 'Content-Type': 'application/json', ...bearer(backend.operator) },
  });
  expect(cancelled.status).toBe(202);
  const { cancel } = (await vehicle.send('/vehicle/campaign', campaign)).json;
  const answer = { order: cancel.order, accepted: false, reason: 'too late' };
  await vehicle.send('/vehicle/campaign', { ...campaign, answer });
  await vehicle.install('EDT', name, IMAGE, '2.0.0');
  expect((await vehicle.checkin()).json.status).toBe('up-to-date');
  const ecus = [{ name: 'EDT', from: '1', version: '2.0.0', sha256: SHA256 }];
  const report = { vin: VIN, outcome: 'SUCCESS', campaign: 'c1', ecus };
  expect((await vehicle.send('/report_versions', report)).status).toBe(204);
  const downloads = backend.database
    .prepare("select action from audit where action like 'download.%' order by id")
    .all();
  const [start, complete] = ['download.start', 'download.complete'];
  expect(downloads.map(({ action }) => action)).toEqual([start, complete, start, complete]);
}

describe('nothing of the machine', () => {
  const real = { date: vi.fn(), timer: vi.fn() };
  beforeEach(() => {
    const { setTimeout: timer } = globalThis;
    real.date.mockClear();
    real.timer.mockClear();
    vi.spyOn(Date, 'now').mockImplementation(() => {
      real.date(new Error('here').stack);
      return 0;
    });
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((...given: Parameters<typeof timer>) => {
      real.timer(new Error('here').stack);
      return timer(...given);
    }) as typeof setTimeout);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('is asked for on the paths of vehicles and of the release tool', async () => {
    const backend = await InjectedBackend.start();
    await update(backend);
    expect(real.timer.mock.calls).toEqual([]);
    // What is left of it is in libraries, and reaches no answer (see below).
    const ours = real.date.mock.calls.filter(([stack]) => !String(stack).includes('node_modules'));
    expect(ours).toEqual([]);
    expect(backend.clock.pending()).toEqual([]);
  });
});

describe('a seed', () => {
  it('gives the same answers to the byte, headers and all', async () => {
    const runs: (readonly string[])[] = [];
    for (const seed of ['a', 'a', 'b']) {
      const backend = await InjectedBackend.start({ seed });
      await update(backend);
      await backend.restart();
      await backend.request('/latest_version');
      runs.push(backend.answers);
    }
    expect(runs[0]!.length).toBeGreaterThan(30);
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  it('dates answers by the clock of the server', async () => {
    const backend = await InjectedBackend.start();
    const date = async (): Promise<unknown> => (await backend.request('/healthz')).headers.date;
    expect(await date()).toBe('Thu, 01 Jan 2026 00:00:00 GMT');
    await backend.clock.advance(90_500);
    expect(await date()).toBe('Thu, 01 Jan 2026 00:01:30 GMT');
  });
});

describe('a restart', () => {
  it('goes on with database, images, sessions and what was signed', async () => {
    const backend = await InjectedBackend.start();
    const vehicle = await backend.vehicle();
    const name = await backend.publish(IMAGE);
    await vehicle.checkin();
    const before = (await vehicle.get(`/director/${VIN}/metadata/targets.json`)).body;
    await backend.restart();
    expect((await vehicle.checkin()).json).toMatchObject({ director: { targets: 1 } });
    expect((await vehicle.get(`/director/${VIN}/metadata/targets.json`)).body).toEqual(before);
    expect((await backend.request(`/targets/${name}`)).body).toEqual(IMAGE);
    await backend.clock.advance(10 * DAY_MS);
    vehicle.token = await logIn(backend, vehicle.primary, backend.random);
    await vehicle.checkin();
    expect((await vehicle.verify()).ok).toBe(true);
  });

  it('takes the database over from a server that was killed in the middle of a transaction', async () => {
    const backend = await InjectedBackend.start();
    const vehicle = await backend.vehicle();
    const killed = backend.server;
    const report = { vin: VIN, outcome: 'SUCCESS', campaign: 'c1', ecus: [] };
    const { database } = backend;
    const prepare = database.prepare.bind(database);
    let next: Promise<void> | undefined;
    database.prepare = (sql) => {
      if (sql.startsWith('insert into "reports"')) {
        // After this statement, and before the next one.
        queueMicrotask(() => {
          expect(database.isTransaction).toBe(true);
          next = new NodeSqliteDialect(database, systemClock).createDriver().init();
          expect(database.isTransaction).toBe(false);
        });
        database.prepare = prepare;
      }
      return prepare(sql);
    };
    expect((await vehicle.send('/report_versions', report)).status).toBe(500);
    await next;
    await backend.boot();
    vehicle.token = await logIn(backend, vehicle.primary, backend.random);
    expect((await vehicle.send('/report_versions', report)).status).toBe(204);
    const rows = backend.database.prepare('select count(*) as count from reports').get();
    expect(rows).toEqual({ count: 1 });
    await killed.close();
    expect((await backend.request('/healthz')).status).toBe(200);
  });

  it('after a power cut of its disk has every image that it was told is stored', async () => {
    const backend = await InjectedBackend.start();
    expect((await backend.upload(IMAGE)).status).toBe(201);
    backend.disk.cut(backend.random);
    await backend.boot();
    expect(backend.disk.files().get(`images/${SHA256}`)).toEqual(Uint8Array.from(IMAGE));
    expect([...backend.disk.files().keys()]).toEqual([`images/${SHA256}`]);
  });
});

describe('images on a disk that somebody else works on, too', () => {
  it('misses one that is gone, also after a restart, and finds one that came back', async () => {
    const backend = await InjectedBackend.start();
    const name = await backend.publish(IMAGE);
    await backend.storage.remove(`images/${SHA256}`);
    for (let round = 0; round < 2; round++) {
      const missing = await backend.request(`/targets/${name}`);
      expect([missing.status, missing.json.code]).toEqual([500, 'IMAGE_MISSING']);
      await backend.restart();
    }
    await backend.storage.replace(`images/${SHA256}`, Uint8Array.from(IMAGE));
    expect((await backend.request(`/targets/${name}`)).body).toEqual(IMAGE);
    await backend.storage.replace(`images/${SHA256}`, Uint8Array.from(IMAGE.subarray(0, 5)));
    expect((await backend.request(`/targets/${name}`)).status).toBe(500);
  });
});

it('needs a folder, unless it is given both a database and a disk', async () => {
  const { clock, database, disk } = await InjectedBackend.start();
  const base = { clock, random: systemRandom, logger: silentLogger };
  await expect(createServer({ ...base, database })).rejects.toThrow(InputError);
  await expect(createServer({ ...base, storage: disk.open() })).rejects.toThrow(InputError);
});

it('a database that is handed in is left open, and refuses who had it before', async () => {
  const database = new DatabaseSync(':memory:');
  const deps = { clock: (await InjectedBackend.start()).clock, random: systemRandom };
  const first = await openDatabase(database, deps);
  const second = await openDatabase(database, deps);
  await expect(first.ping()).rejects.toThrow(/another server/);
  await first.close();
  await second.ping();
  await second.close();
  expect(database.isOpen).toBe(true);
});
