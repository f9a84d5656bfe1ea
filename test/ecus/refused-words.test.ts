// What an ECU tells the outside when it refuses metadata, and what it keeps of a download near its end.

import { describe, expect, it } from 'vitest';
import { twoBanks } from '../../ecus/bootloader/boot/two-banks.ts';
import { FlashMemory } from '../../ecus/bootloader/flash/flash-memory.ts';
import { EcuBench, imageOf, releaseOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { begin, fd03, plain } from './resume-support.ts';

const image = imageOf(1000);

async function refusedBy(bench: EcuBench, bytes: Uint8Array): Promise<unknown> {
  expect(await bench.sendMetadata(bytes, false)).toBe('7F3772');
  return bench.events.findLast(({ kind }) => kind === 'metadata-refused');
}

describe('refused metadata', () => {
  it('without a nonce says that one must be read before', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    const bundle = await bench.bundle(releaseOf(image, '2.0.0'));
    expect(await bench.sendMetadata(bundle)).toBe('77');
    expect(await refusedBy(bench, bundle)).toEqual({
      ...{ kind: 'metadata-refused', code: 'FREEZE' },
      reason: 'time: no nonce is outstanding: read DID FD21 before each bundle',
    });
  });

  it('of an image that is too large says how large a bank is', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    const release = { ...releaseOf(image, '2.0.0'), length: 65_537 };
    const refused = await refusedBy(bench, await bench.bundle(release));
    expect(refused).toMatchObject({
      code: 'ENDLESS_DATA',
      reason: expect.stringMatching(
        /^director targets: EDT-2\.0\.0-.*\.bin has 65537 bytes, a bank takes 1 to 65536$/,
      ),
    });
    const whole = { ...releaseOf(image, '2.0.0'), length: 65_536 };
    expect(await bench.sendMetadata(whole)).toBe('77');
  });

  it.each([
    ['v'.repeat(32), true],
    ['v'.repeat(33), false],
    ['2.0.0+b_1-x', true],
    ['-2.0.0', false],
    ['2.0.0 x', false],
  ])('of the version %s: taken %s', async (version, isTaken) => {
    const bench = await EcuBench.start();
    await bench.prepare();
    const bundle = await bench.bundle({ ...releaseOf(image, '2.0.0'), version });
    expect(await bench.sendMetadata(bundle, false)).toBe(isTaken ? '77' : '7F3772');
    if (isTaken) return;
    expect(bench.events.at(-1)).toMatchObject({
      ...{ kind: 'metadata-refused', code: 'MALFORMED' },
      reason: expect.stringMatching(
        /has version ".*", expected 1 to 32 letters, digits, \. \+ _ -$/,
      ),
    });
  });
});

it('the last bytes of a download leave no place to go on from: the check follows', async () => {
  const bench = await EcuBench.start({ options: { checkpointBytes: 2000 } });
  await begin(bench, plain, 14_000);
  expect(await fd03(bench)).toMatchObject({ received: 12_000, total: 14_000 });
});

it('a bank is intact only where the record says that it is valid', async () => {
  const storage = new FaultStorage();
  const { flash } = await FlashMemory.open({ storage, banks: twoBanks, gate: () => 'ok' });
  expect(await flash.intact(0)).toBe(false);
  await flash.install(image, '1.0.0');
  expect([await flash.intact(0), await flash.intact(1)]).toEqual([true, false]);
  storage.corrupt('bank-a.bin', 999);
  expect(await flash.intact(0)).toBe(false);
});

describe('an ECU that is asked too early', () => {
  const reasonOf = (bench: EcuBench) =>
    bench.events.findLast(({ kind }) => kind === 'not-ready') as { reason: string } | undefined;

  it('to erase, says that metadata must come first', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    expect(await bench.ask('3101FF00')).toBe('7F3122');
    expect(reasonOf(bench)).toEqual({
      ...{ kind: 'not-ready', reason: 'signed metadata must come first' },
    });
  });

  it('to lock, says what is missing', async () => {
    const bench = await EcuBench.start({ options: { benchKeys: false } });
    await bench.expect('1003');
    expect(await bench.ask('31010221')).toBe('7F3122');
    expect(reasonOf(bench)?.reason).toBe(
      'the serial number (2E F18C), the device secret (2E FD13), the own keys (31 01 0220), ' +
        'director.root.json (38), images.root.json (38), ' +
        'the key of the TMU (2E FD16) must be provisioned before the lock',
    );
  });
});
