// The driver against our own ECUs: activation, verification, confirmation and every way back.

import { describe, expect, it } from 'vitest';
import type { EcuMetadataSource, Target } from '../../src/campaign/ports.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle, imageOf as bytesOf } from '../support/ecu-bench.ts';
import { plainOf } from '../support/secured-message.ts';
import { image, MINUTES, start, UNWATCHED, unwrap } from './ecu-driver-support.ts';
import {
  benchAuthority,
  commitAlone,
  confirmAlone,
  EcuLink,
  programOne,
  signedTarget,
} from './ecu-link.ts';
import { imageOf } from './support.ts';

const EDT = findEcu(benchVehicle, 'EDT');

/** What was ordered by service 84: everything in it that is no question. */
function orders(link: EcuLink): string[] {
  return link.requests
    .filter((sent) => sent.startsWith('84'))
    .map(plainOf)
    .filter((inner) => !/^(22|3103)/.test(inner));
}

/** DID FD25, read by anybody. */
async function recordOf(link: EcuLink): Promise<{ readonly commitment: string }> {
  const reply = await link.clock.within(1000, link.client.request(fromHex('22FD25')));
  if (reply.kind !== 'positive') throw new Error(reply.kind);
  return { commitment: toHex(reply.data.subarray(-16)) };
}

