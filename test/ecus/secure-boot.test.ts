// Who can write the flash but has no key gets nothing started: header, signatures, counter and bytes must agree.

import { beforeEach, describe, expect, it } from 'vitest';
import { bootRecordSchema } from '../../ecus/bootloader/boot/boot-record.ts';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';
import { decodeSealed, encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import { toHex } from '../../src/core/bytes.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import { decodeBundle, encodeBundle } from '../../src/trust/bundle.ts';
import { encodeBankRecord } from '../../src/trust/image-header.ts';
import { buildRoot, buildTargets, signRoleNow } from '../../src/trust/role-signing.ts';
import { type LocalSigner, signerFromSeed } from '../../src/trust/signing-key.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import {
  benchVehicle,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  imageOf,
  type Release,
  releaseOf,
} from '../support/ecu-bench.ts';
import type { FaultStorage } from '../support/fault-storage.ts';

const image = imageOf(5000);
const factoryDigest = toHex(digestOf(builtInFactoryImage('EDT').image));

/** Programmed with this counter, on trial. */
async function onTrial(counter: number, version = '2.0.0'): Promise<EcuBench> {
  const bench = await EcuBench.start();
  await bench.program(image, version, 'EDT', counter);
  await bench.expectOrder('activate');
  await bench.reset();
  expect(await bench.text('F195')).toBe(version);
  await bench.prepare();
  return bench;
}

/** Confirmed and committed: the whole of an update. */
async function confirmed(counter: number): Promise<EcuBench> {
  const bench = await onTrial(counter);
  await bench.expectOrder('confirm');
  await bench.expectOrder('commit');
  return bench;
}

/** The disk after an attacker had it in his hands. */
async function restart(
  bench: EcuBench,
  tamper: (storage: FaultStorage) => Promise<void> | void = () => {},
): Promise<EcuBench> {
  const storage = bench.storage.afterPowerCut();
  await tamper(storage);
  return EcuBench.start({ storage });
}

/** The boot record has a checksum and no signature: it can be forged by whoever can write it. */
async function forgeRecord(
  storage: FaultStorage,
  change: (record: ReturnType<typeof bootRecordSchema.parse>) => object,
): Promise<void> {
  const record = decodeSealed(storage.contents('boot-record')!, bootRecordSchema);
  if (!('value' in record)) throw new Error(record.fault);
  await storage.replace('boot-record', encodeSealed(change(record.value)));
}

const malware = imageOf(5000, 99);

function withMalware(bank: 0 | 1) {
  return async (storage: FaultStorage): Promise<void> => {
    await storage.replace(bank === 0 ? 'bank-a.bin' : 'bank-b.bin', malware);
    await forgeRecord(storage, (record) => ({
      ...record,
      banks: record.banks.map((content, index) =>
        index === bank
          ? { ...content, length: malware.length, sha256: toHex(digestOf(malware)) }
          : content,
      ),
    }));
  };
}

function securityCounter(bench: EcuBench): number {
  const file = bench.storage.contents('counters');
  return file === undefined ? 0 : JSON.parse(Buffer.from(file).toString().split('\n')[0]!).security;
}

function refusals(bench: EcuBench): unknown[] {
  return bench.events.flatMap((event) =>
    event.kind === 'boot-refused' ? [`${event.bank} ${event.code}`] : [],
  );
}

