// What an ECU told before an update it has to tell after it; what it never told is only mentioned.

import { describe, expect, it } from 'vitest';
import type { EcuReport, Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { type Answer, ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const HOUR = 3_600_000;
const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));
const NEW_SHA = image.sha256.toUpperCase();
const CHECKS = { knownDtcs: undefined, heartbeatMs: 0 };
const UNKNOWN = '7F2231';
const VERSION = `62F189${ascii('2.0.0')}`;
const DIGEST = `62FD01${NEW_SHA}`;

const TOLD = { version: '1.0.0', sha256: undefined };
const BOTH = { version: '1.0.0', sha256: 'aa'.repeat(32) };
const NOTHING = { version: undefined, sha256: undefined };

describe('an ECU with one bank', () => {
  it.each<
    [string, EcuReport | undefined, string | undefined, Record<string, Answer>, string | true]
  >([
    ['version as asked', TOLD, '2.0.0', { '22F189': VERSION }, true],
    ['version missing, told before', TOLD, '2.0.0', {}, 'VERSION_MISMATCH'],
    ['version missing, told before, none asked for', TOLD, undefined, {}, 'VERSION_MISMATCH'],
    ['version missing, nobody knows of before', undefined, '2.0.0', {}, 'VERSION_MISMATCH'],
    ['version missing, never told', NOTHING, '2.0.0', {}, true],
    ['version missing, nothing asked for', NOTHING, undefined, {}, true],
    ['digest missing, told before', BOTH, '2.0.0', { '22F189': VERSION }, 'DIGEST_MISMATCH'],
    ['digest as it should be', BOTH, '2.0.0', { '22F189': VERSION, '22FD01': DIGEST }, true],
    ['digest right, version missing', BOTH, '2.0.0', { '22FD01': DIGEST }, 'VERSION_MISMATCH'],
    [
      'version in its programming session',
      TOLD,
      '2.0.0',
      { '22F189': VERSION, '22F186': '62F18602' },
      'SELF_TEST',
    ],
    [
      'version of its bootloader',
      TOLD,
      undefined,
      { '22F189': `62F189${ascii('B-7')}`, '22F180': `62F18001${ascii('B-7')}` },
      'SELF_TEST',
    ],
    [
      'version that is not the one of its bootloader',
      TOLD,
      undefined,
      { '22F189': VERSION, '22F180': `62F18001${ascii('B-7')}` },
      true,
    ],
  ])('%s', async (_what, from, version, answers, expected) => {
    const ecu = new ScriptedEcu({ '22': UNKNOWN, '22F186': '62F18601', ...answers });
    const driver = new UdsEcuDriver({
      ecu: ecuOf({ programming: 'standard', security: { algorithm: 'none' } }),
      requester: ecu,
      clock: ecu.clock,
    });
    const target: Target = {
      campaign: CAMPAIGN,
      version,
      image,
      ...(from === undefined ? {} : { from }),
    };
    const verified = await ecu.clock.within(HOUR, driver.verify(target, CHECKS));
    expect(verified).toMatchObject(
      expected === true ? { ok: true } : { ok: false, code: expected, changed: 'no' },
    );
  });

  it('is remembered as it was identified', async () => {
    const ecu = new ScriptedEcu({ '22': UNKNOWN, '22F189': VERSION });
    const driver = new UdsEcuDriver({
      ecu: ecuOf({ programming: 'standard', security: { algorithm: 'none' } }),
      requester: ecu,
      clock: ecu.clock,
    });
    await ecu.clock.within(HOUR, driver.identify());
    ecu.set('22F189', UNKNOWN);
    const verified = driver.verify({ campaign: CAMPAIGN, version: undefined, image }, CHECKS);
    expect(await ecu.clock.within(HOUR, verified)).toMatchObject({ code: 'VERSION_MISMATCH' });
  });

  it('says what was compared, and only that', async () => {
    const warningsOf = async (answers: Record<string, Answer>) => {
      const ecu = new ScriptedEcu({ '22': UNKNOWN, ...answers });
      const driver = new UdsEcuDriver({
        ecu: ecuOf({ programming: 'standard', security: { algorithm: 'none' } }),
        requester: ecu,
        clock: ecu.clock,
      });
      const target = { campaign: CAMPAIGN, version: '2.0.0', image, from: NOTHING };
      const verified = await ecu.clock.within(HOUR, driver.verify(target, CHECKS));
      return verified.ok ? verified.warnings.join('\n') : verified.reason;
    };
    expect(await warningsOf({ '22F189': VERSION })).toContain('only its version was compared');
    expect(await warningsOf({})).toContain('nothing was compared');
    expect(await warningsOf({ '22F189': VERSION, '22FD01': DIGEST })).toBe('');
  });
});

describe('an ECU with two banks', () => {
  const TRIAL = {
    '22': UNKNOWN,
    '22FD00': '62FD000101020003',
    '22FD01': DIGEST,
    '22F189': VERSION,
    '1001': '5001003201F4',
    '1003': '5003003201F4',
    '2701': '6701000102030405060708090A0B0C0D0E0F',
    '2702': '6702',
    '31030211': '7103021100',
    '22FD25': `62FD2501${CAMPAIGN}${'c0'.repeat(16)}`,
  };
  const start = (answers: Record<string, Answer> = {}) => {
    const ecu = new ScriptedEcu({ ...TRIAL, ...answers });
    const driver = new UdsEcuDriver({ ecu: ecuOf(), requester: ecu, clock: ecu.clock });
    const verify = () =>
      ecu.clock.within(
        HOUR,
        driver.verify({ campaign: CAMPAIGN, version: '2.0.0', image, from: BOTH }, CHECKS),
      );
    return { ecu, verify };
  };

  it.each(['7F3131', '7F3112', '7F3124'])(
    'that never told its self test (%s) is mentioned',
    async (answer) => {
      const { verify } = start({ '31030211': answer });
      expect(await verify()).toMatchObject({
        ok: true,
        warnings: [expect.stringContaining('does not tell its self test')],
      });
    },
  );

  it('that told its self test before and does not now has not passed it', async () => {
    const { ecu, verify } = start();
    expect((await verify()).ok).toBe(true);
    ecu.set('31030211', '7F3131');
    expect(await verify()).toMatchObject({ ok: false, code: 'SELF_TEST' });
  });

  it('that refuses the question for another reason has not passed it', async () => {
    expect(await start({ '31030211': '7F3122' }).verify()).toMatchObject({ ok: false });
  });

  it.each([
    ['22FD01', 'DIGEST_MISMATCH'],
    ['22F189', 'VERSION_MISMATCH'],
  ])('that does not tell %s any more: %s', async (request, code) => {
    const { verify } = start({ [request]: UNKNOWN });
    expect(await verify()).toMatchObject({ ok: false, code });
  });
});
