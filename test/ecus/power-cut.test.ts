// The power is cut at every operation on the disk of a whole update: the ECU always boots a verified image.

import { describe, expect, it } from 'vitest';
import { builtInFactoryImage } from '../../ecus/bootloader/factory-image.ts';
import { toHex } from '../../src/core/bytes.ts';
import { digestOf, EcuBench, imageOf, seededRandom } from '../support/ecu-bench.ts';
import { FaultStorage, type UnsyncedFate } from '../support/fault-storage.ts';

const image = imageOf(9000);
const versions: Readonly<Record<string, string>> = {
  '1.0.0': toHex(digestOf(builtInFactoryImage('EDT').image)).toUpperCase(),
  '2.0.0': toHex(digestOf(image)).toUpperCase(),
};

/** Factory start, download, trial, confirmation; ends early when the power is gone. True: it was confirmed. */
async function wholeUpdate(storage: FaultStorage): Promise<{ confirmed: boolean }> {
  let confirmed = false;
  try {
    const bench = await EcuBench.start({ storage });
    await bench.program(image, '2.0.0');
    await bench.expect('31010210');
    await bench.reset();
    await bench.prepare();
    await bench.expect('31010211');
    confirmed = true;
    await bench.expect('2EF15A0102');
  } catch (error) {
    if (!storage.powerLost) throw error;
  }
  return { confirmed };
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
    expect(operations).toBeGreaterThan(15);
    for (let at = 1; at <= operations; at++) {
      for (const when of ['before', 'after'] as const) {
        const storage = new FaultStorage();
        storage.cut = { at, when };
        const { confirmed } = await wholeUpdate(storage);
        expect(storage.powerLost).toBe(true);
        // However often it starts, it runs a whole image, or the old one once the trial is used up.
        let disk = storage.afterPowerCut(fateOf(at));
        for (let start = 1; start <= 5; start++) {
          const bench = await EcuBench.start({ storage: disk });
          const version = await bench.text('F195');
          expect(Object.keys(versions), `cut ${when} ${at}`).toContain(version);
          expect(await bench.ask('22FD01')).toBe(`62FD01${versions[version]}`);
          if (confirmed) expect(version).toBe('2.0.0');
          disk = disk.afterPowerCut();
          if (start < 5) continue;
          // And it can be updated now.
          const next = imageOf(3000, at);
          await bench.program(next, '3.0.0');
          await bench.expect('31010210');
          await bench.reset();
          expect(await bench.text('F195')).toBe('3.0.0');
          expect(await bench.ask('22FD01')).toBe(`62FD01${toHex(digestOf(next)).toUpperCase()}`);
        }
      }
    }
  });
});
