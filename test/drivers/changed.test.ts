// From which request on a driver says that something was changed, and what a rollback does by that.

import { describe, expect, it } from 'vitest';
import type { Changed, DriverResult, RollbackOrder, Target } from '../../src/campaign/ports.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { STANDARD_PROGRAMMING } from '../../src/vehicle/programming-schema.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { plainOf } from '../support/secured-message.ts';
import { start } from './ecu-driver-support.ts';
import type { EcuLink } from './ecu-link.ts';
import { type Answer, ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const HOUR = 3_600_000;
const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));
const old = imageOf(Uint8Array.from({ length: 12 }, (_, index) => 0x40 + index));
const NEW_SHA = image.sha256.toUpperCase();
const OLD_SHA = old.sha256.toUpperCase();
const target: Target = { campaign: CAMPAIGN, version: '2.0.0', image };
const BUNDLE = new TextEncoder().encode('{}');

/** Everything that a programming asks, answered; blocks of 10 bytes. */
const WILLING: Record<string, Answer> = {
  '22F186': '62F18602',
  '22F189': `62F189${ascii('1.0.0')}`,
  '22F191': `62F191${ascii('EDT-HW-1')}`,
  '190209': '5902FF',
  '1001': '5001003201F4',
  '1002': '5002003201F4',
  '1003': '5003003201F4',
  '8502': 'C502',
  '280101': '6801',
  '31010203': '7101020300',
  '2701': '6701000102030405060708090A0B0C0D0E0F',
  '2702': '6702',
  '2EF15A': '6EF15A',
  '38': '7801020 0FF00'.replace(' ', ''),
  '3101FF00': '7101FF0000',
  '34': '7420000A',
  '3601': '7601',
  '3602': '7602',
  '3603': '7603',
  '37': '77',
  '31010202': '7101020200',
  '3101FF01': '7101FF0100',
  '1101': '5101',
};
const CHANGES = /^(11|31010210|31010212|3101FF00|34|36)/;

const SINGLE = { programming: 'standard', memory: { banks: 1, bankSize: 4096 } };
const DOUBLE = { programming: { metadata: 'required' } };
/** It verifies nothing, and takes orders from whoever has unlocked it. */
const FOREIGN = { programming: { metadata: 'skip' } };

function driverOf(ecu: ScriptedEcu, change: Record<string, unknown> = SINGLE): UdsEcuDriver {
  return new UdsEcuDriver({ ecu: ecuOf(change), requester: ecu, clock: ecu.clock });
}

function changedOf(result: DriverResult<unknown>): Changed {
  if (result.ok) throw new Error('it succeeded');
  return result.changed;
}

function changing(ecu: ScriptedEcu): string[] {
  return ecu.log.filter((sent) => CHANGES.test(sent));
}

