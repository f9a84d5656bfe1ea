// The power is cut at every operation on the disk of a whole update: the ECU always boots a verified image.

import { describe, expect, it } from 'vitest';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';
import { toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import {
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';
import { FaultStorage, type UnsyncedFate } from '../support/fault-storage.ts';

const image = imageOf(9000);
const versions: Readonly<Record<string, string>> = {
  '1.0.0': toHex(digestOf(builtInFactoryImage('EDT').image)).toUpperCase(),
  '2.0.0': toHex(digestOf(image)).toUpperCase(),
};

/** Security counter of the update. */
const COUNTER = 7;

/** What the tester knows when the power is gone. */
interface Seen {
  confirmed: boolean;
  committed: boolean;
  /** Counter of the last version report that came. */
  report: number;
  /** Versions that the ECU trusted when it said so. */
  targets: number;
}

async function reportCounter(bench: EcuBench): Promise<number> {
  return JSON.parse(await bench.text('FD22')).signed.counter;
}

/** Factory start with provisioning, metadata, download, trial, confirmation; ends early when the power is gone. */
async function wholeUpdate(storage: FaultStorage): Promise<Seen> {
  const seen: Seen = { confirmed: false, committed: false, report: 0, targets: 0 };
  try {
    const bench = await EcuBench.start({ storage });
    seen.report = await reportCounter(bench);
    await bench.program(image, '2.0.0', 'EDT', COUNTER);
    seen.targets = (await bench.trustState()).director.targets!;
    await bench.expectOrder('activate');
    await bench.reset();
    seen.report = await reportCounter(bench);
    await bench.prepare();
    await bench.expectOrder('confirm');
    seen.confirmed = true;
    await bench.expectOrder('commit');
    seen.committed = true;
    await bench.expect('2EF15A0102');
  } catch (error) {
    if (!storage.powerLost) throw error;
  }
  return seen;
}

/** The ECU as it is after any cut: provisioned, with nothing forgotten, and no older image once one was confirmed. */
async function checkTrust(bench: EcuBench, seen: Seen, version: string): Promise<void> {
  expect(await bench.ask('22FD11')).toBe('62FD1102');
  expect(await reportCounter(bench)).toBeGreaterThan(seen.report);
  const { director } = await bench.trustState();
  expect(director.targets ?? 0).toBeGreaterThanOrEqual(seen.targets);
  if (!seen.committed) {
    // Whatever was confirmed, no counter has closed the way back to 1.0.0 without its own order.
    expect(bench.events.some(({ kind }) => kind === 'boot-refused')).toBe(false);
    return;
  }
  expect(version).toBe('2.0.0');
  await bench.prepare();
  expect(await bench.order('rollback-confirmed')).toBe('7F3122');
  const older = { ...releaseOf(imageOf(10), '1.9.0'), counter: COUNTER - 1 };
  expect(await bench.sendMetadata(older, false)).toBe('7F3772');
}

describe('a power cut at every operation of an update', () => {
  const fates: readonly (readonly [string, (seed: number) => UnsyncedFate])[] = [
    ['loses what was not synced', () => 'lost'],
    ['keeps what was not synced', () => 'kept'],
    [
      'tears what was not synced',
      (seed) => {
        const random = seededRandom(seed);
        return { keep: () => random.fraction() < 0.5 };
      },
    ],
  ];

  it.each(fates)('that %s', async (_name, fateOf) => {
    const rehearsal = new FaultStorage();
    await wholeUpdate(rehearsal);
    const { operations } = rehearsal;
    expect(operations).toBeGreaterThan(25);
    for (let at = 1; at <= operations; at++) {
      for (const when of ['before', 'after'] as const) {
        const storage = new FaultStorage();
        storage.cut = { at, when };
        const seen = await wholeUpdate(storage);
        expect(storage.powerLost).toBe(true);
        // However often it starts, it runs a whole image, or the old one once the trial is used up.
        let disk = storage.afterPowerCut(fateOf(at));
        for (let start = 1; start <= 5; start++) {
          const bench = await EcuBench.start({ storage: disk });
          const version = await bench.text('F195');
          expect(Object.keys(versions), `cut ${when} ${at}`).toContain(version);
          expect(await bench.ask('22FD01')).toBe(`62FD01${versions[version]}`);
          if (seen.confirmed) expect(version).toBe('2.0.0');
          if (start === 1) await checkTrust(bench, seen, version);
          disk = bench.storage.afterPowerCut();
          if (start < 5) continue;
          // And it can be updated now.
          const next = imageOf(3000, at);
          await bench.program(next, '3.0.0', 'EDT', COUNTER + 1);
          await bench.expectOrder('activate');
          await bench.reset();
          expect(await bench.text('F195')).toBe('3.0.0');
          expect(await bench.ask('22FD01')).toBe(`62FD01${toHex(digestOf(next)).toUpperCase()}`);
        }
      }
    }
  });
});

/** Cuts a run at every operation on its disk, before and after; `check` gets the disk and what the run had seen. */
async function atEveryCut<Result>(
  run: (storage: FaultStorage) => Promise<Result>,
  check: (disk: FaultStorage, seen: Result, where: string) => Promise<void>,
  fresh: () => FaultStorage = () => new FaultStorage(),
): Promise<void> {
  const rehearsal = fresh();
  await run(rehearsal);
  for (let at = 1; at <= rehearsal.operations; at++) {
    for (const when of ['before', 'after'] as const) {
      const storage = fresh();
      storage.cut = { at, when };
      const seen = await run(storage);
      expect(storage.powerLost).toBe(true);
      await check(storage.afterPowerCut(), seen, `${when} ${at}`);
    }
  }
}

describe('a power cut at every operation of provisioning', () => {
  const virgin = { options: { benchKeys: false } };
  const steps = async (bench: EcuBench): Promise<void> => {
    const { directorRoot, imagesRoot } = benchWorld();
    await bench.expect('1003');
    await bench.expect('2EF18C434F2D303031');
    await bench.expect(`2EFD13${'11'.repeat(32)}`);
    await bench.expect(`2EFD16${'22'.repeat(32)}`);
    await bench.expect('31010220');
    expect(await bench.sendFile('director.root.json', directorRoot)).toBe('77');
    expect(await bench.sendFile('images.root.json', imagesRoot)).toBe('77');
    await bench.expect('31010221');
  };

  it('leaves an ECU that is locked, or one with which the factory can begin again', async () => {
    await atEveryCut(
      async (storage) => {
        const seen = { id: '', locked: false };
        try {
          const bench = await EcuBench.start({ storage, ...virgin });
          seen.id = await bench.expect('22FD10');
          await steps(bench);
          seen.locked = true;
        } catch (error) {
          if (!storage.powerLost) throw error;
        }
        return seen;
      },
      async (disk, seen, where) => {
        const bench = await EcuBench.start({ storage: disk, ...virgin });
        expect(await bench.text('F195'), where).toBe('1.0.0');
        if (seen.id !== '') expect(await bench.expect('22FD10')).toBe(seen.id);
        const state = await bench.expect('22FD11');
        if (seen.locked) expect(state).toBe('62FD1102');
        if (state !== '62FD1102') await steps(bench);
        expect(await bench.ask('22FD11')).toBe('62FD1102');
        expect(await bench.text('F18C')).toBe('CO-001');
        await bench.reset();
        expect(await bench.text('F195')).toBe('1.0.0');
      },
    );
  });
});

describe('a power cut at every operation of a single bank', () => {
  const factory = builtInFactoryImage('ONE').image;
  const next = imageOf(3000, 2);

  it('leaves the old image, the new one, or a bootloader that takes either', async () => {
    await atEveryCut(
      async (storage) => {
        try {
          const bench = await EcuBench.start({ name: 'ONE', storage });
          await bench.program(image, '2.0.0', 'ONE', 1);
          await bench.reset();
          await bench.program(next, '3.0.0', 'ONE', 2);
          await bench.reset();
          await bench.expectOrder('activate');
          await bench.expectOrder('confirm');
          await bench.expectOrder('commit');
        } catch (error) {
          if (!storage.powerLost) throw error;
        }
      },
      async (disk, _seen, where) => {
        const bench = await EcuBench.start({ name: 'ONE', storage: disk });
        const version = await bench.text('F195');
        expect(['1.0.0', '2.0.0', '3.0.0', 'none'], where).toContain(version);
        if (version === 'none') {
          // The way back without metadata: to one of the two images that were there before.
          await bench.prepare('ONE');
          await bench.expect('3101FF00');
          const accepted = [];
          for (const each of [factory, image]) {
            const answer = await bench.ask(downloadRequest(each.length));
            if (!answer.startsWith('74')) continue;
            await bench.sendBlocks(each);
            await bench.expect('37');
            accepted.push(await bench.ask(checkRequest(each)));
          }
          expect(accepted).toEqual(['7101020200']);
          await bench.reset();
          expect(['1.0.0', '2.0.0']).toContain(await bench.text('F195'));
        }
        await bench.program(next, '3.0.0', 'ONE', 2);
        await bench.reset();
        expect(await bench.text('F195')).toBe('3.0.0');
      },
    );
  });
});
