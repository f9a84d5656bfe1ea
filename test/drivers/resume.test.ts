// The driver and an ECU of ours after an interruption: what is durable is not carried twice, whoever died.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import type { DriverResult, Target } from '../../src/campaign/ports.ts';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';
import { ENCRYPTION_METHOD, encryptImage } from '../../src/trust/image-encryption.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import {
  benchVehicle,
  bundleOf,
  imageOf as bytesOf,
  CAMPAIGN,
  fileName,
} from '../support/ecu-bench.ts';
import type { FaultStorage } from '../support/fault-storage.ts';
import { benchAuthority, commitAlone, confirmAlone, EcuLink, signedTarget } from './ecu-link.ts';
import { imageOf } from './support.ts';

const bytes = bytesOf(40_000);
const image = imageOf(bytes);
const HOUR = 3_600_000;
const UNWATCHED = { knownDtcs: undefined, heartbeatMs: 0 };

interface Rig {
  readonly link: EcuLink;
  readonly driver: UdsEcuDriver;
  run<T>(work: Promise<T>): Promise<T>;
}

/** An ECU, on its disk of before where one is given, and a tester that knows nothing yet. */
async function start(
  name = 'EDT',
  clock = new VirtualClock(),
  storage?: FaultStorage,
  faults: EcuFaults = {},
): Promise<Rig> {
  const link = await EcuLink.start(benchVehicle, name, clock, {
    checkpointBytes: 4096,
    faults,
    ...(storage === undefined ? {} : { storage }),
  });
  return { link, driver: driverOf(link, name), run: (work) => clock.within(HOUR, work) };
}

function driverOf(link: EcuLink, name = 'EDT'): UdsEcuDriver {
  const { client: requester, clock } = link;
  const authority = benchAuthority(name);
  return new UdsEcuDriver({ ecu: findEcu(benchVehicle, name), requester, clock, authority });
}

function unwrap<T>(result: DriverResult<T>): T {
  if (!result.ok) throw new Error(`${result.code}: ${result.reason}`);
  return result.value;
}

/** Calls once, when the block with this counter leaves the tester. */
function atBlock({ link }: Rig, counter: number, act: () => void): void {
  const head = `36${toHex(Uint8Array.of(counter)).toUpperCase()}`;
  link.loses = (request) => {
    // The metadata travels in blocks, too: the image comes after its RequestDownload.
    const downloading = link.requests.some((sent) => sent.startsWith('34'));
    if (!downloading || !request.startsWith(head)) return false;
    link.loses = undefined;
    act();
    return true;
  };
}

async function becomes(rig: Rig, target: Target): Promise<void> {
  unwrap(await rig.run(rig.driver.activate(target)));
  expect(unwrap(await rig.run(rig.driver.verify(target, UNWATCHED))).sha256).toBe(image.sha256);
}

const erases = ({ link }: Rig): number => link.events.filter(({ kind }) => kind === 'erase').length;