describe('an ECU with one bank that is being written', () => {
  it.each<[string, Answer, Changed]>([
    ['1003', '7F1022', 'no'],
    ['1003', 'silent', 'no'],
    ['8502', '7F8522', 'no'],
    ['280101', '7F2822', 'no'],
    ['31010203', '7F3122', 'no'],
    ['31010203', '7101020301', 'no'],
    ['1002', '7F1022', 'no'],
    ['1002', '7F1083', 'no'],
    ['1002', 'silent', 'no'],
    ['1002', 'bus', 'no'],
    ['2701', '7F2733', 'no'],
    ['2701', '7F2736', 'no'],
    ['2702', '7F2735', 'no'],
    ['2EF15A', '7F2E22', 'no'],
    ['3101FF00', '7F3122', 'no'],
    ['3101FF00', '7F3133', 'no'],
    ['3101FF00', '7F3172', 'unknown'],
    ['3101FF00', '7F3193', 'no'],
    ['3101FF00', 'pending 7F3193', 'unknown'], // it may have dropped meanwhile
    ['3101FF00', 'pending 7F3122', 'unknown'], // it was at work
    ['3101FF00', 'silent', 'unknown'],
    ['3101FF00', 'transport', 'unknown'],
    ['3101FF00', 'unexpected', 'unknown'],
    ['3101FF00', '71', 'unknown'],
    ['34', '7F3470', 'yes'], // erased already
    ['3602', '7F3672', 'yes'],
    ['37', '7F3724', 'yes'],
    ['31010202', '7101020201', 'yes'],
    ['1101', '7F1122', 'yes'],
  ])('and answers %s with %s: changed %s', async (request, answer, changed) => {
    const ecu = new ScriptedEcu({ ...WILLING, [request]: answer });
    const driver = driverOf(ecu);
    const failed = await ecu.clock.within(HOUR, driver.activate(target));
    expect(changedOf(failed)).toBe(changed);
    if (changed !== 'no') return;
    // The same driver knows it, whatever it is told about the tries.
    expect(changing(ecu).filter((sent) => !sent.startsWith('3101FF00'))).toEqual([]);
    ecu.log.length = 0;
    for (const [key, willing] of Object.entries(WILLING)) ecu.set(key, willing);
    const order: RollbackOrder = { target, previous: { version: '1.0.0', image: old } };
    expect(await ecu.clock.within(HOUR, driver.rollback(order))).toMatchObject({
      ok: true,
      value: { unchanged: true },
    });
    expect(ecu.log.every((sent) => sent.startsWith('22'))).toBe(true);
  });

  it.each(['7F3122', '7F3124', '7F3170'])(
    'and answers the second 31 FF00 with %s when the answer to the first one was lost: changed unknown',
    async (refusal) => {
      const ecu = new ScriptedEcu({ ...WILLING, '3101FF00': ['silent', refusal] });
      const failed = await ecu.clock.within(HOUR, driverOf(ecu).activate(target));
      expect(failed).toMatchObject({ changed: 'unknown', transient: true });
    },
  );

  it('after 34 that was accepted without an erase', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '3101FF00': '7F3131', '3601': '7F3631' });
    expect(changedOf(await ecu.clock.within(HOUR, driverOf(ecu).activate(target)))).toBe('yes');
    const refused = new ScriptedEcu({ ...WILLING, '3101FF00': '7F3131', '34': '7F3470' });
    expect(changedOf(await refused.clock.within(HOUR, driverOf(refused).activate(target)))).toBe(
      'no',
    );
  });

  it('says that nothing was changed by what was refused', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '1002': '7F1022' });
    expect(await ecu.clock.within(HOUR, driverOf(ecu).activate(target))).toMatchObject({
      code: 'PRECONDITION',
      reason: expect.stringContaining('nothing was changed in it'),
    });
  });
});

describe('an ECU with two banks', () => {
  const staged = {
    ...WILLING,
    '22FD00': '62FD000000020000',
    '22FD01': `62FD01${OLD_SHA}`,
    '22FD02': `62FD02${NEW_SHA}`,
  };

  it.each<[string, Answer, Changed]>([
    ['2702', '7F2735', 'no'],
    ['1002', '7F1022', 'no'],
    ['38', '7F3870', 'no'],
    ['3101FF00', '7F3122', 'no'],
    ['3101FF00', 'silent', 'unknown'],
    ['34', '7F3431', 'yes'],
  ])('that is staged and answers %s with %s: changed %s', async (request, answer, changed) => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22FD00': '62FD000000000000',
      '22FD01': `62FD01${OLD_SHA}`,
      [request]: answer,
    });
    const done = driverOf(ecu, DOUBLE).stage({ ...target, metadata: BUNDLE });
    expect(changedOf(await ecu.clock.within(HOUR, done))).toBe(changed);
  });

  it.each<[string, Answer, Changed]>([
    ['1003', '7F1022', 'no'],
    ['2701', '7F2736', 'no'],
    ['31010210', '7F3122', 'no'],
    ['31010210', 'silent', 'unknown'],
    ['1101', '7F1122', 'yes'],
  ])(
    'of another make that is activated and answers %s with %s: changed %s',
    async (request, answer, changed) => {
      const ecu = new ScriptedEcu({ ...staged, '31010210': '7101021000', [request]: answer });
      const done = driverOf(ecu, FOREIGN).activate(target);
      expect(changedOf(await ecu.clock.within(HOUR, done))).toBe(changed);
    },
  );

  it('of another make whose answer to 0210 was lost is looked at, not told twice', async () => {
    const ecu = new ScriptedEcu(staged);
    let isPending = false;
    ecu.set('31010210', () => {
      isPending = true;
      return 'silent';
    });
    let isReset = false;
    ecu.set('1101', () => {
      isReset = true;
      return '5101';
    });
    ecu.set('22FD00', () =>
      isReset ? '62FD000101020003' : isPending ? '62FD000000020100' : '62FD000000020000',
    );
    ecu.set('22FD01', () => `62FD01${isReset ? NEW_SHA : OLD_SHA}`);
    const done = await ecu.clock.within(HOUR, driverOf(ecu, FOREIGN).activate(target));
    expect(done).toMatchObject({ ok: true, value: { changed: 'yes' } });
    expect(ecu.log.filter((sent) => sent.startsWith('31010210'))).toHaveLength(1);
  });

  it('that refused before anything was changed is not told to forget anything', async () => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22FD00': '62FD000000000000',
      '22FD01': `62FD01${OLD_SHA}`,
      '1002': '7F1022',
    });
    const driver = driverOf(ecu, DOUBLE);
    await ecu.clock.within(HOUR, driver.stage({ ...target, metadata: BUNDLE }));
    ecu.log.length = 0;
    const back = driver.rollback({ target, previous: { version: '1.0.0' } });
    expect(await ecu.clock.within(HOUR, back)).toMatchObject({ value: { unchanged: true } });
    expect(ecu.log.every((sent) => sent.startsWith('22'))).toBe(true);
  });
});

