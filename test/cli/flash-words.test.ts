// Texts of `can-ota flash`: phases, hints for the options of the call, and what the ECU holds at the end.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import type { EcuStep } from '../../src/campaign/ports.ts';
import { adviceByFile, type TargetOptions } from '../../src/cli/flash/target-advice.ts';
import { targetEcu } from '../../src/cli/flash/target-ecu.ts';
import { contentText, phaseOf, stepText, successText } from '../../src/cli/flash/words.ts';
import { ADVICE_TOPICS, type AdviceTopic } from '../../src/drivers/advice.ts';
import { benchVehicleFile, loadVehicle } from '../../src/onboard/vehicle-file.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { ecuSchema, type VehicleEcu } from '../../src/vehicle/schema.ts';

const FORWARD: readonly EcuStep[] = ['stage', 'activate', 'verify', 'confirm', 'commit'];

const ecuWith = (change: Record<string, unknown>): VehicleEcu =>
  ecuSchema.parse({
    name: 'EDT',
    hardwareId: 'EDT-HW-1',
    address: { mode: 'normal', request: 1, response: 2 },
    ...change,
  });
const twoBanks = ecuWith({});
const oneBank = ecuWith({ programming: { activation: 'reset' }, memory: { banks: 1 } });
const otherMake = ecuWith({ programming: 'standard', memory: { banks: 1 } });

function begun(ecu: VehicleEcu, bank?: string): (string | undefined)[] {
  const facts = { changed: 'no', tries: 0, status: 'begun' } as const;
  return FORWARD.map((step) => stepText({ step, ...facts }, { ecu, bank, version: '2.0.0' }));
}

function done(event: Record<string, unknown>, ecu: VehicleEcu, version?: string) {
  const facts = { step: 'stage', changed: 'no', tries: 0, status: 'done' } as const;
  return stepText({ ...facts, event: event as CampaignEvent }, { ecu, bank: undefined, version });
}

describe('a phase', () => {
  it('is named by what is done', () => {
    expect(begun(twoBanks, 'B')).toEqual([
      'programming (bank B)',
      ...['activating', 'verifying', 'confirming', 'raising its security counter'],
    ]);
    expect(begun(oneBank)).toEqual([
      ...['checking', 'programming', 'verifying', 'confirming', 'raising its security counter'],
    ]);
    expect(begun(otherMake)).toEqual([
      'checking',
      'programming',
      'verifying',
      undefined,
      undefined,
    ]);
    expect(FORWARD.map((step) => phaseOf(step, oneBank))).toEqual([
      ...['check', 'program', 'verify', 'confirm', 'raise-counter'],
    ]);
    expect(phaseOf('activate', twoBanks)).toBe('activate');
  });

  it('of an ECU that nothing is asked of has no line', async () => {
    const { ecu } = await targetEcu('7E0:7E8', {});
    expect(begun(ecu)).toEqual([undefined, 'programming', undefined, undefined, undefined]);
  });

  it('ends with what was seen', () => {
    expect(done({ kind: 'activated', bytes: 10 }, oneBank)).toBe('restarted');
    expect(done({ kind: 'activated', bytes: 0 }, oneBank)).toBe('holds this image already');
    expect(done({ kind: 'activated', bytes: 0 }, twoBanks)).toBeUndefined();
    expect(done({ kind: 'staged', bytes: 0 }, twoBanks)).toBe('holds this image already');
    expect(done({ kind: 'staged', bytes: 0 }, oneBank)).toBeUndefined();
    const report = { kind: 'verified', version: '2.0.0', sha256: null };
    expect(done(report, oneBank, '2.0.0')).toBe('verified');
    // Reported by the ECU and not compared.
    expect(done(report, oneBank)).toBeUndefined();
    expect(done({ ...report, version: null }, oneBank, '2.0.0')).toBeUndefined();
  });
});

describe('the end', () => {
  const result = {
    ...({ ok: true, from: '1.0.0', bytes: 2000, seconds: 2, heldAlready: false } as const),
    report: { version: '2.0.0', sha256: undefined },
    warnings: [],
  };

  it('says what was carried, and what was there', () => {
    expect(successText(result)).toBe('1.0.0 -> 2.0.0, 2.0 KiB in 2.0 s, 1.0 kB/s');
    expect(successText({ ...result, resumedAt: 1024 })).toContain('held the first 1.0 KiB already');
    const none = { ...result, bytes: 0, seconds: 0 };
    expect(successText({ ...none, heldAlready: true })).toContain('it held this image already');
    expect(successText(none)).not.toContain('it held this image already');
    expect(successText({ ...result, from: undefined, report: {} as never })).toMatch(
      /^programmed, /,
    );
  });

  it('says of the ECU what was seen', () => {
    expect(contentText('EDT', { kind: 'unchanged' })).toBe('nothing was changed in EDT');
    expect(contentText('EDT', { kind: 'as-before', version: '1.0.0' })).toBe(
      'EDT runs what it ran before: 1.0.0',
    );
    expect(contentText('EDT', { kind: 'unknown', reason: 'it is silent' })).toBe(
      'it is not known what EDT runs now: it is silent',
    );
  });
});

describe('a hint', () => {
  const textsOf = async (
    name: string,
    options: TargetOptions,
    topics: readonly AdviceTopic[] = ADVICE_TOPICS,
  ): Promise<string> => {
    const { ecu, advice } = await targetEcu(name, options);
    return topics.map((topic) => advice.about(topic, ecu)).join('\n');
  };

  it.each([
    [{}, 'give --hmac-key or --xor-key'],
    [{ hmacKey: '00'.repeat(16) }, 'check --hmac-key and --level'],
    [{ xorKey: '00' }, 'check --xor-key and --level'],
  ])('for identifiers names options of the call: %o', async (options, hint) => {
    // No option gives the key of a TMU: to give orders to one of our ECUs, a vehicle file has to describe it.
    const topics = ADVICE_TOPICS.filter((topic) => topic !== 'no-authority');
    const text = await textsOf('7E0:7E8', options, topics);
    expect(text).toContain(hint);
    expect(text).not.toMatch(/vehicle file|security\.|--identity/);
    const { ecu, advice } = await targetEcu('7E0:7E8', options);
    expect(advice.about('no-authority', ecu)).toMatch(/--vehicle.*--identity/);
    expect(advice.field('timing.resetMs')).toBe('--reset-time');
    expect(advice.field('timing.pendingLimitMs')).toContain('--vehicle');
  });

  it('for an ECU of a vehicle file names that file, never keys on the command line', async () => {
    const text = await textsOf('EDT', { benchKeys: true });
    expect(text).not.toMatch(/--hmac-key|--xor-key/);
    const described = findEcu(await loadVehicle(undefined, false), 'EDT');
    const own = { ...described, security: { ...described.security, secret: '42'.repeat(16) } };
    const advice = adviceByFile({}, own as VehicleEcu);
    expect(advice.about('security', described)).toBe(
      `check security.level and security.secret in the vehicle file ${benchVehicleFile}`,
    );
  });

  it('for an ECU that was provisioned names --identity', () => {
    const ecu = ecuWith({ security: { algorithm: 'hmac-sha256' } });
    for (const options of [{}, { benchKeys: true }, { identity: 'identity.json' }]) {
      expect(adviceByFile(options, ecu).about('security', ecu)).toContain('--identity');
    }
    for (const topic of ['no-key', 'no-authority'] as const) {
      expect(adviceByFile({}, ecu).about(topic, ecu)).toContain('--identity');
    }
  });
});
