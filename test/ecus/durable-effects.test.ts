// What somebody without authority can do to an ECU for good: nothing, and no wear of its flash either.

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
  imageOf,
} from '../support/ecu-bench.ts';

const image = imageOf(500);

/** Writes to the flash while `act` runs. */
async function writes(bench: EcuBench, act: () => Promise<unknown>): Promise<number> {
  const before = bench.storage.operations;
  await act();
  return bench.storage.operations - before;
}

async function repeat(times: number, act: () => Promise<unknown>): Promise<void> {
  for (let count = 0; count < times; count++) await act();
}

async function onTrial(): Promise<EcuBench> {
  const bench = await EcuBench.start();
  await bench.program(image, '2.0.0', 'EDT', 5);
  await bench.expectOrder('activate');
  await bench.reset();
  expect(await bench.ask('22FD00')).toBe('62FD000101020002');
  return bench;
}

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

  it('never by clearing trouble codes where there are none', async () => {
    const bench = await EcuBench.start();
    expect(await writes(bench, () => bench.expect('14FFFFFF'))).toBeGreaterThan(0);
    for (const functional of [false, true]) {
      const clear = () => bench.ask('14FFFFFF', { functional });
      expect(await writes(bench, () => repeat(500, clear))).toBe(0);
    }
    expect(await writes(bench, () => repeat(100, () => bench.ask('14934200')))).toBe(0);
  });

  it('a few times by 27 wrong keys', async () => {
    const bench = await EcuBench.start();
    await bench.expect('1003');
    const wrong = `2702${'11'.repeat(16)}`;
    const attempts = () =>
      repeat(27, async () => {
        if ((await bench.ask('2701')).startsWith('6701')) await bench.ask(wrong);
        else await bench.clock.advance(10_001);
        await bench.ask('1003');
      });
    expect(await writes(bench, attempts)).toBeLessThanOrEqual(3);
    // Resets in between are no way around it.
    const withResets = () =>
      repeat(9, async () => {
        await bench.reset();
        await bench.clock.advance(10_001);
        await bench.ask('1003');
        if ((await bench.ask('2701')).startsWith('6701')) await bench.ask(wrong);
      });
    expect(await writes(bench, withResets)).toBeLessThanOrEqual(1);
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

  it('never by challenges, nonces, questions and refused orders', async () => {
    const bench = await onTrial();
    await bench.expect('22FD22');
    await bench.prepare();
    const requests = [
      ...['22FD24', '22FD21', '22FD20', '22FD25', '22FD00', '22FD01', '31030211', '1902FF'],
      ...['31010210', '31010211', '31010212', '31010213', `2EFD23${'00'.repeat(7)}01`],
      ...[`2EFD16${'40'.repeat(32)}`, `2EF190${'41'.repeat(17)}`, '2EFD3128', '8400690100100001'],
      ...['1003', '1002', '2701', '3E00', '8502', '280301'],
    ];
    const all = async () => {
      for (const request of requests) await bench.ask(request);
    };
    expect(await writes(bench, () => repeat(20, all))).toBe(0);
  });
});

describe('a trial', () => {
  it('outlives the resets of anybody and none of its crashes', async () => {
    const bench = await onTrial();
    const versions: string[] = [];
    for (const crash of [false, false, false, true, false, true, false, true]) {
      if (crash) await bench.crash();
      else await bench.reset();
      versions.push(await bench.text('F195'));
    }
    expect(versions).toEqual([...Array.from({ length: 7 }, () => '2.0.0'), '1.0.0']);
  });

  it('is restarted by the TMU whenever it wants, by nobody else all the time', async () => {
    const bench = await onTrial();
    expect(await bench.ask('1101')).toBe('7F1122'); // 5 s after the restart that was asked for
    await bench.clock.advance(6000);
    expect(await bench.ask('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.ask('1101')).toBe('7F1122');
    expect(await bench.ask('1103')).toBe('7F1122');
    expect(await bench.secured('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.secured('1101')).toBe('5101');
    await bench.clock.advance(1000);
    expect(await bench.order('confirm')).toBe('7101021100');
    expect(await bench.ask('1101')).toBe('5101'); // nothing is on trial any more
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
    { timeout: 60_000 },
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
