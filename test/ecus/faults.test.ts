// ECUs on a bad day: every fault of the command line, and what a tester sees of it.

import { describe, expect, it } from 'vitest';
import type { EcuFaults, WrongAnswer } from '../../ecus/bootloader/faults.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import {
  checkRequest,
  downloadRequest,
  EcuBench,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';

const image = imageOf(10_000);

async function downloading(bench: EcuBench): Promise<void> {
  await bench.prepare();
  await bench.sendMetadata(releaseOf(image, '2.0.0'));
  await bench.expect('3101FF00');
  await bench.expect(downloadRequest(image.length));
}

describe('an ECU', () => {
  it('whose programming fails says 72 at that block, and must be erased', async () => {
    const bench = await EcuBench.start({ faults: { failWriteAt: 4500 } });
    await downloading(bench);
    await bench.expect(concatBytes(Uint8Array.of(0x36, 1), image.subarray(0, 4000)));
    const second = concatBytes(Uint8Array.of(0x36, 2), image.subarray(4000, 8000));
    expect(await bench.ask(second)).toBe('7F3672');
    expect(await bench.ask(second)).toBe('7F3624');
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
    expect(await bench.text('F195')).toBe('1.0.0');
  });

  it('whose disk is full says 72', async () => {
    const bench = await EcuBench.start();
    await downloading(bench);
    bench.storage.failing = 'NO_SPACE';
    await bench.expect(concatBytes(Uint8Array.of(0x36, 1), image.subarray(0, 4093)));
    await bench.expect(concatBytes(Uint8Array.of(0x36, 2), image.subarray(4093, 8186)));
    await bench.expect(concatBytes(Uint8Array.of(0x36, 3), image.subarray(8186)));
    expect(await bench.ask('37')).toBe('7F3772');
    expect(await bench.ask('3101FF00')).toBe('7F3172');
    expect(await bench.ask('2EF15A01')).toBe('7F2E72');
    bench.storage.failing = undefined;
    await bench.program(image, '2.0.0');
  });

  it('that loses power is dead, and comes back with the old image', async () => {
    const bench = await EcuBench.start({ faults: { losePowerAfter: 5000 } });
    await downloading(bench);
    await bench.expect(concatBytes(Uint8Array.of(0x36, 1), image.subarray(0, 4093)));
    const second = concatBytes(Uint8Array.of(0x36, 2), image.subarray(4093, 8186));
    expect(await bench.ask(second)).toBe('silent');
    expect(await bench.ecu.stopped).toBe('power-lost');
    const operations = bench.storage.operations;
    expect(await bench.ask('3E00')).toBe('silent');
    await bench.clock.advance(100_000);
    await bench.ecu.close();
    expect(bench.storage.operations).toBe(operations);
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await again.text('F195')).toBe('1.0.0');
    await again.program(image, '2.0.0');
  });

  it('whose new image never comes up tries three times and falls back', async () => {
    const bench = await EcuBench.start({ faults: { refuseNewImage: true } });
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.expect('1101');
    expect(await bench.ask('3E00', { limitMs: 600 })).toBe('silent');
    await bench.clock.advance(1000);
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(bench.events.filter(({ kind }) => kind === 'boot-failed')).toHaveLength(3);
  });

  it('whose self test fails on trial cannot be confirmed, stores a code, and falls back', async () => {
    const bench = await EcuBench.start({ faults: { failSelfTest: true } });
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    await bench.prepare();
    expect(await bench.order('confirm')).toBe('7F3122');
    expect(await bench.ask('190201')).toBe('590209D1A10009');
    await bench.expectOrder('rollback');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    // What it has gone back to was never part of the campaign: there is nothing to confirm in its name.
    expect(await bench.order('confirm')).toBe('7F3131');
  });

  it('with other hardware says so and refuses the release', async () => {
    const bench = await EcuBench.start({ faults: { hardwareId: 'EDT-HW9' } });
    expect(await bench.text('F191')).toBe('EDT-HW9');
    await bench.prepare();
    expect(await bench.sendMetadata(releaseOf(image, '2.0.0'), false)).toBe('7F3772');
  });

  it('that is silent says nothing', async () => {
    const bench = await EcuBench.start({ faults: { silent: true } });
    expect(await bench.ask('3E00')).toBe('silent');
    expect(bench.ecu.running?.version).toBe('1.0.0');
    await bench.ecu.close();
    expect(bench.clock.pending()).toEqual([]);
  });

  it('that is slow keeps the tester waiting with 78', async () => {
    const bench = await EcuBench.start({ faults: { slowMs: 7000 } });
    expect(await bench.ask('22F186', { limitMs: 20_000 })).toBe('62F18601');
    expect(bench.sent).toEqual(['7F2278', '7F2278', '7F2278', '62F18601']);
    expect(bench.clock.nowMs()).toBeGreaterThanOrEqual(7000);
  });
});

