// A download that was interrupted goes on behind what is durable, and never makes a bank valid with wrong bytes.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import { toHex } from '../../src/core/bytes.ts';
import { BLOCK_BYTES, HEADER_BYTES, TAG_BYTES } from '../../src/trust/image-encryption.ts';
import {
  BANK_ADDRESS,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';
import type { FaultStorage, UnsyncedFate } from '../support/fault-storage.ts';
import {
  BLOCK,
  begin,
  block,
  bring,
  encrypted,
  encryptedLoad,
  fd03,
  image,
  type Load,
  options,
  plain,
  rest,
  sendFrom,
} from './resume-support.ts';

/** The ECU after its supply was cut. */
async function cutPower(bench: EcuBench, fate: UnsyncedFate = 'lost'): Promise<EcuBench> {
  return EcuBench.start({ storage: bench.storage.afterPowerCut(fate), options });
}

/** 3 blocks of the cipher are whole at 14,000 bytes on the wire, and a part of the fourth. */
const wireOf = (blocks: number): number => HEADER_BYTES + blocks * (BLOCK_BYTES + TAG_BYTES);

describe.each([
  ['plain', plain, { received: 10_000, carried: 10_000 }],
  ['encrypted', encrypted, { received: 8192, carried: wireOf(2) }],
])('a download that was interrupted, %s', (_name, load, durable) => {
  it('tells how far it is durable, and no further', async () => {
    const bench = await EcuBench.start({ options });
    expect(await fd03(bench)).toBeUndefined();
    await begin(bench, load, 3000);
    expect(await fd03(bench)).toBeUndefined();
    await sendRestOf(bench, load, 3000, 12_000);
    expect(await fd03(bench)).toEqual({
      sha256: load.release.sha256,
      total: image.length,
      ...durable,
      crc32: crc32(load.wire.subarray(0, durable.carried)),
    });
  });

  it.each(['reset', 'power cut', 'end of session'])('goes on after its %s', async (how) => {
    let bench = await EcuBench.start({ options });
    await begin(bench, load, 12_000);
    if (how === 'reset') await bench.reset();
    if (how === 'power cut') bench = await cutPower(bench);
    if (how === 'end of session') await bench.clock.advance(6000);
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(await bring(bench, load)).toBe(durable.carried);
    expect(bench.events.filter(({ kind }) => kind === 'erase').length).toBe(
      how === 'power cut' ? 0 : 1,
    );
    expect(bench.events).toContainEqual({ kind: 'resume', bank: 'B', received: durable.received });
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
    expect(await fd03(bench)).toBeUndefined();
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('goes on a second time, behind what the first one has added', async () => {
    let bench = await EcuBench.start({ options });
    await begin(bench, load, 5000);
    bench = await cutPower(bench);
    await bench.prepare();
    await bench.sendMetadata(load.release);
    const first = (await fd03(bench))!;
    expect(first.received).toBeLessThan(durable.received);
    await bench.expect(rest(load, first.received));
    await sendFrom(bench, load.wire, first.carried, first.carried + 5000);
    bench = await cutPower(bench);
    expect((await fd03(bench))!.carried).toBeGreaterThan(first.carried);
    await bring(bench, load);
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
  });

  it('does not go on anywhere else, in another form, or without metadata', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, load, 12_000);
    await bench.reset();
    const { received } = durable;
    await bench.prepare();
    expect(await bench.ask(rest(load, received))).toBe('7F3431');
    await bench.sendMetadata(load.release);
    for (const at of [received - 1, received + 1, 1, image.length]) {
      expect(await bench.ask(rest(load, at))).toBe('7F3431');
    }
    expect(await bench.ask(rest({ ...load, format: 1 - load.format }, received))).toBe('7F3431');
    const size = image.length - received;
    for (const wrong of [size - 1, size + 1]) {
      expect(await bench.ask(downloadRequest(wrong, BANK_ADDRESS + received, load.format))).toBe(
        '7F3431',
      );
    }
    expect(await bench.ask(rest(load, 0))).toBe('7F3422'); // from the beginning: erase first
    expect(await bench.ask(rest(load, received))).toMatch(/^74/);
    expect(await bench.ask(rest(load, received))).toBe('7F3422'); // it is going on
  });

  it('begins anew for another image: nothing of the first one is left', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, load, 12_000);
    await bench.reset();
    const other = imageOf(image.length, 99);
    await bench.prepare();
    await bench.sendMetadata(releaseOf(other, '2.0.1'));
    expect(await bench.ask(rest({ ...load, format: 0 }, durable.received))).toBe('7F3431');
    await bench.transfer(other);
    expect(await bench.ask(checkRequest(other))).toBe('7101020200');
    expect(bench.storage.contents('bank-b.bin')).toEqual(other);
  });

  it('is forgotten by an erase', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, load, 12_000);
    await bench.reset();
    await bench.prepare();
    await bench.sendMetadata(load.release);
    await bench.expect('3101FF00');
    expect(await fd03(bench)).toBeUndefined();
    expect(await bench.ask(rest(load, durable.received))).toBe('7F3431');
    // Nor does the next download bring it back, with bytes that are gone.
    await bench.expect(rest(load, 0));
    await sendFrom(bench, load.wire, 0, 2000);
    expect(await fd03(bench)).toBeUndefined();
    expect(await fd03(await cutPower(bench))).toBeUndefined();
  });

  it('takes nothing beyond the durable point from the disk', async () => {
    const first = await EcuBench.start({ options });
    await begin(first, load, durable.carried + 2000);
    // The bytes behind it reached the disk, but differently: as by a torn write.
    const storage = first.storage.afterPowerCut('kept');
    const file = await storage.open('bank-b.bin');
    await file.truncate(durable.received);
    await file.write(durable.received, imageOf(image.length, 5));
    await file.sync();
    const bench = await EcuBench.start({ storage, options });
    await bring(bench, load);
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
  });

  it('over other bytes than it tells is not valid, and starts from the beginning the next time', async () => {
    const first = await EcuBench.start({ options });
    await begin(first, load, 12_000);
    const storage = first.storage.afterPowerCut();
    storage.corrupt('bank-b.bin', 50);
    const bench = await EcuBench.start({ storage, options });
    await bench.prepare();
    await bench.sendMetadata(load.release);
    const { received, carried } = (await fd03(bench))!;
    await bench.expect(rest(load, received));
    await sendFrom(bench, load.wire, carried);
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020201');
    const sha256 = toHex(digestOf(image));
    expect(await bench.order('activate', { sha256 })).toBe('7F3122');
    expect(await fd03(bench)).toBeUndefined();
    expect(await bring(bench, load)).toBe(0);
  });

  it('goes on under newer metadata for the same image', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, load, 12_000);
    await bench.reset();
    const again = { ...load, release: { ...load.release, counter: 3 } };
    expect(await bring(bench, again)).toBe(durable.carried);
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });
});