describe('the security counter', () => {
  it('rises by its own routine only: neither a confirmation nor a boot raises it', async () => {
    const bench = await onTrial(5);
    expect(await bench.order('commit')).toBe('7F3122'); // on trial
    expect(securityCounter(bench)).toBe(0);
    await bench.expectOrder('confirm');
    expect(securityCounter(bench)).toBe(0);
    await bench.reset();
    const again = await restart(bench);
    expect(securityCounter(again)).toBe(0);
    await again.prepare();
    const plain = await again.orderOf('commit');
    expect(await again.ask(plain)).toBe('7F3138'); // with the right receipt, and an open level alone
    expect(securityCounter(again)).toBe(0);
    expect(await again.secured('3101021300')).toBe('7F3113');
    expect(await again.order('commit')).toBe('7101021300');
    expect(securityCounter(again)).toBe(5);
    expect(again.events.at(-1)).toEqual({ kind: 'commit', counter: 5 });
    const { length } = again.events;
    const { operations } = again.storage;
    expect(await again.order('commit')).toBe('7101021300');
    expect(again.events).toHaveLength(length);
    expect(again.storage.operations).toBe(operations);
  });

  it('as long as it was not raised, a confirmed image goes back, with every boot in between', async () => {
    const bench = await onTrial(5);
    const receipt = (await bench.secured(await bench.orderOf('confirm'))).slice(10);
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    await bench.prepare();
    expect(await bench.order('rollback-confirmed')).toBe('7101021200');
    expect(await bench.ask('22FD00')).toBe('62FD000100020100');
    expect(await bench.order('commit', { evidence: [receipt] })).toBe('7F3122'); // the way back was chosen
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    // The factory image is part of no campaign, until one names it.
    expect(await bench.order('commit', { evidence: [receipt] })).toBe('7F3122');
    const joined = 'cb'.repeat(16);
    await bench.expectOrder('activate', { campaign: joined, sha256: factoryDigest });
    await bench.expectOrder('confirm', { campaign: joined });
    expect(await bench.order('commit', { evidence: [receipt] })).toBe('7F3122');
    expect(await bench.order('commit', { campaign: joined })).toBe('7101021300');
    expect(securityCounter(bench)).toBe(0); // that of the factory image
  });

  it('is not raised by an ECU that runs nothing', async () => {
    const bench = await EcuBench.start();
    bench.storage.corrupt('bank-a.bin', 0);
    await bench.reset();
    await bench.prepare();
    expect(await bench.order('commit')).toBe('7F3122');
  });

  it('rises with the commit only: before it the old image is still a way back', async () => {
    const bench = await onTrial(5);
    await bench.expectOrder('rollback');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');
    const second = await onTrial(5);
    for (const version of ['2.0.0', '2.0.0', '1.0.0']) {
      await second.crash();
      expect(await second.text('F195')).toBe(version);
    }
  });

  it('closes the way back to an older image, which is still in the other bank', async () => {
    const bench = await confirmed(5);
    expect(await bench.order('rollback-confirmed')).toBe('7F3122');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'image-refused', code: 'ROLLBACK' });
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    const forged = await restart(bench, (storage) =>
      forgeRecord(storage, (record) => ({ ...record, activeBank: 0 })),
    );
    expect(refusals(forged)).toEqual(['A ROLLBACK']);
    expect(await forged.text('F195')).toBe('2.0.0'); // what is left, and in order
    expect(await forged.text('FD22')).toContain('"attack":"ROLLBACK"');
  });

  it('does not refuse a plain rollback, which changes nothing where no trial runs', async () => {
    const bench = await confirmed(5);
    expect(await bench.order('rollback')).toBe('7101021200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('with the confirmed bank damaged: waits in the bootloader, and takes a new image', async () => {
    const bench = await confirmed(5);
    bench.storage.corrupt('bank-b.bin', 7);
    await bench.reset();
    expect(await bench.text('F195')).toBe('none');
    expect(refusals(bench)).toEqual(['A ROLLBACK']);
    await bench.program(image, '2.0.1', 'EDT', 6);
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.1');
  });

  it('refuses older metadata, takes the same and newer ones, and survives a power cut', async () => {
    const bench = await confirmed(5);
    const again = await restart(bench);
    await again.prepare();
    expect(await again.sendMetadata({ ...releaseOf(image, '1.5.0'), counter: 4 }, false)).toBe(
      '7F3772',
    );
    expect(again.events.at(-1)).toMatchObject({ kind: 'metadata-refused', code: 'ROLLBACK' });
    expect(await again.sendMetadata({ ...releaseOf(image, '2.0.0'), counter: 5 })).toBe('77');
    expect(await again.sendMetadata({ ...releaseOf(image, '2.1.0'), counter: 6 })).toBe('77');
  });

  it.each(['partial', 'full'] as const)('counts by itself, %s', async (verification) => {
    const vehicle = vehicleSchema.parse({
      ...benchVehicle,
      ecus: benchVehicle.ecus.map((ecu) => ({ ...ecu, verification })),
    });
    // The metadata that came with the image is lost: what the Director has said before counts no more.
    const first = await confirmed(5);
    first.storage.corrupt('trust', 40);
    const storage = first.storage.afterPowerCut();
    const bench = await EcuBench.start({ storage, options: { vehicle } });
    await bench.prepare();
    const older = { ...releaseOf(image, '1.5.0'), counter: 4 };
    expect(await bench.sendMetadata(older, false)).toBe('7F3772');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'metadata-refused', code: 'ROLLBACK' });
    expect(await bench.sendMetadata({ ...older, counter: 5 })).toBe('77');
  });

  it('does not rise by metadata alone', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '9.0.0', 'EDT', 9);
    await bench.reset(); // never activated
    expect(await bench.text('F195')).toBe('1.0.0');
  });

  it('damaged: nothing is programmed and nothing reported any more, but what is there runs', async () => {
    const bench = await confirmed(5);
    bench.storage.corrupt('counters', 30);
    const broken = await restart(bench);
    expect(await broken.text('F195')).toBe('2.0.0');
    expect(await broken.ask('22FD22')).toBe('7F2222');
    await broken.prepare();
    expect(await broken.ask('3101FF00')).toBe('7F3122');
    expect(broken.events.at(-1)).toMatchObject({ kind: 'not-ready' });
  });
});