describe('an ECU of ours with two banks', () => {
  const isActivation = (message: string | Uint8Array) => /^[37]1010210/.test(plainOf(message));

  it.each<[string, (link: EcuLink) => void, Changed, number]>([
    [
      'order is lost every time',
      (link) => {
        link.loses = isActivation;
      },
      'unknown',
      0,
    ],
    [
      'answer is lost every time',
      (link) => {
        link.changes = (answer) => (isActivation(answer) ? undefined : answer);
      },
      'unknown',
      1,
    ],
    // A refusal in the clear is a word of anybody: it has done what it was told.
    [
      'answer is replaced by a refusal',
      (link) => {
        link.changes = (answer) => (isActivation(answer) ? fromHex('7F3122') : answer);
      },
      'unknown',
      1,
    ],
    [
      'restart is lost every time',
      (link) => {
        link.loses = (request) => plainOf(request) === '1101';
      },
      'yes',
      1,
    ],
  ])('whose %s', async (_what, disturb, changed, activations) => {
    const { link, driver, target: given, run } = await start();
    expect(await run(driver.stage(given))).toMatchObject({ ok: true });
    disturb(link);
    expect(changedOf(await run(driver.activate(given)))).toBe(changed);
    expect(link.events.filter(({ kind }) => kind === 'activate')).toHaveLength(activations);
    link.loses = undefined;
    link.changes = undefined;
    const back = await run(driver.rollback({ target: given, previous: { version: '1.0.0' } }));
    expect(back).toMatchObject({ ok: true, value: { version: '1.0.0' } });
  });
});

describe('before the first request that can change an ECU', () => {
  it('a record is waited for, and not once more by the next request', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const before: string[][] = [];
    const written = await ecu.clock.within(
      HOUR,
      driverOf(ecu).activate(target, {
        changing: async () => {
          before.push(changing(ecu));
          return true;
        },
      }),
    );
    expect(written).toMatchObject({ ok: false, code: 'SELF_TEST', changed: 'yes' });
    expect(before.map((sent) => sent.length)).toEqual([0, 1]);
  });

  it('an ECU with one bank is left alone when the step is not wanted any more', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const stopped = await ecu.clock.within(
      HOUR,
      driverOf(ecu).activate(target, { changing: async () => false }),
    );
    expect(stopped).toMatchObject({ ok: false, code: 'INTERRUPTED', changed: 'no' });
    expect(changing(ecu)).toEqual([]);
  });

  it('an ECU with two banks is, too', async () => {
    const { link, driver, target: given, run } = await start();
    const left = { ok: false, code: 'INTERRUPTED', changed: 'no' };
    const hooks = { changing: async () => false };
    expect(await run(driver.stage(given, hooks))).toMatchObject(left);
    expect(link.events.filter(({ kind }) => kind === 'erase')).toEqual([]);
    expect(await run(driver.stage(given))).toMatchObject({ ok: true });
    expect(await run(driver.activate(given, hooks))).toMatchObject(left);
    expect(link.events.filter(({ kind }) => kind === 'activate')).toEqual([]);
  });
});