/** Blocks go on counting where `begin` has stopped. */
async function sendRestOf(bench: EcuBench, load: Load, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += BLOCK) {
    await bench.expect(block(load.wire, at, at / BLOCK + 1));
  }
}

describe('an ECU that cannot go on', () => {
  it('refuses a block zero as the repeat of a block that nobody sent', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, plain, 12_000);
    await bench.reset();
    await bench.prepare();
    await bench.sendMetadata(plain.release);
    await bench.expect(rest(plain, 10_000));
    expect(await bench.ask(block(image, 10_000, 0))).toBe('7F3673');
    expect(await bench.ask(block(image, 10_000, 1))).toBe('7601');
    expect(await bench.ask(block(image, 10_000, 1))).toBe('7601');
    expect(await bench.ask('37')).toBe('7F3724');
  });

  it('after a flash that failed offers nothing', async () => {
    const faults = { failWriteAt: 11_500 };
    const bench = await EcuBench.start({ options, faults });
    await begin(bench, plain, 11_000);
    expect((await fd03(bench))?.received).toBe(10_000);
    expect(await bench.ask(block(image, 11_000, 12))).toBe('7F3672');
    expect(await fd03(bench)).toBeUndefined();
  });

  it('refuses the rest of a blob that was encrypted once more, and offers nothing then', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, encrypted, 12_000);
    await bench.reset();
    await bench.prepare();
    await bench.sendMetadata(encrypted.release);
    const { received, carried } = (await fd03(bench))!;
    const other = encryptedLoad(2);
    await bench.expect(rest(other, received));
    let answer = '';
    for (let at = carried, counter = 1; answer === '' || answer.startsWith('76'); counter++) {
      answer = await bench.ask(block(other.wire, at, counter));
      at += BLOCK;
    }
    expect(answer).toBe('7F3672');
    expect(await fd03(bench)).toBeUndefined();
    expect(await bring(bench, other)).toBe(0);
  });

  it('because the encrypted image was released under another name starts from the beginning', async () => {
    const bench = await EcuBench.start({ options });
    await begin(bench, encrypted, 12_000);
    await bench.reset();
    await bench.prepare();
    const { received } = (await fd03(bench))!;
    const renamed = { ...encrypted, release: { ...encrypted.release, version: '2.0.1' } };
    await bench.sendMetadata(renamed.release);
    expect(await bench.ask(rest(renamed, received))).toBe('7F3431');
  });

  it.each<[string, (storage: FaultStorage) => Promise<void> | void]>([
    ['damaged', (storage) => storage.corrupt('resume.json', 40)],
    ['lost', (storage) => storage.remove('resume.json')],
    ['of a place that cannot be', (storage) => forge(storage, { received: 10_001 })],
    ['behind the end', (storage) => forge(storage, { received: 14_000, carried: 14_000 })],
    ['of another bank', (storage) => forge(storage, { bank: 0 })],
    ['encrypted, without a header', (storage) => forge(storage, { encrypted: true })],
  ])('because its record is %s starts from the beginning', async (_what, tamper) => {
    const first = await EcuBench.start({ options });
    await begin(first, plain, 12_000);
    const storage = first.storage.afterPowerCut();
    await tamper(storage);
    const bench = await EcuBench.start({ storage, options });
    expect(await bring(bench, plain)).toBe(0);
    expect(bench.storage.contents('bank-b.bin')).toEqual(image);
  });

  it('is told by nobody that a valid bank is unfinished', async () => {
    const first = await EcuBench.start({ options });
    await begin(first, plain, 12_000);
    const record = first.storage.contents('resume.json')!;
    await first.reset();
    await bring(first, plain);
    const storage = first.storage.afterPowerCut();
    await storage.replace('resume.json', record);
    const bench = await EcuBench.start({ storage, options });
    expect(await fd03(bench)).toBeUndefined();
    await bench.prepare();
    await bench.sendMetadata(plain.release);
    expect(await bench.ask(rest(plain, 10_000))).toBe('7F3431');
  });
});

