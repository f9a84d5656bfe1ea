// A download that is cut at any operation of the disk goes on behind what is durable.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { checkRequest, digestOf, EcuBench, imageOf } from '../support/ecu-bench.ts';
import type { FaultStorage, UnsyncedFate } from '../support/fault-storage.ts';
import {
  begin,
  bring,
  encrypted,
  fd03,
  image,
  type Load,
  options,
  plain,
} from './resume-support.ts';

describe('the way back of a single bank', () => {
  it('leads to the same image after a power cut at every operation of it', async () => {
    const before = imageOf(6000, 3);
    const first = await EcuBench.start({ name: 'ONE', options });
    await first.program(before, '1.5.0', 'ONE', 1);
    await first.reset();
    await first.program(image, '2.0.0', 'ONE', 2);
    await first.reset();
    const goBack = async (storage: FaultStorage): Promise<EcuBench | undefined> => {
      try {
        const bench = await EcuBench.start({ name: 'ONE', storage, options });
        if ((await bench.text('F195')) === '1.5.0') return bench;
        await bench.prepare('ONE');
        await bench.transfer(before, 1000);
        expect(await bench.ask(checkRequest(before))).toBe('7101020200');
        await bench.reset();
        return bench;
      } catch (error) {
        if (!storage.powerLost) throw error;
        return undefined;
      }
    };
    const rehearsal = first.storage.afterPowerCut();
    await goBack(rehearsal);
    expect(rehearsal.operations).toBeGreaterThan(8);
    for (let at = 1; at <= rehearsal.operations; at++) {
      const storage = first.storage.afterPowerCut();
      storage.cut = { at, when: 'after' };
      expect(await goBack(storage)).toBeUndefined();
      const bench = (await goBack(storage.afterPowerCut()))!;
      expect(await bench.text('F195'), `cut after ${at}`).toBe('1.5.0');
      expect(await bench.ask('22FD01')).toBe(`62FD01${toHex(digestOf(before)).toUpperCase()}`);
    }
  });
});

describe('a power cut at every operation of a resumed transfer', () => {
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

  /** Interrupted once by a cut of the supply, then finished and checked; ends early when the disk is dead. */
  async function resumed(storage: FaultStorage, load: Load): Promise<void> {
    try {
      const bench = await EcuBench.start({ storage, options });
      expect(await bring(bench, load)).toBeGreaterThan(0);
      await bench.expectOrder('activate');
      await bench.reset();
    } catch (error) {
      if (!storage.powerLost) throw error;
    }
  }

  it.each(
    fates.flatMap(([name, fate]) => [
      ['plain', name, plain, fate] as const,
      ['encrypted', name, encrypted, fate] as const,
    ]),
  )('of a %s image that %s', async (_form, _name, load, fateOf) => {
    const first = await EcuBench.start({ options });
    await begin(first, load, 9000);
    const fresh = (): FaultStorage => first.storage.afterPowerCut();
    const rehearsal = fresh();
    await resumed(rehearsal, load);
    let resumptions = 0;
    expect(rehearsal.operations).toBeGreaterThan(12);
    for (let at = 1; at <= rehearsal.operations; at++) {
      for (const when of ['before', 'after'] as const) {
        const storage = fresh();
        storage.cut = { at, when };
        await resumed(storage, load);
        expect(storage.powerLost).toBe(true);
        const bench = await EcuBench.start({ storage: storage.afterPowerCut(fateOf(at)), options });
        const version = await bench.text('F195');
        expect(['1.0.0', '2.0.0'], `cut ${when} ${at}`).toContain(version);
        // A bank that counts as valid has the bytes that were signed.
        const digest = await bench.ask('22FD02');
        if (digest !== '7F2231' && version === '1.0.0') {
          expect(digest).toBe(`62FD02${toHex(digestOf(image)).toUpperCase()}`);
        }
        if (version === '2.0.0') continue;
        if ((await fd03(bench)) !== undefined) resumptions++;
        await bring(bench, load);
        expect(bench.storage.contents('bank-b.bin')).toEqual(image);
        await bench.expectOrder('activate');
        await bench.reset();
        expect(await bench.text('F195')).toBe('2.0.0');
      }
    }
    expect(resumptions).toBeGreaterThan(5);
  });
});
