// The driver of an OpenBLT board against a simulated one: the way of an update, what it says, and what breaks it.

import { describe, expect, it } from 'vitest';
import type { ImageSource } from '../../src/image/image-source.ts';
import { versionInImage } from '../../src/uds/first-image.ts';
import { boardBench, CAMPAIGN, firmware, reasonOf, START, targetOf } from './openblt-support.ts';
import { imageOf } from './support.ts';

const NO_CHECKS = { knownDtcs: undefined, heartbeatMs: 0 };

describe('an update of an OpenBLT board', () => {
  it('is programmed through the application that leaves for its boot loader', async () => {
    const { driver, board, within, events, frames } = await boardBench();
    expect(board.version).toBe('1.0.0');
    const target = targetOf('2.0.0');
    const progress: number[] = [];
    expect(await within(driver.stage(target))).toMatchObject({ ok: true });
    expect(frames).toEqual([]);
    const done = await within(
      driver.activate(target, { progress: ({ sent }) => progress.push(sent) }),
    );
    expect(reasonOf(done)).toBe('ok');
    expect(done).toMatchObject({ value: { bytes: 600, changed: 'yes', held: false } });
    expect(progress).toEqual([0, 256, 512, 600]);
    expect(board.mode).toBe('application');
    expect(board.version).toBe('2.0.0');
    expect(events.filter((kind) => kind === 'erase')).toHaveLength(1);
    const verified = await within(driver.verify(target, NO_CHECKS));
    expect(verified).toMatchObject({
      ok: true,
      value: { version: '2.0.0', sha256: target.image.sha256 },
      warnings: [expect.stringContaining('all its bytes were read back and compared')],
    });
    expect(await within(driver.confirm())).toMatchObject({ ok: true });
    // 256 bytes: one SET_MTA, one PROGRAM of 4, 36 PROGRAM_MAX of 7.
    expect(frames.filter((frame) => frame.startsWith('c9'))).toHaveLength(36 + 36 + 12);
    expect(frames.filter((frame) => /^d00[1-6]/.test(frame))).toHaveLength(3);
  });

  it('is identified by the record, without a frame', async () => {
    const { driver, connect, within, frames } = await boardBench();
    expect(await within(driver.identify())).toMatchObject({
      value: { version: undefined, sha256: undefined },
    });
    const target = targetOf('2.0.0');
    await within(driver.activate(target));
    frames.length = 0;
    // Another process of the TMU.
    expect(await within(connect().identify())).toMatchObject({
      value: { version: '2.0.0', sha256: target.image.sha256 },
    });
    expect(frames).toEqual([]);
  });

  it('is not programmed twice by one campaign', async () => {
    const { driver, connect, within, frames } = await boardBench();
    const target = targetOf('2.0.0');
    await within(driver.activate(target));
    frames.length = 0;
    expect(await within(connect().activate(target))).toMatchObject({
      value: { held: true, changed: 'yes', bytes: 0 },
    });
    expect(frames).toEqual([]);
    const other = { ...target, campaign: 'ff'.repeat(16) };
    expect(await within(connect().activate(other))).toMatchObject({ value: { held: false } });
  });

  it('waits for power-on where the application does not leave for its boot loader', async () => {
    const bench = await boardBench({ leavesOnConnect: false });
    const deaf = await bench.within(bench.driver.activate(targetOf('2.0.0')));
    expect(reasonOf(deaf)).toContain('SILENT no');
    expect(reasonOf(deaf)).toContain('switch the board off and on');
    expect(bench.board.version).toBe('1.0.0');
    bench.clock.after('person', 60_000, () => bench.board.powerOn());
    const done = await bench.within(bench.connect(120_000).activate(targetOf('2.0.0')));
    expect(reasonOf(done)).toBe('ok');
    expect(bench.board.version).toBe('2.0.0');
  });

  it('is unlocked by seed and key; a wrong key is a failure that changes nothing', async () => {
    const security = { algorithm: 'xor', constant: 'A5' } as const;
    const right = await boardBench({ ecu: { security } });
    expect(reasonOf(await right.within(right.driver.activate(targetOf('2.0.0'))))).toBe('ok');
    const wrong = await boardBench({ ecu: { security } });
    const other = { ...wrong.ecu, security: { ...security, level: 1, constant: 'A6' } } as const;
    const { boardOnBus } = await import('../../src/onboard/board.ts');
    const driverWith = (ecu: typeof wrong.ecu) =>
      boardOnBus(wrong.wire.attach('other'), { ecu, clock: wrong.clock }).driver;
    const refused = await wrong.within(driverWith(other).activate(targetOf('2.0.0')));
    expect(reasonOf(refused)).toMatch(/^SECURITY no .*ERR_ACCESS_LOCKED/);
    const none = { ...wrong.ecu, security: { algorithm: 'none' } } as const;
    const locked = await wrong.within(driverWith(none).activate(targetOf('2.0.0')));
    expect(reasonOf(locked)).toMatch(/^SECURITY no .*there is no key for it/);
  });

  it.each([
    ['motorola', true],
    ['intel', false],
  ] as const)('in the byte order %s, with UPLOAD: %s', async (byteOrder, hasUpload) => {
    const { driver, board, within } = await boardBench({ byteOrder, hasUpload });
    const target = targetOf('2.0.0');
    expect(reasonOf(await within(driver.activate(target)))).toBe('ok');
    expect(board.version).toBe('2.0.0');
    const verified = await within(driver.verify(target, NO_CHECKS));
    const text = hasUpload ? 'read back and compared' : 'acknowledged and not read back';
    expect(verified).toMatchObject({ warnings: [expect.stringContaining(text)] });
  });

  it('is refused where the bytes must be read back and cannot', async () => {
    const { driver, within } = await boardBench({
      hasUpload: false,
      openblt: { readBack: 'required' },
    });
    const done = await within(driver.activate(targetOf('2.0.0')));
    expect(reasonOf(done)).toMatch(/^REFUSED yes .*ERR_CMD_UNKNOWN/);
  });

  it('takes one word of the vector table for the checksum of the boot loader, and no other byte', async () => {
    const { driver, within } = await boardBench({ checksumAt: START + 0x150 });
    const done = await within(driver.activate(targetOf('2.0.0')));
    expect(done).toMatchObject({ ok: true, warnings: [expect.stringContaining('0x08002150')] });
    const named = await boardBench({ openblt: { checksum: { address: START + 0x150 } } });
    expect(await named.within(named.driver.activate(targetOf('2.0.0')))).toMatchObject({
      ok: true,
      warnings: [],
    });
    const strict = await boardBench({
      ...{ checksumAt: START + 0x150, openblt: { readBack: 'required' } },
    });
    const refused = await strict.within(strict.driver.activate(targetOf('2.0.0')));
    expect(reasonOf(refused)).toMatch(/^DIGEST_MISMATCH yes .*byte 0x0800215/);
    const far = await boardBench({ checksumAt: START + 1200 });
    const image = imageOf(firmware('2.0.0', 1500));
    const beyond = await far.within(far.driver.activate(targetOf('2.0.0', image)));
    expect(reasonOf(beyond)).toMatch(/^DIGEST_MISMATCH yes/);
  });

  it('of several segments clears all of them first', async () => {
    const { driver, board, within, frames } = await boardBench();
    const bytes = firmware('2.0.0', 300);
    const image: ImageSource = {
      ...imageOf(bytes),
      map: {
        segments: [
          { address: START, length: 200 },
          { address: START + 0x2000, length: 100 },
        ],
        dataOffset: 0,
      },
    };
    expect(reasonOf(await within(driver.activate(targetOf('2.0.0', image))))).toBe('ok');
    expect(board.read(START + 0x2000, 100)).toEqual(bytes.slice(200));
    const kinds = frames.map((frame) => frame.slice(0, 2)).filter((kind) => /^[cd]/.test(kind));
    expect(kinds.lastIndexOf('d1')).toBeLessThan(kinds.indexOf('c9'));
  });

  it('outside of the flash is refused before anything is sent', async () => {
    const { driver, within, frames } = await boardBench();
    const image: ImageSource = {
      ...imageOf(firmware('2.0.0')),
      map: { segments: [{ address: 0x0800_0000, length: 600 }], dataOffset: 0 },
    };
    const target = targetOf('2.0.0', image);
    expect(reasonOf(await within(driver.stage(target)))).toMatch(/^IMAGE_MISPLACED no .*outside/);
    expect(reasonOf(await within(driver.activate(target)))).toMatch(/^IMAGE_MISPLACED no/);
    const large = targetOf('2.0.0', imageOf(new Uint8Array(0x4001)));
    expect(reasonOf(await within(driver.stage(large)))).toMatch(/^IMAGE_TOO_LARGE no/);
    expect(frames).toEqual([]);
  });
});