describe('a bank that nobody signed', () => {
  it('with right checksums in the boot record does not start', async () => {
    const bench = await restart(await confirmed(0), withMalware(1));
    expect(refusals(bench)).toEqual(['B IMAGE_MISMATCH']);
    expect(await bench.text('F195')).toBe('1.0.0');
    expect(await bench.text('FD22')).toContain('"attack":"IMAGE_MISMATCH"');
  });

  it('in place of the factory image does not start either', async () => {
    const bench = await restart(await EcuBench.start(), withMalware(0));
    expect(refusals(bench)).toEqual(['A MISSING_METADATA']);
    expect(await bench.text('F195')).toBe('none');
  });

  it('on trial falls back', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    const forged = await restart(bench, async (storage) => {
      await withMalware(1)(storage);
      await forgeRecord(storage, (record) => ({ ...record, activationPending: true }));
    });
    expect(refusals(forged)).toEqual(['B IMAGE_MISMATCH']);
    expect(await forged.text('F195')).toBe('1.0.0');
  });

  it('cannot be activated', async () => {
    const bench = await EcuBench.start();
    await bench.program(image, '2.0.0');
    await bench.storage.remove('bank-b.trust');
    expect(await bench.order('activate')).toBe('7F3122');
    expect(bench.events.at(-1)).toMatchObject({ kind: 'image-refused', code: 'MISSING_METADATA' });
  });

  it('is forgotten by a rollback as long as it has not run', async () => {
    const bench = await onTrial(0);
    await bench.expectOrder('confirm');
    await bench.program(imageOf(3000, 3), '3.0.0');
    await bench.storage.remove('bank-a.trust');
    expect(await bench.order('rollback-confirmed')).toBe('7101021200');
    expect(await bench.ask('22FD02')).toBe('7F2231');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
  });
});

describe('the header beside a bank', () => {
  let bench: EcuBench;
  beforeEach(async () => {
    bench = await confirmed(0);
  });
  const header = (storage: FaultStorage) =>
    JSON.parse(Buffer.from(storage.contents('bank-b.trust')!).toString());
  const changed =
    (change: (record: ReturnType<typeof header>) => object) => (storage: FaultStorage) =>
      storage.replace(
        'bank-b.trust',
        new TextEncoder().encode(JSON.stringify(change(header(storage)))),
      );

  it.each<[string, string, (storage: FaultStorage) => Promise<void> | void]>([
    ['removed', 'MISSING_METADATA', (storage) => storage.remove('bank-b.trust')],
    ['damaged', 'MALFORMED', (storage) => storage.corrupt('bank-b.trust', 0)],
    [
      'with another counter',
      'IMAGE_MISMATCH',
      changed((record) => ({ ...record, header: { ...record.header, securityCounter: 99 } })),
    ],
    [
      'of another ECU',
      'WRONG_ECU',
      changed((record) => ({ ...record, header: { ...record.header, serial: 'BENCH-INV' } })),
    ],
    [
      'with Targets that were changed',
      'ARBITRARY_SOFTWARE',
      changed((record) => ({ ...record, targets: record.targets.replace('"2.0.0"', '"2.0.1"') })),
    ],
    [
      'under a Root of the attacker',
      'ARBITRARY_SOFTWARE',
      changed((record) => ({ ...record, root: forgedRoot() })),
    ],
  ])('%s: the bank does not start', async (_what, code, tamper) => {
    const forged = await restart(bench, tamper);
    expect(refusals(forged)).toEqual([`B ${code}`]);
    expect(await forged.text('F195')).toBe('1.0.0');
  });

  it('signed for other hardware: the bank does not start', async () => {
    const bench = await confirmed(0);
    const signed = decodeBundle(
      await bench.bundle(releaseOf(image, '2.0.0'), { ecu: { hardwareId: 'EDT-HW2' } }),
    );
    if (!signed.ok) throw new Error(signed.reason);
    const other = await restart(bench, (storage) => {
      const before = JSON.parse(Buffer.from(storage.contents('bank-b.trust')!).toString());
      const record = encodeBankRecord(
        { ...before.header, hardwareId: 'EDT-HW2' },
        signed.value.director.get('targets.json')!,
        benchWorld().directorRoot,
      );
      return storage.replace('bank-b.trust', record);
    });
    expect(refusals(other)).toEqual(['B WRONG_HARDWARE']);
  });
});

