// One ECU from the factory through updates: identification, download, trial, confirmation, fall-back.

import { describe, expect, it } from 'vitest';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';
import { toHex } from '../../src/core/bytes.ts';
import {
  CAMPAIGN,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';

const image = imageOf(10_000);
const digest = toHex(digestOf(image)).toUpperCase();

describe('a new ECU', () => {
  it('runs the factory image and says who it is', async () => {
    const bench = await EcuBench.start();
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(await bench.text('F189')).toBe('1.0.0');
    expect(await bench.text('F187')).toBe('CO-EDT-0007');
    expect(await bench.text('F18A')).toBe('CAN-OTA');
    expect(await bench.text('F18C')).toBe('BENCH-EDT');
    expect(await bench.text('F190')).toBe('WVWZZZ1JZXW000001');
    expect(await bench.text('F191')).toBe('EDT-HW1');
    expect(await bench.ask('22F186')).toBe('62F18601');
    // Never programmed: no fingerprint. Nothing staged: no digest of the inactive bank.
    expect(await bench.ask('22F15A')).toBe('7F2231');
    expect(await bench.ask('22FD02')).toBe('7F2231');
    expect(await bench.ask('22FD00')).toBe('62FD000000000000');
    const factory = builtInFactoryImage('EDT').image;
    expect(factory.length).toBe(4096);
    expect(await bench.ask('22FD01')).toBe(`62FD01${toHex(digestOf(factory)).toUpperCase()}`);
    expect(bench.storage.contents('bank-a.bin')).toEqual(factory);
  });

  it('keeps its serial number, and takes a given factory image', async () => {
    const first = await EcuBench.start({
      options: { factoryImage: { image, version: '3.1.4' } },
    });
    const serial = await first.text('F18C');
    expect(await first.text('F195')).toBe('3.1.4');
    const again = await EcuBench.start({ storage: first.storage.afterPowerCut() });
    expect(await again.text('F18C')).toBe(serial);
    expect(await again.text('F195')).toBe('3.1.4');
  });

  it('answers what it knows of several identifiers', async () => {
    const bench = await EcuBench.start();
    expect(await bench.ask('22F186FFFFF191')).toBe(
      `62F18601F191${Buffer.from('EDT-HW1').toString('hex').toUpperCase()}`,
    );
  });
});

describe('an update', () => {
  it('is downloaded, tried, confirmed, and reads back its hash', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    expect(await bench.ask('3101FF01')).toBe('7101FF0100');
    expect(await bench.ask('22FD00')).toBe('62FD000000020000');
    expect(await bench.ask('22FD02')).toBe(`62FD02${digest}`);
    expect(await bench.text('F195')).toBe('1.0.0'); // still running the old one
    expect(await bench.ask(await bench.orderOf('activate'))).toBe('7F3138'); // by an open level alone
    expect(await bench.ask('22FD00')).toBe('62FD000000020000');
    expect(await bench.order('activate')).toBe('7101021000');
    expect(await bench.ask('22FD00')).toBe('62FD000000020100');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    expect(await bench.ask('22FD00')).toBe('62FD000101020002');
    expect(await bench.ask('22FD01')).toBe(`62FD01${digest}`);
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
    // Neither another session nor SecurityAccess: the orders carry their authority with them.
    expect(await bench.order('confirm')).toBe('7101021100');
    expect(await bench.order('confirm')).toBe('7101021100'); // again: nothing to do
    expect(await bench.ask('22FD00')).toBe('62FD000100020000');
    await bench.clock.advance(3_600_000);
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    // The next one goes to the other bank.
    await bench.program(imageOf(20_000, 9), '3.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('3.0.0');
    expect(bench.storage.contents('bank-a.bin')).toEqual(imageOf(20_000, 9));
  });

  it('that nobody confirms falls back after three boots', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    for (const version of ['2.0.0', '2.0.0', '2.0.0', '1.0.0', '1.0.0']) {
      expect(await bench.text('F195')).toBe(version);
      await bench.crash();
    }
    expect(bench.events.at(-1)).toMatchObject({ kind: 'boot', mode: 'confirmed', bank: 'A' });
  });

  it('that nobody confirms falls back after ten minutes, power cuts or not', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    await bench.clock.advance(590_000);
    expect(await bench.text('F195')).toBe('2.0.0');
    await bench.clock.advance(11_000);
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(bench.events).toContainEqual({ kind: 'reset', reason: 'trial-expired' });
  });

  it('on trial is rolled back on request', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    await bench.prepare();
    expect(await bench.order('rollback')).toBe('7101021200');
    expect(await bench.order('rollback')).toBe('7101021200');
    expect(await bench.order('confirm')).toBe('7F3122'); // too late to confirm
    expect(await bench.ask('3101FF00')).toBe('7F3122'); // nor may the way back be erased
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(await bench.ask('22FD00')).toBe('62FD000000020000');
  });

  it('that is staged only is forgotten by a rollback; one that was never staged stays as it is', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    expect(await bench.order('rollback')).toBe('7101021200');
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
    expect(await bench.order('rollback')).toBe('7101021200');
    expect(await bench.order('activate', { sha256: digest })).toBe('7F3122');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
  });

  it('that was confirmed is taken back only when that is asked for', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    await bench.prepare();
    await bench.expectOrder('confirm');
    expect(await bench.order('rollback')).toBe('7101021200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    expect(await bench.secured(`31010212${CAMPAIGN}02`)).toBe('7F3113');
    expect(await bench.secured(`31010212${CAMPAIGN}0101`)).toBe('7F3113');
    expect(await bench.secured(`31010212${CAMPAIGN}`)).toBe('7F3113');
    expect(await bench.order('rollback-confirmed')).toBe('7101021200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    await bench.prepare();
    // The way forward is not a way back.
    expect(await bench.order('rollback-confirmed')).toBe('7F3122');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
  });

  it('from a plain tool without metadata is refused before anything is erased', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    expect(await bench.ask('3101FF00')).toBe('7F3122');
    expect(await bench.ask(downloadRequest(image.length))).toBe('7F3422');
    expect(await bench.ask('22FD00')).toBe('62FD000000000000');
  });

  it('repeats the last block without writing it twice, and counts on after FF', async () => {
    const bench = await EcuBench.start();
    const small = imageOf(600, 3);
    await bench.prepare();
    await bench.sendMetadata(releaseOf(small, '2.0.0'));
    await bench.expect('3101FF00');
    await bench.expect(downloadRequest(small.length));
    for (let at = 0; at < small.length; at += 2) {
      const counter = (at / 2 + 1) & 0xff;
      const block = Uint8Array.of(0x36, counter, small[at]!, small[at + 1]!);
      const answer = `76${toHex(Uint8Array.of(counter)).toUpperCase()}`;
      expect(await bench.ask(block)).toBe(answer);
      if (at % 7 === 0 || counter === 0 || counter === 0xff) {
        expect(await bench.ask(block)).toBe(answer);
      }
    }
    await bench.expect('37');
    expect(await bench.ask(checkRequest(small))).toBe('7101020200');
    expect(bench.storage.contents('bank-b.bin')).toEqual(small);
  });

  it('fills a bank to its last byte', async () => {
    const bench = await EcuBench.start();
    const full = imageOf(64 * 1024, 5);
    await bench.program(full, '9.9.9');
    expect(await bench.ask('22FD02')).toBe(`62FD02${toHex(digestOf(full)).toUpperCase()}`);
  });

  it('with another hash than signed is not valid, whatever the tester says at the end', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    await bench.sendMetadata(releaseOf(imageOf(10_000, 8), '2.0.0'));
    await bench.transfer(image);
    expect(await bench.ask(checkRequest(image))).toBe('7101020201');
    expect(await bench.ask('31010202')).toBe('7101020201');
    expect(await bench.ask('31030202')).toBe('7103020201');
    for (const sha256 of [digest, toHex(digestOf(imageOf(10_000, 8)))]) {
      expect(await bench.order('activate', { sha256 })).toBe('7F3122');
    }
    expect(await bench.ask('3101FF01')).toBe('7101FF0101');
    expect(bench.events).toContainEqual(
      expect.objectContaining({ kind: 'image-refused', code: 'IMAGE_MISMATCH' }),
    );
    // The right image, but the tester thinks of another one.
    await bench.transfer(imageOf(10_000, 8));
    expect(await bench.ask(checkRequest(image))).toBe('7101020201');
    expect(await bench.ask('31010202')).toBe('7101020200');
  });
});