describe('the application', () => {
  const alive = { id: '0x321', everyMs: 200 };

  it('is seen by its frame', async () => {
    const { driver, within, frames } = await boardBench({ openblt: { alive } });
    const target = targetOf('2.0.0');
    expect(reasonOf(await within(driver.activate(target)))).toBe('ok');
    const connects = frames.filter((frame) => frame === 'ff00').length;
    const verified = await within(driver.verify(target, { ...NO_CHECKS, heartbeatMs: 5000 }));
    expect(verified).toMatchObject({
      warnings: [expect.stringContaining('its application sends its frame')],
    });
    expect(frames.filter((frame) => frame === 'ff00')).toHaveLength(connects);
  });

  it.each([
    ['that the boot loader does not accept', undefined, 'its boot loader still answers'],
    ['that sends no frame', alive, 'sends no frame 0x321'],
  ])('%s fails the activation', async (_what, frame, reason) => {
    const faults = { refuseNewImage: true };
    const { driver, within, board } = await boardBench({
      ...{ faults, openblt: frame === undefined ? {} : { alive: frame } },
    });
    const done = await within(driver.activate(targetOf('2.0.0')));
    expect(reasonOf(done)).toContain(`SELF_TEST yes`);
    expect(reasonOf(done)).toContain(reason);
    expect(board.mode).toBe('boot-loader');
  });

  it('that falls silent later fails the watch', async () => {
    const bench = await boardBench({ openblt: { alive } });
    const target = targetOf('2.0.0');
    await bench.within(bench.driver.activate(target));
    bench.clock.after('fault', 1000, () => bench.board.losePower());
    const verified = bench.driver.verify(target, { ...NO_CHECKS, heartbeatMs: 5000 });
    expect(reasonOf(await bench.within(verified))).toMatch(/^HEARTBEAT no/);
  });
});