/** Everything as in the bench's Root, but with keys of his own. */
function forgedRoot(): string {
  const mine = signerFromSeed(new Uint8Array(32).fill(7));
  return Buffer.from(rootWith({ version: 1, root: mine, targets: mine }, [mine])).toString();
}

function rootWith(
  keys: { version: number; root: LocalSigner; targets: LocalSigner },
  signers: readonly LocalSigner[],
): Uint8Array {
  const { timestamp, snapshot, time } = benchWorld().director;
  const role = (signer: LocalSigner) => ({ keys: [signer.publicKey], threshold: 1 });
  const roles = {
    root: role(keys.root),
    targets: role(keys.targets),
    timestamp: role(timestamp),
    snapshot: role(snapshot),
    time: role(time),
  };
  const expiresMs = Date.UTC(2100, 0);
  return signRoleNow(buildRoot({ version: keys.version, expiresMs, roles }), signers);
}

describe('a new Root that takes away the key of Targets', () => {
  const newKey = signerFromSeed(new Uint8Array(32).fill(8));
  const { root } = benchWorld().director;
  const second = rootWith({ version: 2, root, targets: newKey }, [root]);

  /** The bundle of the bench, with its Targets signed anew. */
  async function underNewRoot(
    bench: EcuBench,
    release: Release,
    signer: LocalSigner,
  ): Promise<Uint8Array> {
    const bundle = decodeBundle(await bench.bundle(release));
    if (!bundle.ok) throw new Error(bundle.reason);
    const { signed } = JSON.parse(
      Buffer.from(bundle.value.director.get('targets.json')!).toString(),
    );
    const { version, expires, targets, custom } = signed;
    const payload = buildTargets({ version, expiresMs: Date.parse(expires), targets, custom });
    return encodeBundle({
      ...bundle.value,
      director: new Map([
        ['2.root.json', second],
        ['targets.json', signRoleNow(payload, [signer])],
      ]),
    });
  }

  it('is followed; what was verified before still boots, what the old key signs is refused', async () => {
    const bench = await confirmed(1);
    const revoked = await underNewRoot(
      bench,
      { ...releaseOf(image, '6.6.6'), counter: 9 },
      benchWorld().director.targets,
    );
    expect(await bench.sendMetadata(revoked, false)).toBe('7F3772');
    expect(bench.events.at(-1)).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect((await bench.trustState()).director.root).toBe(1);

    const next = imageOf(3000, 3);
    const release = { ...releaseOf(next, '3.0.0'), counter: 2 };
    expect(await bench.sendMetadata(await underNewRoot(bench, release, newKey))).toBe('77');
    expect((await bench.trustState()).director.root).toBe(2);
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    const again = await restart(bench);
    expect(await again.text('F195')).toBe('2.0.0');

    await again.prepare();
    expect(await again.sendMetadata(await underNewRoot(again, release, newKey))).toBe('77');
    await again.transfer(next);
    await again.expect(checkRequest(next));
    await again.expectOrder('activate');
    await again.reset();
    expect(await again.text('F195')).toBe('3.0.0');
    await again.prepare();
    await again.expectOrder('confirm');

    // And once more: what was verified under the second Root, which is neither the first nor the last.
    const third = rootWith({ version: 3, root, targets: newKey }, [root]);
    const bundle = decodeBundle(await underNewRoot(again, { ...release, counter: 3 }, newKey));
    if (!bundle.ok) throw new Error(bundle.reason);
    const director = new Map([...bundle.value.director, ['3.root.json', third]]);
    expect(await again.sendMetadata(encodeBundle({ ...bundle.value, director }))).toBe('77');
    expect((await again.trustState()).director.root).toBe(3);
    const last = await restart(again);
    expect(await last.text('F195')).toBe('3.0.0');
  });

  it('damaged on the disk: the first Root counts again, and the update goes through', async () => {
    const bench = await confirmed(0);
    bench.storage.corrupt('trust', 40);
    const again = await restart(bench);
    expect(await again.text('F195')).toBe('2.0.0');
    expect((await again.trustState()).director).toEqual({ root: 1 });
    await again.program(imageOf(100), '2.0.2');
  });
});