describe('an ECU with two banks', () => {
  it('is identified, staged, activated, verified, confirmed', async () => {
    const { link, driver, target, run } = await start();
    const identity = unwrap(await run(driver.identify()));
    expect(identity).toMatchObject({ hardwareId: 'EDT-HW1', version: '1.0.0' });
    expect(identity.sha256).toMatch(/^[0-9a-f]{64}$/);
    const report = unwrap(await run(driver.stage(target)));
    expect(report.bytes).toBe(10_000);
    expect(report.transferMs).toBeGreaterThan(0);
    expect(unwrap(await run(driver.identify())).version).toBe('1.0.0');
    unwrap(await run(driver.activate(target)));
    expect(unwrap(await run(driver.verify(target, UNWATCHED)))).toEqual({
      version: '2.0.0',
      sha256: image.sha256,
      commitment: (await recordOf(link)).commitment,
    });
    unwrap(await run(confirmAlone(driver, target)));
    unwrap(await run(commitAlone(driver, target)));
    await link.clock.advance(30 * MINUTES);
    expect(unwrap(await run(driver.verify(target, UNWATCHED))).version).toBe('2.0.0');
    expect(link.storage.contents('bank-b.bin')).toEqual(bytesOf(10_000));
  });

  it('takes every step again without doing it again', async () => {
    const { link, driver, target, run } = await start();
    unwrap(await run(driver.stage(target)));
    link.requests.length = 0;
    expect(unwrap(await run(driver.stage(target))).bytes).toBe(0);
    expect(link.requests.some((sent) => /^34|^3101FF00/.test(sent))).toBe(false);
    unwrap(await run(driver.activate(target)));
    link.requests.length = 0;
    unwrap(await run(driver.activate(target)));
    expect(unwrap(await run(driver.stage(target))).bytes).toBe(0);
    expect(orders(link)).toEqual([]);
    expect(link.requests).not.toContain('1101');
    unwrap(await run(confirmAlone(driver, target)));
    link.requests.length = 0;
    unwrap(await run(confirmAlone(driver, target)));
    // Neither a session nor a level is opened for it, nor anything told in the clear.
    expect(link.requests.every((sent) => sent === '22FD24' || sent.startsWith('84'))).toBe(true);
    expect(link.events.filter(({ kind }) => kind === 'confirm')).toHaveLength(1);
    unwrap(await run(commitAlone(driver, target)));
    unwrap(await run(commitAlone(driver, target)));
    expect(link.events.filter(({ kind }) => kind === 'commit')).toHaveLength(1);
  });

  it('goes on when the activation was asked for and the reset never came', async () => {
    const { link, driver, target, run } = await start();
    unwrap(await run(driver.stage(target)));
    const abort = new AbortController();
    link.loses = (request) => {
      const isReset = plainOf(request) === '1101';
      if (isReset) abort.abort();
      return isReset;
    };
    expect(await run(driver.activate(target, { signal: abort.signal }))).toMatchObject({
      code: 'INTERRUPTED',
    });
    link.loses = undefined;
    unwrap(await run(driver.activate(target)));
    expect(unwrap(await run(driver.verify(target, UNWATCHED))).version).toBe('2.0.0');
  });

  it('is not activated without its image', async () => {
    const { driver, target, run } = await start();
    expect(await run(driver.activate(target))).toMatchObject({ ok: false, code: 'NOT_STAGED' });
  });

  it('that does not start the new image is found out', async () => {
    const { driver, target, run } = await start('EDT', { faults: { refuseNewImage: true } });
    unwrap(await run(driver.stage(target)));
    const result = await run(driver.activate(target));
    expect(result).toMatchObject({ ok: false, code: 'SELF_TEST' });
    const back = await run(
      driver.rollback({ target, previous: { version: '1.0.0' }, changed: 'yes' as const }),
    );
    expect(unwrap(back).version).toBe('1.0.0');
  });

  it('whose self test fails cannot be confirmed, and goes back', async () => {
    const { link, driver, target, run } = await start('EDT', { faults: { failSelfTest: true } });
    unwrap(await run(driver.stage(target)));
    unwrap(await run(driver.activate(target)));
    const own = (await recordOf(link)).commitment;
    expect(await run(driver.confirm(target, [own]))).toMatchObject({
      ok: false,
      code: 'SELF_TEST',
    });
    const back = await run(
      driver.rollback({ target, previous: { version: '1.0.0' }, changed: 'yes' as const }),
    );
    expect(unwrap(back).version).toBe('1.0.0');
  });

  it('has no way back once a higher security counter is committed', async () => {
    const { link, driver, target, run } = await start();
    expect((await run(programOne(link, EDT, target))).ok).toBe(true);
    const back = driver.rollback({ target, previous: { version: '1.0.0' }, changed: 'yes' });
    expect(await run(back)).toMatchObject({ ok: false, code: 'PRECONDITION' });
    expect(unwrap(await run(driver.identify())).version).toBe('2.0.0');
  });

  it('does not raise the counter of an image that is none of the order', async () => {
    const { link, driver, target, run } = await start();
    unwrap(await run(driver.stage(target)));
    unwrap(await run(driver.activate(target)));
    const nobody = ['00'.repeat(16)];
    expect(await run(driver.commit(target, nobody))).toMatchObject({
      ok: false,
      code: 'PRECONDITION',
    });
    unwrap(await run(confirmAlone(driver, target)));
    const other = signedTarget(link.clock, 'EDT', imageOf(bytesOf(300, 5)), '1.9.0');
    expect(await run(driver.commit(other, nobody))).toMatchObject({ ok: false, code: 'REFUSED' });
    expect(link.events.some(({ kind }) => kind === 'commit')).toBe(false);
    const back = driver.rollback({
      target,
      previous: { version: '1.0.0' },
      changed: 'yes' as const,
    });
    expect(unwrap(await run(back)).version).toBe('1.0.0');
  });

  it('takes an old image again when it is released anew, although it still holds it', async () => {
    const { link, run } = await start();
    const other = imageOf(bytesOf(9000, 3));
    const install = (source: ImageSource, version: string, counter: number) =>
      run(programOne(link, EDT, signedTarget(link.clock, 'EDT', source, version, counter)));
    expect((await install(image, '2.0.0', 1)).ok).toBe(true);
    expect((await install(other, '3.0.0', 2)).ok).toBe(true);
    const back = await install(image, '2.0.0', 3);
    expect(back).toMatchObject({ ok: true, report: { version: '2.0.0' } });
  });

  it('erases nothing for metadata that is not for it', async () => {
    const { link, driver, run } = await start();
    const other = signedTarget(link.clock, 'CGW', image, '2.0.0');
    const result = await run(driver.stage(other));
    expect(result).toMatchObject({ ok: false, code: 'UNTRUSTED' });
    expect(link.events.some(({ kind }) => kind === 'erase')).toBe(false);
  });

  it('names the attack that it has detected', async () => {
    const { link, driver, target, run } = await start();
    let first: Uint8Array | undefined;
    const replayed: Target = {
      ...target,
      metadata: async (state) => {
        const made = await (target.metadata as EcuMetadataSource)(state);
        if (made.ok) first ??= made.value;
        return made.ok ? { ok: true, value: first! } : made;
      },
    };
    unwrap(await run(driver.stage(replayed)));
    unwrap(
      await run(
        driver.rollback({ target, previous: { version: '1.0.0' }, changed: 'unknown' as const }),
      ),
    );
    // The same bundle once more: its time answers a question that nobody asks any more.
    expect(await run(driver.stage(replayed))).toMatchObject({
      ok: false,
      code: 'UNTRUSTED',
      attack: 'FREEZE',
    });
    expect(link.events.filter(({ kind }) => kind === 'erase')).toHaveLength(1);
  });

  it('a rollback of an ECU that was never reached changes nothing', async () => {
    const { link, driver, target, run } = await start();
    const order = { target, previous: { version: '1.0.0' }, changed: 'unknown' as const };
    expect(unwrap(await run(driver.rollback(order))).version).toBe('1.0.0');
    // Neither a session nor a level is opened for it, nor anything told in the clear.
    expect(link.requests.every((sent) => sent === '22FD24' || sent.startsWith('84'))).toBe(true);
    expect(orders(link)).toEqual([]);
  });

  it('that loses its supply in the transfer is silent, and is staged after its next start', async () => {
    const { link, driver, target, run } = await start('EDT', { faults: { losePowerAfter: 6000 } });
    const failed = await run(driver.stage(target));
    expect(failed).toMatchObject({ ok: false, code: 'SILENT', transient: true });
    expect(failed.ok || failed.reason).toContain('of 10000 bytes');
    const again = await EcuLink.start(benchVehicle, 'EDT', link.clock, {
      storage: link.storage.afterPowerCut(),
    });
    const second = new UdsEcuDriver({
      ecu: findEcu(benchVehicle, 'EDT'),
      requester: again.client,
      clock: link.clock,
      authority: benchAuthority('EDT'),
    });
    expect(unwrap(await run(second.identify())).version).toBe('1.0.0');
    expect(unwrap(await run(second.stage(target))).bytes).toBe(10_000);
  });

  it('that cannot write says so', async () => {
    const { driver, target, run } = await start('EDT', { faults: { failWriteAt: 5000 } });
    expect(await run(driver.stage(target))).toMatchObject({
      ok: false,
      code: 'REFUSED',
      reason: expect.stringContaining('generalProgrammingFailure (0x72)'),
    });
  });

  it('that is slow is waited for', async () => {
    const { driver, target, run } = await start('EDT', { faults: { slowMs: 700 } });
    expect(unwrap(await run(driver.stage(target))).bytes).toBe(10_000);
  });

  it('that is silent is named', async () => {
    const { driver, run } = await start('EDT', { faults: { silent: true } });
    expect(await run(driver.identify())).toMatchObject({
      ok: false,
      code: 'SILENT',
      reason: expect.stringContaining('EDT (0x7E1 -> 0x7E9)'),
    });
  });

  it('with other hardware is refused before anything is sent to its flash', async () => {
    const { link, driver, target, run } = await start('EDT', { faults: { hardwareId: 'EDT-HW9' } });
    expect(await run(driver.stage(target))).toMatchObject({ ok: false, code: 'WRONG_HARDWARE' });
    expect(link.requests).toEqual(['22F191', '22F191']);
  });
});