async function forge(storage: FaultStorage, change: object): Promise<void> {
  const text = Buffer.from(storage.contents('resume.json')!).toString().split('\n')[0]!;
  const { format, point } = JSON.parse(text);
  await storage.replace('resume.json', encodeSealed({ format, point: { ...point, ...change } }));
}

describe('a valid bank under new metadata', () => {
  it('stays as the image of the new release, without a transfer', async () => {
    const bench = await EcuBench.start({ options });
    await bench.program(image, '2.0.0', 'EDT', 1);
    await bench.reset();
    await bench.prepare();
    const again = { ...releaseOf(image, '2.0.9'), counter: 4 };
    await bench.sendMetadata(again);
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    const { operations } = bench.storage;
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    expect(bench.storage.operations).toBe(operations); // once
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.9');
    await bench.prepare();
    await bench.expectOrder('confirm');
    await bench.expectOrder('commit');
    expect(bench.events.at(-1)).toEqual({ kind: 'commit', counter: 4 });
  });

  it('with another image, or with none, is no image of it: nothing is changed', async () => {
    const bench = await EcuBench.start({ options });
    await bench.program(image, '2.0.0');
    await bench.reset();
    await bench.prepare();
    await bench.sendMetadata(releaseOf(imageOf(500), '3.0.0'));
    expect(await bench.ask(checkRequest(image))).toBe('7101020201');
    expect(bench.events.some(({ kind }) => kind === 'image-refused')).toBe(false);
    await bench.sendMetadata(await bench.bundle(undefined));
    expect(await bench.ask(checkRequest(image))).toBe('7F3122');
    expect(await bench.ask('22FD02')).toBe(`62FD02${toHex(digestOf(image)).toUpperCase()}`);
  });

  it('whose bytes have changed is found out', async () => {
    const bench = await EcuBench.start({ options });
    await bench.program(image, '2.0.0');
    bench.storage.corrupt('bank-b.bin', 77);
    await bench.reset();
    await bench.prepare();
    await bench.sendMetadata(releaseOf(image, '2.0.0'));
    expect(await bench.ask(checkRequest(image))).toBe('7101020201');
  });
});

describe('a single bank', () => {
  const one = { name: 'ONE', options };
  const release = releaseOf(image, '2.0.0', 'ONE');

  it('goes on with its new image, and with the old one on its way back', async () => {
    let bench = await EcuBench.start(one);
    const previous = imageOf(9000, 3);
    await bench.program(previous, '1.5.0', 'ONE');
    await bench.reset();
    await bench.prepare('ONE');
    await bench.sendMetadata(release);
    await bench.expect('3101FF00');
    await bench.expect(rest(plain, 0));
    await sendFrom(bench, image, 0, 12_000);
    const storage = bench.storage.afterPowerCut();
    bench = await EcuBench.start({ ...one, storage });
    expect(await bench.text('F195')).toBe('none');
    await bench.prepare('ONE');
    await bench.sendMetadata(release);
    expect((await fd03(bench))?.received).toBe(10_000);
    await bench.expect(rest(plain, 10_000));
    await sendFrom(bench, image, 10_000);
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    // The way back needs no metadata, and neither does what was interrupted of it.
    await bench.prepare('ONE');
    await bench.expect('3101FF00');
    await bench.expect(downloadRequest(previous.length));
    await sendFrom(bench, previous, 0, 6000);
    bench = await EcuBench.start({ ...one, storage: bench.storage.afterPowerCut() });
    await bench.prepare('ONE');
    expect((await fd03(bench))?.received).toBe(5000);
    expect(await bench.ask(downloadRequest(3999, BANK_ADDRESS + 5000))).toBe('7F3431');
    await bench.expect(downloadRequest(previous.length - 5000, BANK_ADDRESS + 5000));
    await sendFrom(bench, previous, 5000);
    await bench.expect('37');
    expect(await bench.ask(checkRequest(previous))).toBe('7101020200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.5.0');
  });
});
