// The files of the state directory, the facts for the driver, and the lock.

import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FolderBusyError, lockFolder } from '../../src/core/lock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { formatInstalled, InstalledFile, parseInstalled } from '../../src/tmu/installed.ts';
import { TmuMemory } from '../../src/tmu/memory.ts';
import { Outbox } from '../../src/tmu/outbox.ts';
import { factsOf, rollbackSeconds, updateSeconds } from '../../src/tmu/question.ts';
import { RateMeter, StatusFiles } from '../../src/tmu/status.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { hash, planOf } from './files-support.ts';
import { FakeBackend, vehicle } from './support.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('downloaded_sha.txt', () => {
  it('has one line for each ECU, as sha256sum writes them', async () => {
    const storage = new FaultStorage();
    const file = await InstalledFile.open(storage);
    await file.set([
      { ecu: 'INV', sha256: hash('b'), version: '2.0.0' },
      { ecu: 'EDT', sha256: hash('a'), version: '1.0.0-rc.1' },
    ]);
    const text = new TextDecoder().decode(storage.contents('downloaded_sha.txt'));
    expect(text).toBe(`${hash('a')}  EDT 1.0.0-rc.1\n${hash('b')}  INV 2.0.0\n`);
    expect((await InstalledFile.open(storage)).content).toEqual(file.content);
    await file.set([{ ecu: 'INV', sha256: undefined, version: '' }]);
    expect([...(await InstalledFile.open(storage)).content.keys()]).toEqual(['EDT']);
  });

  it('is not written when nothing changes', async () => {
    const storage = new FaultStorage();
    const file = await InstalledFile.open(storage);
    await file.set([{ ecu: 'EDT', sha256: hash('a'), version: '1' }]);
    const { operations } = storage;
    await file.set([{ ecu: 'EDT', sha256: hash('a'), version: '1' }]);
    expect(storage.operations).toBe(operations);
  });

  it('of any content is read as far as it goes', () => {
    expect(parseInstalled(`rubbish\n${hash('a')}  EDT 1\r\n${hash('a')} EDT 2\n`).size).toBe(1);
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = parseInstalled(text);
        expect(parseInstalled(formatInstalled(read))).toEqual(read);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('state.json and outbox.json', () => {
  it('of any content never stop the daemon', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
        const storage = new FaultStorage(
          new Map([
            ['state.json', encode(text)],
            ['outbox.json', encode(text)],
          ]),
        );
        expect((await TmuMemory.open(storage)).damaged).toBe(true);
        expect((await Outbox.open(storage)).size).toBe(0);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it('remember a bounded number of things', async () => {
    const storage = new FaultStorage();
    const { memory } = await TmuMemory.open(storage);
    const outbox = await Outbox.open(storage);
    for (let index = 0; index < 100; index++) {
      const key = index.toString(16).padStart(64, '0');
      await memory.remember({
        key,
        outcome: 'USER_REJECTED',
        count: 1,
        notBeforeWallMs: null,
      });
      await outbox.put(key, { vin: 'V', outcome: 'SUCCESS', ecus: [] });
    }
    expect(memory.content.remembered).toHaveLength(64);
    expect((await TmuMemory.open(storage)).memory.content).toEqual(memory.content);
    expect((await Outbox.open(storage)).size).toBe(50);
    await outbox.put((99).toString(16).padStart(64, '0'), { vin: 'V', outcome: 'X', ecus: [] });
    expect(outbox.size).toBe(50); // the same report again
    const backend = new FakeBackend(new VirtualClock());
    const checkIn = async () => ({ kind: 'checked-in' }) as const;
    await outbox.flush(backend, checkIn, silentLogger, new AbortController().signal);
    expect(backend.reports).toHaveLength(50);
    expect(outbox.size).toBe(0);
  });
});

describe('status.json', () => {
  it('is written five times a second at most, and the last word counts', async () => {
    const storage = new FaultStorage();
    const clock = new VirtualClock();
    let writes = 0;
    const replace = storage.replace.bind(storage);
    storage.replace = async (name, bytes) => {
      if (name === 'status.json') writes++;
      await replace(name, bytes);
    };
    const files = new StatusFiles({ storage, clock, logger: silentLogger });
    for (let step = 0; step <= 1000; step++) {
      files.set({ reason: String(step) }, Math.min(99, Math.floor(step / 10)));
      await clock.advance(2);
    }
    await files.flush();
    expect(writes).toBeLessThanOrEqual(12);
    const status = JSON.parse(new TextDecoder().decode(storage.contents('status.json')));
    expect(status).toMatchObject({ reason: '1000', progress: 99 });
    expect(clock.pending()).toEqual([]);
  });

  it('on a disk slower than the news are the newest, not a queue', async () => {
    const storage = new FaultStorage();
    const clock = new VirtualClock();
    const replace = storage.replace.bind(storage);
    let writes = 0;
    storage.replace = async (name, bytes) => {
      if (name === 'status.json') writes++;
      await new Promise<void>((resolve) => clock.after('slow-disk', 1000, resolve));
      await replace(name, bytes);
    };
    const files = new StatusFiles({ storage, clock, logger: silentLogger });
    for (let step = 0; step <= 100; step++) {
      files.set({ reason: String(step) });
      await clock.advance(100);
    }
    let flushed = false;
    void files.flush().then(() => {
      flushed = true;
    });
    await clock.advance(2000);
    expect(flushed).toBe(true);
    expect(writes).toBeLessThanOrEqual(12);
    const status = JSON.parse(new TextDecoder().decode(storage.contents('status.json')));
    expect(status).toMatchObject({ reason: '100' });
    expect(clock.pending()).toEqual([]);
  });

  it('that cannot be written is no reason to stop', async () => {
    const storage = new FaultStorage();
    storage.failing = 'NO_SPACE';
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (_: unknown, text: string) => warnings.push(text) };
    const files = new StatusFiles({ storage, clock: new VirtualClock(), logger });
    files.set({}, 'ERROR');
    await files.flush();
    expect(warnings).toEqual(['the status cannot be written']);
  });

  it('estimates', async () => {
    const clock = new VirtualClock();
    const meter = new RateMeter(clock, 500);
    expect(meter.at(500, 2500)).toEqual({
      sent: 500,
      total: 2500,
      bytesPerSecond: 0,
      secondsLeft: null,
    });
    await clock.advance(2000);
    expect(meter.at(1500, 2500)).toMatchObject({ bytesPerSecond: 500, secondsLeft: 2 });
  });
});

describe('the facts for the driver', () => {
  it('say how long it takes and what is lost meanwhile', () => {
    // Twice 299,000 bytes at 29.9 kB/s, and 5 s for each restart.
    expect(updateSeconds(planOf(''), vehicle, 'stage')).toBe(31);
    const install = { vehicle, phase: 'install', timeoutSeconds: 30 } as const;
    const facts = factsOf(planOf('fixes\r\nthe\tmap'), install);
    expect(facts).toMatchObject({ phase: 'install', forced: false, durationSeconds: 31 });
    expect(facts.unavailable).toEqual(['the EDT', 'the INV']);
    expect(facts.ecus[0]!.changes).toBe('fixes the map');
    expect(facts.purpose).toBe('New software for EDT, INV');
  });
});

describe('how long it takes', () => {
  const single = {
    ...vehicle,
    ecus: vehicle.ecus.map((ecu) =>
      ecu.name === 'INV'
        ? { ...ecu, programming: { ...ecu.programming, activation: 'reset' as const } }
        : ecu,
    ),
  };

  it('after the staging, only single banks are still to be written', () => {
    expect(updateSeconds(planOf(''), vehicle, 'activate')).toBe(10);
    expect(updateSeconds(planOf(''), single, 'activate')).toBe(21);
  });

  it('back, single banks are written once more', () => {
    expect(rollbackSeconds(planOf(''), vehicle)).toBe(10);
    expect(rollbackSeconds(planOf(''), single)).toBe(21);
  });

  it('is told by the phase, and a safety release is called by its name', () => {
    const plan = planOf('');
    const forced = { ...plan, items: plan.items.map((item) => ({ ...item, forced: true })) };
    const asked = { vehicle: single, timeoutSeconds: 30 };
    expect(factsOf(plan, { ...asked, phase: 'activate' }).durationSeconds).toBe(21);
    expect(factsOf(forced, { ...asked, phase: 'install', informOnly: true })).toMatchObject({
      forced: true,
      purpose: 'Safety update for EDT, INV',
    });
    expect(factsOf(plan, { ...asked, phase: 'install', informOnly: true }).informOnly).toBe(true);
    const mixed = { ...plan, items: [forced.items[0]!, plan.items[1]!] };
    expect(factsOf(mixed, { ...asked, phase: 'install' }).forced).toBe(false);
  });
});

describe('the lock on a folder', () => {
  async function folder(): Promise<string> {
    const made = await mkdtemp(path.join(tmpdir(), 'can-ota-lock-'));
    onTestFinished(() => rm(made, { recursive: true, force: true }));
    return made;
  }

  it('is held once, by whatever name, and free afterwards', async () => {
    const place = await folder();
    const other = `${place}-link`;
    await symlink(place, other);
    onTestFinished(() => rm(other));
    const lock = await lockFolder(place);
    await expect(lockFolder(other)).rejects.toThrow(FolderBusyError);
    await expect(lockFolder(place)).rejects.toMatchObject({
      pid: process.pid,
      message: expect.stringContaining(`process ${process.pid} works on this folder`),
    });
    await lock.release();
    await (await lockFolder(other)).release();
  });
});
