// Any sequence of requests without authority, and hundreds of them: nothing of it lasts in an ECU.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import {
  CAMPAIGN,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  fileRequest,
} from '../support/ecu-bench.ts';
import { image, onTrial, repeat, writes } from './durable-effects-support.ts';

describe('the flash is written', () => {
  it('at most once by 1000 version reports, and by none of the next life after a reset', async () => {
    const bench = await EcuBench.start();
    expect(await writes(bench, () => repeat(1000, () => bench.expect('22FD22')))).toBe(1);
    await bench.reset();
    expect(await writes(bench, () => repeat(100, () => bench.expect('22FD22')))).toBe(0);
    const reports = await writes(bench, () =>
      repeat(50, async () => {
        await bench.expect('22FD22');
        await bench.reset();
      }),
    );
    expect(reports).toBe(0);
    expect(JSON.parse(await bench.text('FD22')).signed.counter).toBe(1151);
  });

  it('at most once by reports that are asked for many in one frame, to all ECUs', async () => {
    const bench = await EcuBench.start();
    const many = `22${'FD22'.repeat(3)}`;
    const ask = () => bench.ask(many, { functional: true });
    expect(await writes(bench, () => repeat(300, ask))).toBeLessThanOrEqual(1);
    expect(await ask()).toMatch(/^62FD22/);
  });

  it('never by resets during a trial, which goes on', async () => {
    const bench = await onTrial();
    const resets = async () => {
      for (let count = 0; count < 200; count++) {
        await bench.ask('1101');
        await bench.clock.advance(count % 3 === 0 ? 2000 : 300);
      }
    };
    expect(await writes(bench, resets)).toBe(0);
    expect(bench.events.filter(({ kind }) => kind === 'reset').length).toBeGreaterThan(5);
    await bench.clock.advance(11_000);
    expect(await bench.ask('22FD00')).toBe('62FD000101020002');
    expect(await bench.order('confirm')).toBe('7101021100');
  });
});

describe('with the key of SecurityAccess and no other one', () => {
  const orders = (digest: string) => [
    ...[`31010210${CAMPAIGN}${digest}`, `31010211${CAMPAIGN}${'00'.repeat(16)}`],
    ...[`31010212${CAMPAIGN}00`, `31010212${CAMPAIGN}01`, `31010213${CAMPAIGN}${'00'.repeat(16)}`],
  ];
  const plain = (digest: string): readonly (string | Uint8Array)[] => [
    ...['1001', '1002', '1003', '1101', '1103', '14FFFFFF', '1902FF', '22FD00FD22', '22FD24'],
    ...['2701', '280301', '8502', '3E00', '31010203', '3101FF01', '31010202', '31030211'],
    ...orders(digest),
    ...['31010210', '31010211', '31010212', '31010213', '3101021201', '31010220', '31010221'],
    ...[`2EF190${'41'.repeat(17)}`, '2EF18C4142', `2EFD13${'40'.repeat(32)}`, '2EFD3128'],
    ...[`2EFD14${'40'.repeat(16)}`, `2EFD15${'40'.repeat(32)}`, `2EFD16${'40'.repeat(32)}`],
    ...[`2EFD17${'40'.repeat(32)}`, `2EFD23${'00'.repeat(7)}01`, '2FFD310328', '2EF15A0102'],
    ...['3601AABB', '37', '23440800000000000010', '3500440800000000000010', 'BA01'],
    fileRequest('metadata.json', 40),
    fileRequest('director.root.json', 40),
    downloadRequest(500),
    checkRequest(image),
    ...orders(digest).map((inner) =>
      concatBytes(fromHex('8400690100100001'), fromHex(inner), new Uint8Array(16)),
    ),
  ];
  const digest = toHex(digestOf(image));
  const requests = plain(digest);

  /** What decides what runs, and what cannot be taken back. */
  const decided = (bench: EcuBench) => ({
    record: toHex(bench.storage.contents('boot-record')!),
    identity: toHex(bench.storage.contents('identity')!),
    counter: counterOf(bench),
  });
  const counterOf = (bench: EcuBench): number => {
    const file = bench.storage.contents('counters');
    return file === undefined
      ? 0
      : JSON.parse(Buffer.from(file).toString().split('\n')[0]!).security;
  };

  it.each(['on trial', 'confirmed', 'waiting for its activation'])(
    'no sequence of plain requests changes what an ECU runs that is %s',
    async (state) => {
      const bench = await EcuBench.start();
      await bench.program(image, '2.0.0', 'EDT', 5);
      if (state !== 'waiting for its activation') {
        await bench.expectOrder('activate');
        await bench.reset();
      }
      if (state === 'confirmed') await bench.expectOrder('confirm');
      const disk = bench.storage.afterPowerCut();
      // 3101FF00 may erase the waiting image: worth nothing without an order. It is not in the list.
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(fc.constant('unlock' as const), fc.nat(requests.length - 1)), {
            minLength: 5,
            maxLength: 25,
          }),
          async (sequence) => {
            const victim = await EcuBench.start({ storage: disk.afterPowerCut() });
            // A start counts a trial boot, which is the supply's doing and not the tester's.
            const before = decided(victim);
            await victim.prepare().catch(() => {});
            for (const step of sequence) {
              if (step === 'unlock') {
                await victim.prepare().catch(() => victim.clock.advance(10_001));
                continue;
              }
              const request = requests[step]!;
              await victim.ask(request, { limitMs: 20 });
              if (/^11/.test(String(request))) await victim.clock.advance(2000);
            }
            expect(decided(victim)).toEqual(before);
            await victim.ecu.close();
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});