describe('a single bank', () => {
  const factory = async (bench: EcuBench): Promise<Uint8Array> =>
    Uint8Array.from(bench.storage.contents('bank-a.bin')!);
  const write = async (bench: EcuBench, bytes: Uint8Array): Promise<string> => {
    await bench.expect('3101FF00');
    await bench.expect(downloadRequest(bytes.length));
    await bench.sendBlocks(bytes);
    await bench.expect('37');
    return bench.ask(checkRequest(bytes));
  };

  it('that was written and not started yet has nothing to confirm or to commit', async () => {
    const bench = await EcuBench.start({ name: 'ONE' });
    await bench.program(image, '2.0.0', 'ONE', 5);
    // What waits can be named, and no more: nobody has seen it run.
    await bench.expectOrder('activate');
    expect(await bench.order('confirm')).toBe('7F3122');
    expect(await bench.order('commit')).toBe('7F3122');
    expect(securityCounter(bench)).toBe(0);
  });

  it('goes back to exactly the image before, without metadata, until the new one is committed', async () => {
    const bench = await EcuBench.start({ name: 'ONE' });
    const before = await factory(bench);
    await bench.program(image, '2.0.0', 'ONE', 5);
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    await bench.prepare('ONE');
    await bench.expect('3101FF00');
    expect(await bench.ask(downloadRequest(before.length - 1))).toBe('7F3431');
    expect(await write(bench, imageOf(before.length, 4))).toBe('7101020201');
    expect(await write(bench, before)).toBe('7101020200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('1.0.0');

    await bench.program(image, '2.0.0', 'ONE', 5);
    await bench.reset();
    await bench.expectOrder('activate');
    await bench.prepare('ONE');
    expect(await bench.order('confirm')).toBe('7101021100');
    expect(securityCounter(bench)).toBe(0);
    expect(await bench.order('commit')).toBe('7101021300');
    expect(await bench.ask('3101FF00')).toBe('7F3122');
    expect(await bench.text('F195')).toBe('2.0.0');
  });

  it('goes back to a signed image too, and is committed at the latest by the next one', async () => {
    const bench = await EcuBench.start({ name: 'ONE' });
    await bench.program(image, '2.0.0', 'ONE', 5);
    await bench.reset();
    expect(securityCounter(bench)).toBe(0);
    const next = imageOf(4000, 12);
    await bench.program(next, '3.0.0', 'ONE', 6);
    expect(securityCounter(bench)).toBe(5);
    await bench.reset();
    await bench.prepare('ONE');
    expect(await write(bench, image)).toBe('7101020200');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    const again = await restart2(bench);
    expect(await again.text('F195')).toBe('2.0.0');
    // Forward once more, and confirmed: there is no way back any more.
    await again.program(next, '3.0.0', 'ONE', 6);
    await again.reset();
    await again.prepare('ONE');
    await again.expectOrder('activate');
    await again.expectOrder('confirm');
    await again.expectOrder('commit');
    expect(securityCounter(again)).toBe(6);
    expect(await again.ask('3101FF00')).toBe('7F3122');
  });

  const restart2 = (bench: EcuBench): Promise<EcuBench> =>
    EcuBench.start({ name: 'ONE', storage: bench.storage.afterPowerCut() });
});