describe('a board that fails', () => {
  it('at a byte says which, and is programmed by the next try', async () => {
    const faults: { failWriteAt?: number } = { failWriteAt: 300 };
    const { driver, within, board } = await boardBench({ faults });
    const done = await within(driver.activate(targetOf('2.0.0')));
    expect(done).toMatchObject({ ok: false, code: 'REFUSED', transient: true, changed: 'yes' });
    expect(reasonOf(done)).toContain('ERR_GENERIC (31)');
    expect(await within(driver.identify())).toMatchObject({ value: { version: undefined } });
    delete faults.failWriteAt;
    expect(reasonOf(await within(driver.activate(targetOf('2.0.0'))))).toBe('ok');
    expect(board.version).toBe('2.0.0');
  });

  it('by a loss of power stays in its boot loader, from where it is programmed again', async () => {
    const faults: { losePowerAfter?: number } = { losePowerAfter: 200 };
    const { driver, within, board, clock } = await boardBench({ faults });
    const done = await within(driver.activate(targetOf('2.0.0')));
    expect(reasonOf(done)).toMatch(/^SILENT yes/);
    delete faults.losePowerAfter;
    board.powerOn();
    await clock.advance(10_000);
    expect(board.mode).toBe('boot-loader');
    expect(reasonOf(await within(driver.activate(targetOf('2.0.0'))))).toBe('ok');
    expect(board.version).toBe('2.0.0');
  });

  it('by a lost answer gets its bytes once', async () => {
    const { driver, wire, within, board } = await boardBench();
    let answers = 0;
    wire.filter = ({ id }) => (id === 0x7e1 && ++answers % 40 === 0 ? 'drop' : 'pass');
    const image = imageOf(firmware('2.0.0'));
    expect(reasonOf(await within(driver.activate(targetOf('2.0.0', image))))).toBe('ok');
    expect(board.read(START, 600)).toEqual(firmware('2.0.0'));
  });

  it('by a hang is silent', async () => {
    const { driver, within } = await boardBench({ faults: { stuckAfter: 30 } });
    expect(reasonOf(await within(driver.activate(targetOf('2.0.0'))))).toMatch(/^SILENT yes/);
  });

  it('is not begun when the step is not wanted any more, and can be stopped', async () => {
    const { driver, within, board, clock } = await boardBench();
    const unwanted = await within(
      driver.activate(targetOf('2.0.0'), { changing: async () => false }),
    );
    expect(reasonOf(unwanted)).toMatch(/^INTERRUPTED no/);
    expect(versionInImage(board.read(START, 100))).toBe('1.0.0');
    const stop = new AbortController();
    const stopped = driver.activate(targetOf('2.0.0'), {
      signal: stop.signal,
      progress: ({ sent }) => {
        if (sent > 0) stop.abort();
      },
    });
    expect(reasonOf(await clock.within(100_000, stopped))).toMatch(/^INTERRUPTED yes/);
  });
});