describe('a driver that remembers nothing asks the ECU', () => {
  const previous = { version: '1.0.0', image: old };

  it.each<[string, Record<string, Answer>, RollbackOrder['previous'], boolean]>([
    ['the old version in the default session', { '22F186': '62F18601' }, previous, true],
    ['the old version, no session', { '22F186': '7F2231' }, previous, true],
    ['the old version, without a kept image', { '22F186': '62F18601' }, { version: '1.0.0' }, true],
    ['the old digest', { '22FD01': `62FD01${OLD_SHA}`, '22F189': '7F2231' }, previous, true],
    [
      'the digest that it told before',
      { '22FD01': `62FD01${OLD_SHA}` },
      { version: '1.0.0', sha256: old.sha256 },
      true,
    ],
    ['its programming session', { '22F186': '62F18602' }, previous, false],
    [
      'another version',
      { '22F186': '62F18601', '22F189': `62F189${ascii('0.1')}` },
      previous,
      false,
    ],
    ['no version', { '22F186': '62F18601', '22F189': '7F2231' }, previous, false],
    ['the new digest', { '22F186': '62F18601', '22FD01': `62FD01${NEW_SHA}` }, previous, false],
    [
      'no digest, which it told before',
      { '22F186': '62F18601' },
      { ...previous, sha256: old.sha256 },
      false,
    ],
  ])('it tells %s', async (_what, answers, before, isUnchanged) => {
    for (const changed of ['unknown', undefined] as const) {
      const ecu = new ScriptedEcu({ ...WILLING, ...answers });
      const order = { target, previous: before, ...(changed === undefined ? {} : { changed }) };
      const back = await ecu.clock.within(HOUR, driverOf(ecu).rollback(order));
      if (isUnchanged) expect(back).toMatchObject({ ok: true, value: { unchanged: true } });
      const sent = changing(ecu);
      const isProven = '22FD01' in answers;
      if (isUnchanged) expect(sent).toEqual(isProven ? [] : ['1101']);
      else expect(sent.some((request) => request.startsWith('36'))).toBe(true);
    }
  });

  it('is restarted, and given the time to start again what it ran before', async () => {
    let asked = 0;
    const late = (answer: string) => () => (asked++ < 4 ? answer : `62F189${ascii('1.0.0')}`);
    const ecu = new ScriptedEcu({ ...WILLING, '22F186': '62F18601', '22F189': late('7F2231') });
    const order: RollbackOrder = { target, previous: { version: '1.0.0' }, changed: 'unknown' };
    const back = await ecu.clock.within(HOUR, driverOf(ecu).rollback(order));
    expect(back).toMatchObject({ ok: true, value: { version: '1.0.0', unchanged: true } });
    expect(changing(ecu)).toEqual(['1101']);
  });

  it('is not believed an old version that it does not tell after a restart', async () => {
    // A bootloader with an erased bank, which has read the version before.
    let restarts = 0;
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22F186': '62F18601',
      '1101': () => {
        restarts++;
        return '5101';
      },
      '22F189': () => (restarts === 0 ? `62F189${ascii('1.0.0')}` : '7F2231'),
    });
    const order: RollbackOrder = { target, previous: { version: '1.0.0' }, changed: 'unknown' };
    const back = await ecu.clock.within(HOUR, driverOf(ecu).rollback(order));
    expect(back).toMatchObject({ ok: false, code: 'NO_PREVIOUS_IMAGE' });
    expect(restarts).toBe(1);
  });

  it('is not believed a version that the new image has, too', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '22F186': '62F18601' });
    const same = { ...target, version: '1.0.0' };
    const order: RollbackOrder = {
      target: same,
      previous: { version: '1.0.0' },
      changed: 'unknown',
    };
    const back = await ecu.clock.within(HOUR, driverOf(ecu).rollback(order));
    expect(back).toMatchObject({ ok: false, code: 'NO_PREVIOUS_IMAGE' });
  });

  it('that is not asked what it runs is left alone, and nothing is said of it', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const programming = { ...STANDARD_PROGRAMMING, identify: 'skip' };
    const order: RollbackOrder = { target, previous: { version: '0.0.0' }, changed: 'unknown' };
    const driver = driverOf(ecu, { ...SINGLE, programming });
    const back = await ecu.clock.within(HOUR, driver.rollback(order));
    expect(back).toMatchObject({ ok: false, code: 'VERSION_MISMATCH' });
    expect(changing(ecu)).toEqual([]);
  });

  it('what is known to be changed is restored although it tells the old version', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '22F186': '62F18601' });
    const order: RollbackOrder = { target, previous, changed: 'yes' };
    const back = await ecu.clock.within(HOUR, driverOf(ecu).rollback(order));
    expect(back).toMatchObject({ ok: true, value: { unchanged: false } });
    expect(changing(ecu).some((sent) => sent.startsWith('36'))).toBe(true);
  });

  it('what is known to be unchanged may even be silent', async () => {
    const ecu = new ScriptedEcu({ '': 'silent' });
    const order: RollbackOrder = { target, previous, changed: 'no' };
    expect(await ecu.clock.within(HOUR, driverOf(ecu).rollback(order))).toMatchObject({
      ok: true,
      value: { unchanged: true, version: undefined },
      warnings: [expect.stringContaining('nothing was changed in EDT')],
    });
  });
});