describe('a fault that comes while the ECU runs', () => {
  it('a hang: so many answers more, then none until a reset, and only once', async () => {
    const faults: EcuFaults = {};
    const bench = await EcuBench.start({ faults });
    faults.stuckAfter = 2;
    expect(await bench.ask('3E00')).toBe('7E00');
    expect(await bench.ask('3E00')).toBe('7E00');
    expect(await bench.ask('3E00')).toBe('silent');
    expect(await bench.ask('1101')).toBe('silent');
    expect(bench.events.at(-1)).toEqual({ kind: 'fault', fault: 'stuck' });
    bench.ecu.reset('fault');
    await bench.clock.advance(1000);
    for (let request = 0; request < 5; request++) expect(await bench.ask('3E00')).toBe('7E00');
  });

  it('a reset loop: as often as was asked for, and then it stays up', async () => {
    const faults: EcuFaults = {};
    const bench = await EcuBench.start({ faults });
    faults.resetLoop = { times: 3, everyMs: 500 };
    await bench.clock.advance(5000);
    expect(bench.events.filter(({ kind }) => kind === 'reset')).toEqual([]); // nobody has asked it
    await bench.ask('3E00');
    await bench.clock.advance(60_000);
    expect(bench.events.filter(({ kind }) => kind === 'reset')).toEqual(
      Array(3).fill({ kind: 'reset', reason: 'fault' }),
    );
    expect(await bench.ask('3E00')).toBe('7E00');
    await bench.ecu.close();
    expect(bench.clock.pending()).toEqual([]);
  });

  it('a reset loop ends with the ECU', async () => {
    const bench = await EcuBench.start({ faults: { resetLoop: { times: 3, everyMs: 500 } } });
    await bench.ecu.close();
    expect(bench.clock.pending()).toEqual([]);
  });

  it.each<[WrongAnswer, RegExp]>([
    ['service', /^(?!62F186).+F18601$/],
    ['identifier', /^62F18701$/],
    ['garbage', /^(?!62)/],
  ])('wrong answers (%s): so many, then right ones', async (kind, wrong) => {
    const faults: EcuFaults = {};
    const bench = await EcuBench.start({ faults });
    faults.wrongAnswers = { count: 2, kind };
    expect(await bench.ask('22F186')).toMatch(wrong);
    expect(await bench.ask('22F186')).toMatch(wrong);
    expect(await bench.ask('22F186')).toBe('62F18601');
  });

  it('silence, and its end', async () => {
    const faults: EcuFaults = {};
    const bench = await EcuBench.start({ faults });
    faults.silent = true;
    expect(await bench.ask('3E00')).toBe('silent');
    faults.silent = false;
    expect(await bench.ask('3E00')).toBe('7E00');
  });
});

describe('a reset', () => {
  it('answers first, is silent while it boots, and forgets the session', async () => {
    const bench = await EcuBench.start();
    await bench.expect('1003');
    expect(await bench.ask('1101')).toBe('5101');
    expect(await bench.ask('3E00', { limitMs: 150 })).toBe('silent');
    await bench.clock.advance(60);
    expect(await bench.ask('22F186')).toBe('62F18601');
  });

  it('is done without an answer too', async () => {
    const bench = await EcuBench.start();
    expect(await bench.ask('1181', { limitMs: 10 })).toBe('silent');
    expect(bench.events.at(-1)).toEqual({ kind: 'reset', reason: 'request' });
  });

  it('that finds its disk gone stops the ECU and says why', async () => {
    const bench = await EcuBench.start();
    await bench.expect('1101');
    bench.storage.powerLost = true;
    await bench.clock.advance(1000);
    expect(await bench.ecu.stopped).toBe('failed');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'failed' });
    await bench.ecu.close();
  });
});

describe('close', () => {
  it('leaves no timer and no answer, whatever was going on', async () => {
    const bench = await EcuBench.start();
    await downloading(bench);
    await bench.ecu.close();
    expect(bench.clock.pending()).toEqual([]);
    expect(await bench.ask(checkRequest(image))).toBe('silent');
    expect(await bench.ecu.stopped).toBe('closed');
  });

  it('ends a boot that is under way', async () => {
    const bench = await EcuBench.start({ faults: { refuseNewImage: true } });
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.expect('1101');
    await bench.clock.advance(250);
    await bench.ecu.close();
    expect(bench.clock.pending()).toEqual([]);
  });
});
