// The small things that everything stands on.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bytesToUint,
  concatBytes,
  constantTimeEqual,
  equalBytes,
  fromHex,
  toHex,
  uintToBytes,
} from '../../src/core/bytes.ts';
import { sleep, systemClock } from '../../src/core/clock.ts';
import { describeError } from '../../src/core/errors.ts';
import { jitter } from '../../src/core/random.ts';
import { DiskStorage, StorageError } from '../../src/core/storage.ts';
import { formatBytes, formatDuration, formatRate } from '../../src/core/units.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

describe('bytes', () => {
  it('hex there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    expect(fromHex('7E 8f')).toEqual(Uint8Array.of(0x7e, 0x8f));
    for (const bad of ['1', 'zz', '0x12', '1 2 3']) expect(() => fromHex(bad)).toThrow(RangeError);
  });

  it('numbers there and back, and refused where they do not fit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.maxSafeNat(), (length, value) => {
        if (value >= 2 ** (8 * length))
          expect(() => uintToBytes(value, length)).toThrow(RangeError);
        else expect(bytesToUint(uintToBytes(value, length))).toBe(value);
      }),
    );
    expect(uintToBytes(0x0102, 3)).toEqual(Uint8Array.of(0, 1, 2));
    for (const bad of [-1, 1.5, Number.NaN]) expect(() => uintToBytes(bad, 2)).toThrow(RangeError);
    expect(() => bytesToUint(new Uint8Array(8).fill(255))).toThrow(RangeError);
  });

  it('comparison and concatenation', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const same = toHex(a) === toHex(b);
        expect(equalBytes(a, b)).toBe(same);
        expect(constantTimeEqual(a, b)).toBe(same);
        expect(toHex(concatBytes(a, b))).toBe(toHex(a) + toHex(b));
      }),
    );
  });
});

describe('clocks', () => {
  it('virtual: timers fire in order of time, then of creation; cancelled ones do not', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const at = (name: string, ms: number) =>
      clock.after(name, ms, () => fired.push(`${name}@${clock.nowMs()}`));
    at('b', 2);
    at('a', 1);
    at('c', 2);
    at('late', 99);
    at('gone', 1.5).cancel();
    expect(clock.pending()).toEqual(['a', 'b', 'c', 'late']);
    await clock.advance(10);
    expect(fired).toEqual(['a@1', 'b@2', 'c@2']);
    expect(clock.nowMs()).toBe(10);
  });

  it('virtual: within follows a chain of waits', async () => {
    const clock = new VirtualClock();
    const chain = (async () => {
      for (let index = 0; index < 3; index++) await sleep(clock, 'step', 100);
      return clock.nowMs();
    })();
    expect(await clock.within(1000, chain)).toBe(300);
  });

  it('system: never early, fractions of a millisecond included', async () => {
    for (const ms of [0.1, 0.5, 1, 1.7]) {
      const startMs = systemClock.nowMs();
      await sleep(systemClock, 'test', ms);
      expect(systemClock.nowMs() - startMs).toBeGreaterThanOrEqual(ms);
    }
  });

  it('a wait ends early when its signal aborts', async () => {
    const clock = new VirtualClock();
    const abort = new AbortController();
    const wait = sleep(clock, 'test', 1e9, abort.signal);
    abort.abort();
    expect(await wait).toBe('aborted');
    expect(clock.pending()).toEqual([]);
    expect(await sleep(clock, 'test', 1, abort.signal)).toBe('aborted');
  });
});

describe('files', () => {
  let folder: string;
  let storage: DiskStorage;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'storage-'));
    storage = await DiskStorage.open(path.join(folder, 'root'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are replaced whole, listed, moved and removed', async () => {
    expect(await storage.read('a/b.txt')).toBeUndefined();
    await storage.replace('a/b.txt', Uint8Array.of(1));
    await storage.replace('a/b.txt', Uint8Array.of(2, 3));
    expect(await storage.read('a/b.txt')).toEqual(Uint8Array.of(2, 3));
    expect(await storage.list('a')).toEqual(['b.txt']); // no temporary file stays
    await storage.rename('a/b.txt', 'a/c.txt');
    await storage.remove('a/c.txt');
    await storage.remove('a/c.txt');
    expect(await storage.list('a')).toEqual([]);
    expect(await storage.list('nowhere')).toEqual([]);
  });

  it('are read and written at positions', async () => {
    const file = await storage.open('bank.bin');
    await file.write(4, Uint8Array.of(5, 6));
    expect(await file.size()).toBe(6);
    expect(await file.read(3, 10)).toEqual(Uint8Array.of(0, 5, 6));
    await file.truncate(5);
    await file.sync();
    await file.close();
    expect(await readFile(path.join(folder, 'root/bank.bin'))).toHaveLength(5);
  });

  it('cannot leave their folder', async () => {
    await writeFile(path.join(folder, 'secret'), 'x');
    for (const name of ['../secret', '/etc/passwd', 'a/../../secret']) {
      await expect(storage.read(name)).rejects.toThrow(StorageError);
      await expect(storage.replace(name, Uint8Array.of(1))).rejects.toMatchObject({
        code: 'BAD_NAME',
      });
    }
  });

  it('errors name the file and what to do', async () => {
    await storage.replace('file', Uint8Array.of(1));
    const error = await storage.replace('file/below', Uint8Array.of(1)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StorageError);
    expect(describeError(error)).toContain('file/below: writing failed');
    const full = await DiskStorage.open('/dev/full/x').catch((e: unknown) => e);
    expect(describeError(full)).toContain('/dev/full/x: creating the folder failed');
  });
});

it('numbers for people', () => {
  expect([0, 1023, 1536, 16 * 1024 * 1024].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '16.0 MiB',
  ]);
  expect([5, 29_900, 1.5e6].map(formatRate)).toEqual(['5 B/s', '29.9 kB/s', '1.50 MB/s']);
  expect([850, 12_340, 245_000].map(formatDuration)).toEqual(['850 ms', '12.3 s', '4 min 05 s']);
});

it('jitter stays within its share', () => {
  const at = (fraction: number) =>
    jitter({ fraction: () => fraction, bytes: () => new Uint8Array() }, 100, 0.2);
  expect([at(0), at(0.5), at(0.999999)].map(Math.round)).toEqual([80, 100, 120]);
});