describe('a transfer that was interrupted', () => {
  it('by the end of the tester is continued by another one', async () => {
    const rig = await start();
    const target = signedTarget(rig.link.clock, 'EDT', image, '2.0.0');
    const abort = new AbortController();
    atBlock(rig, 6, () => abort.abort());
    expect(await rig.run(rig.driver.stage(target, { signal: abort.signal }))).toMatchObject({
      code: 'INTERRUPTED',
    });
    const seen: number[] = [];
    const done = unwrap(
      await rig.run(driverOf(rig.link).stage(target, { progress: ({ sent }) => seen.push(sent) })),
    );
    // Five blocks of 4093 bytes had come; the last durable point was after the fourth one.
    expect(done.resumedAt).toBe(4 * 4093);
    expect(done.bytes).toBe(image.length - done.resumedAt!);
    expect(seen[0]).toBe(done.resumedAt);
    expect(seen.at(-1)).toBe(image.length);
    expect(erases(rig)).toBe(1);
    await becomes(rig, target);
  });

  it('by a reset of the ECU is continued by the same driver', async () => {
    const rig = await start();
    const target = signedTarget(rig.link.clock, 'EDT', image, '2.0.0');
    atBlock(rig, 7, () => rig.link.ecu!.reset('fault'));
    expect(await rig.run(rig.driver.stage(target))).toMatchObject({
      code: 'RESET',
      transient: true,
    });
    const done = unwrap(await rig.run(rig.driver.stage(target)));
    expect(done.resumedAt).toBe(6 * 4093);
    expect(erases(rig)).toBe(1);
    await becomes(rig, target);
  });

  it('by a power cut is continued, with what was durable', async () => {
    const first = await start('EDT', new VirtualClock(), undefined, { losePowerAfter: 22_000 });
    const target = signedTarget(first.link.clock, 'EDT', image, '2.0.0');
    expect(await first.run(first.driver.stage(target))).toMatchObject({
      code: 'SILENT',
      transient: true,
    });
    const rig = await start('EDT', first.link.clock, first.link.storage.afterPowerCut());
    const done = unwrap(await rig.run(rig.driver.stage(target)));
    expect(done).toMatchObject({ resumedAt: 4 * 4093, bytes: image.length - 4 * 4093 });
    expect(erases(rig)).toBe(0);
    expect(rig.link.storage.contents('bank-b.bin')).toEqual(bytes);
    await becomes(rig, target);
  });

  it('of a single bank is continued by its activation', async () => {
    const first = await start('ONE', new VirtualClock(), undefined, { losePowerAfter: 22_000 });
    const target = signedTarget(first.link.clock, 'ONE', image, '2.0.0');
    expect((await first.run(first.driver.activate(target))).ok).toBe(false);
    const rig = await start('ONE', first.link.clock, first.link.storage.afterPowerCut());
    expect(unwrap(await rig.run(rig.driver.activate(target))).resumedAt).toBe(4 * 4093);
    expect(unwrap(await rig.run(rig.driver.verify(target, UNWATCHED))).version).toBe('2.0.0');
  });

  it('of a single bank is taken back, also when the way back is interrupted', async () => {
    const first = await start('ONE');
    const old = imageOf(bytesOf(30_000, 4));
    const before = signedTarget(first.link.clock, 'ONE', old, '1.5.0', 0);
    unwrap(await first.run(first.driver.activate(before)));
    const target = signedTarget(first.link.clock, 'ONE', image, '2.0.0', 0);
    unwrap(await first.run(first.driver.activate(target)));
    const order = { target, previous: { version: '1.5.0', image: old }, changed: 'yes' as const };
    first.link.requests.length = 0;
    const abort = new AbortController();
    atBlock(first, 5, () => abort.abort());
    expect((await first.run(first.driver.rollback(order, { signal: abort.signal }))).ok).toBe(
      false,
    );
    const rig = await start('ONE', first.link.clock, first.link.storage.afterPowerCut());
    expect(unwrap(await rig.run(rig.driver.rollback(order)))).toEqual({
      version: '1.5.0',
      sha256: old.sha256,
      unchanged: false,
    });
    expect(erases(rig)).toBe(0);
  });

  it('is not continued by another image, nor where the beginning is of another file', async () => {
    const rig = await start();
    const target = signedTarget(rig.link.clock, 'EDT', image, '2.0.0');
    atBlock(rig, 6, () => rig.link.ecu!.reset('fault'));
    expect((await rig.run(rig.driver.stage(target))).ok).toBe(false);
    const other = imageOf(bytesOf(40_000, 9));
    const done = unwrap(
      await rig.run(rig.driver.stage(signedTarget(rig.link.clock, 'EDT', other, '2.0.1'))),
    );
    expect(done).toMatchObject({ bytes: 40_000 });
    expect(done.resumedAt).toBeUndefined();
    // A source whose first bytes are wrong (its store was damaged): the ECU keeps nothing of it.
    atBlock(rig, 6, () => rig.link.ecu!.reset('fault'));
    const third = imageOf(bytesOf(40_000, 11));
    const thirdTarget = signedTarget(rig.link.clock, 'EDT', third, '2.0.2');
    rig.link.requests.length = 0;
    expect((await rig.run(rig.driver.stage(thirdTarget))).ok).toBe(false);
    const damaged: ImageSource = {
      ...third,
      read: async (offset, length) => {
        const part = Uint8Array.from(await third.read(offset, length));
        if (offset === 0) part[7]! ^= 1;
        return part;
      },
    };
    const failed = await rig.run(rig.driver.stage({ ...thirdTarget, image: damaged }));
    expect(failed).toMatchObject({ ok: false, code: 'DIGEST_MISMATCH' });
    expect(rig.link.requests.filter((sent) => sent.startsWith('34')).at(-1)).toBe(
      '3400440800000000009C40',
    );
  });

  it('is begun anew where the ECU refuses to go on', async () => {
    const rig = await start();
    const target = signedTarget(rig.link.clock, 'EDT', image, '2.0.0');
    atBlock(rig, 6, () => rig.link.ecu!.reset('fault'));
    expect((await rig.run(rig.driver.stage(target))).ok).toBe(false);
    let refused = 0;
    rig.link.changes = (answer) => {
      if (answer[0] !== 0x74 || refused++ > 0) return answer;
      return Uint8Array.of(0x7f, 0x34, 0x31);
    };
    // The ECU has opened its download; the erase closes it again.
    const done = unwrap(await rig.run(rig.driver.stage(target)));
    expect(done).toMatchObject({ bytes: 40_000 });
    expect(erases(rig)).toBe(2);
  });
});