describe('a damaged bank', () => {
  it('on trial: falls back', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    bench.storage.corrupt('bank-b.bin', 5000);
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
  });

  it('confirmed: falls back to the previous one, and without one stays in the bootloader', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    await bench.prepare();
    await bench.expectOrder('confirm');
    bench.storage.corrupt('bank-b.bin', 0);
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    bench.storage.corrupt('bank-a.bin', 0);
    await bench.reset();
    expect(await bench.text('F195')).toBe('none');
    expect(await bench.ask('22FD00')).toBe('62FD000002010000');
    expect(await bench.ask('22FD01')).toBe('7F2231');
    expect(await bench.ask('22FD30')).toBe('7F2231');
    // The bootloader alone can still be programmed.
    await bench.program(image, '2.0.1');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.1');
    await bench.prepare();
    await bench.expectOrder('confirm');
  });

  it('boot record: bootloader only, nothing is trusted', async () => {
    const first = await EcuBench.start();
    first.storage.corrupt('boot-record', 20);
    const bench = await EcuBench.start({ storage: first.storage.afterPowerCut() });
    expect(await bench.text('F195')).toBe('none');
    await bench.program(image, '2.0.0');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('non-volatile data: made anew, and wrong keys count as used up', async () => {
    const first = await EcuBench.start();
    first.storage.corrupt('nv', 20);
    const bench = await EcuBench.start({ storage: first.storage.afterPowerCut() });
    expect(await bench.text('F195')).toBe('1.0.0');
    await bench.expect('1003');
    expect(await bench.ask('2701')).toBe('7F2737');
  });
});

describe('an ECU with a single bank', () => {
  it('is overwritten, and runs the new image after the reset', async () => {
    const bench = await EcuBench.start({ name: 'ONE' });
    await bench.program(image, '2.0.0', 'ONE');
    expect(await bench.order('activate')).toBe('7101021000'); // it belongs to the campaign from now on
    expect(await bench.order('rollback')).toBe('7F3131');
    expect(await bench.ask('22FD02')).toBe('7F2231');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    expect(await bench.ask('22FD01')).toBe(`62FD01${digest}`);
  });

  it('stays in the bootloader when the download was interrupted', async () => {
    const bench = await EcuBench.start({ name: 'ONE' });
    await bench.prepare('ONE');
    await bench.sendMetadata(releaseOf(image, '2.0.0', 'ONE'));
    await bench.expect('3101FF00');
    await bench.reset();
    expect(await bench.text('F195')).toBe('none');
    await bench.program(image, '2.0.0', 'ONE');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });
});