describe('an ECU with one bank', () => {
  it('is written by its activation, and restored from the image that is kept', async () => {
    const { link, driver, target, run } = await start('ONE');
    const old = imageOf(Uint8Array.from(link.storage.contents('bank-a.bin')!));
    expect(unwrap(await run(driver.stage(target))).bytes).toBe(0);
    expect(unwrap(await run(driver.identify())).sha256).toBe(old.sha256);
    expect(unwrap(await run(driver.activate(target))).bytes).toBe(10_000);
    expect(unwrap(await run(driver.activate(target))).bytes).toBe(0);
    expect(unwrap(await run(driver.verify(target, UNWATCHED)))).toEqual({
      version: '2.0.0',
      sha256: image.sha256,
      commitment: (await recordOf(link)).commitment,
    });
    const without = { target, previous: { version: '1.0.0' }, changed: 'yes' as const };
    expect(await run(driver.rollback(without))).toMatchObject({ code: 'NO_PREVIOUS_IMAGE' });
    const order = { ...without, previous: { version: '1.0.0', image: old } };
    expect(unwrap(await run(driver.rollback(order)))).toEqual({
      version: '1.0.0',
      sha256: old.sha256,
      unchanged: false,
    });
  });

  it('whose bank is gone is not believed what it still runs from RAM', async () => {
    const { driver, target, run } = await start('ONE', { faults: { failWriteAt: 5000 } });
    expect(await run(driver.activate(target))).toMatchObject({ ok: false });
    const order = { target, previous: { version: '1.0.0' }, changed: 'yes' as const };
    expect(await run(driver.rollback(order))).toMatchObject({
      code: 'NO_PREVIOUS_IMAGE',
      reason: expect.stringContaining('1.0.0 is not kept here'),
    });
  });

  it('takes nothing older once it is committed', async () => {
    const { link, driver, target, run } = await start('ONE');
    const old = imageOf(Uint8Array.from(link.storage.contents('bank-a.bin')!));
    unwrap(await run(driver.activate(target)));
    unwrap(await run(confirmAlone(driver, target)));
    unwrap(await run(confirmAlone(driver, target)));
    unwrap(await run(commitAlone(driver, target)));
    unwrap(await run(commitAlone(driver, target)));
    const order = { target, previous: { version: '1.0.0', image: old }, changed: 'yes' as const };
    expect(await run(driver.rollback(order))).toMatchObject({ ok: false });
    expect(unwrap(await run(driver.verify(target, UNWATCHED))).version).toBe('2.0.0');
  });

  it('that was never touched needs no image to go back', async () => {
    const { driver, target, run } = await start('ONE');
    for (const changed of ['no', 'unknown', 'yes'] as const) {
      const order = { target, previous: { version: '1.0.0' }, changed };
      expect(unwrap(await run(driver.rollback(order))).version).toBe('1.0.0');
    }
  });
});