describe('a rollback', () => {
  const previous = { version: '1.0.0', image: imageOf(firmware('1.0.0')) };

  it('flashes the last good image back', async () => {
    const { driver, within, board } = await boardBench();
    const target = targetOf('2.0.0');
    await within(driver.activate(target));
    const back = await within(driver.rollback({ target, previous, changed: 'yes' }));
    expect(back).toMatchObject({
      ok: true,
      value: { version: '1.0.0', sha256: previous.image.sha256, unchanged: false },
    });
    expect(board.version).toBe('1.0.0');
  });

  it('after a restart in the middle does so too, and repeats nothing when it was done', async () => {
    const faults: { failWriteAt?: number } = { failWriteAt: 300 };
    const { driver, connect, within, board, frames } = await boardBench({ faults });
    const target = targetOf('2.0.0');
    await within(driver.activate(target));
    delete faults.failWriteAt;
    const order = { target, previous, changed: 'unknown' } as const;
    expect(await within(connect().rollback(order))).toMatchObject({ value: { unchanged: false } });
    expect(board.version).toBe('1.0.0');
    frames.length = 0;
    expect(await within(connect().rollback({ ...order, changed: 'yes' }))).toMatchObject({
      value: { version: '1.0.0', unchanged: false },
    });
    expect(frames).toEqual([]);
  });

  it('of an unchanged board sends nothing', async () => {
    const { driver, within, frames } = await boardBench();
    for (const changed of ['no', 'unknown'] as const) {
      const order = { target: targetOf('2.0.0'), previous, changed };
      expect(await within(driver.rollback(order))).toMatchObject({ value: { unchanged: true } });
    }
    expect(frames).toEqual([]);
  });

  it('without a kept image is a failure that says so', async () => {
    const { driver, within } = await boardBench();
    const target = targetOf('2.0.0');
    await within(driver.activate(target));
    const order = { target, previous: { version: '1.0.0' }, changed: 'yes' } as const;
    expect(reasonOf(await within(driver.rollback(order)))).toMatch(
      /^NO_PREVIOUS_IMAGE no .*its previous image 1\.0\.0 is not kept here/,
    );
  });

  it('leaves the campaign of the target in the record', async () => {
    const { driver, within, storage } = await boardBench();
    await within(driver.activate(targetOf('2.0.0')));
    const note = JSON.parse(Buffer.from((await storage.read('boards/BLT.json'))!).toString());
    expect(note).toMatchObject({ state: 'written', version: '2.0.0', campaign: CAMPAIGN });
  });
});