describe('an encrypted image', () => {
  const release = {
    name: 'EDT',
    version: '2.0.0',
    length: image.length,
    sha256: image.sha256,
    counter: 1,
  };

  function encryptedTarget(clock: VirtualClock, seed: number): Target {
    const serial = 'BENCH-EDT';
    const recipient = benchEcuIdentity(serial).encryption.publicKey;
    const facts = { serial, name: fileName(release), sha256: image.sha256, length: image.length };
    const cipher = encryptImage({ recipient, ...facts }, seededRandom(seed));
    const blob = imageOf(concatBytes(cipher.header, cipher.update(bytes), cipher.finish()));
    const { length, sha256 } = blob;
    const encryption = { file: 'blob', length, sha256, method: ENCRYPTION_METHOD } as const;
    return {
      campaign: CAMPAIGN,
      version: '2.0.0',
      image: blob,
      plain: { length: image.length, sha256: image.sha256 },
      encryption,
      metadata: async (state) => ({
        ok: true,
        value: bundleOf({ ...release, encryption }, state, clock.wallMs()),
      }),
    };
  }

  it('goes on with its next block', async () => {
    const rig = await start();
    const target = encryptedTarget(rig.link.clock, 1);
    atBlock(rig, 6, () => rig.link.ecu!.reset('fault'));
    expect((await rig.run(rig.driver.stage(target))).ok).toBe(false);
    const done = unwrap(await rig.run(rig.driver.stage(target)));
    expect(done.resumedAt).toBe(54 + 4 * 4112);
    expect(done.bytes).toBe(target.image.length - done.resumedAt!);
    expect(rig.link.storage.contents('bank-b.bin')).toEqual(bytes);
    await becomes(rig, target);
  });

  it('that was encrypted once more is begun anew', async () => {
    const rig = await start();
    atBlock(rig, 6, () => rig.link.ecu!.reset('fault'));
    expect((await rig.run(rig.driver.stage(encryptedTarget(rig.link.clock, 1)))).ok).toBe(false);
    const target = encryptedTarget(rig.link.clock, 2);
    const done = unwrap(await rig.run(rig.driver.stage(target)));
    expect(done.resumedAt).toBeUndefined();
    expect(rig.link.events.some(({ kind }) => kind === 'image-refused')).toBe(false);
    await becomes(rig, target);
  });
});

describe('an image that is staged already', () => {
  it('is not carried again for a tester that has forgotten it', async () => {
    const rig = await start();
    const target = signedTarget(rig.link.clock, 'EDT', image, '2.0.0');
    unwrap(await rig.run(rig.driver.stage(target)));
    const again = driverOf(rig.link);
    expect(unwrap(await rig.run(again.stage(target)))).toMatchObject({ bytes: 0, transferMs: 0 });
    expect(erases(rig)).toBe(1);
    await becomes(rig, target);
  });

  it('is written again for metadata that does not name it', async () => {
    const rig = await start();
    unwrap(await rig.run(rig.driver.stage(signedTarget(rig.link.clock, 'EDT', image, '2.0.0'))));
    const foreign = signedTarget(rig.link.clock, 'CGW', image, '2.0.0');
    expect(await rig.run(rig.driver.stage(foreign))).toMatchObject({ code: 'UNTRUSTED' });
    expect(erases(rig)).toBe(1);
  });

  it('stands as what the newest metadata says of it', async () => {
    const rig = await start();
    const { clock } = rig.link;
    unwrap(await rig.run(rig.driver.stage(signedTarget(clock, 'EDT', image, '2.0.0', 1))));
    const newer = signedTarget(clock, 'EDT', image, '2.0.5', 6);
    expect(unwrap(await rig.run(rig.driver.stage(newer))).bytes).toBe(0);
    unwrap(await rig.run(rig.driver.activate(newer)));
    expect(unwrap(await rig.run(rig.driver.verify(newer, UNWATCHED))).version).toBe('2.0.5');
    unwrap(await rig.run(confirmAlone(rig.driver, newer)));
    unwrap(await rig.run(commitAlone(rig.driver, newer)));
    expect(rig.link.events).toContainEqual({ kind: 'commit', counter: 6 });
  });
});
