// How long the fields of a plan may be, and what of it is compared: the journal of a campaign is read with the same schema.

import { describe, expect, it } from 'vitest';
import { candidates } from '../../src/campaign/decide.ts';
import { eventSchema } from '../../src/campaign/event.ts';
import { planSchema, targetsKey } from '../../src/campaign/plan.ts';
import type { Offer } from '../../src/campaign/ports.ts';
import { failedStep, hash, offered, plan, staged } from './support.ts';

const [item] = plan.items;
const isPlan = (change: object): boolean =>
  planSchema.safeParse({ ...plan, items: [{ ...item!, ...change }] }).success;
const text = (length: number): string => 'x'.repeat(length);

describe('a field of a plan', () => {
  it.each<[string, (length: number) => object, number, number]>([
    ['ecu', (length) => ({ ecu: text(length) }), 1, 16],
    ['hardwareId', (length) => ({ hardwareId: text(length) }), 0, 64],
    ['bus', (length) => ({ bus: text(length) }), 0, 16],
    ['from.version', (length) => ({ from: { ...item!.from, version: text(length) } }), 0, 64],
    ['to.version', (length) => ({ to: { ...item!.to, version: text(length) } }), 1, 64],
    ['targetName', (length) => ({ targetName: text(length) }), 1, 255],
    ['file', (length) => ({ download: { ...item!.download, file: text(length) } }), 1, 255],
    ['notes', (length) => ({ notes: text(length) }), 0, 4096],
  ])('%s is so long', (_name, change, least, most) => {
    expect(isPlan(change(least))).toBe(true);
    expect(isPlan(change(most))).toBe(true);
    expect(isPlan(change(most + 1))).toBe(false);
    if (least > 0) expect(isPlan(change(least - 1))).toBe(false);
  });

  it('is what it is called', () => {
    expect(isPlan({})).toBe(true);
    expect(isPlan({ order: -1 })).toBe(false);
    expect(isPlan({ to: { ...item!.to, size: 0 } })).toBe(false);
    expect(isPlan({ to: { ...item!.to, releaseCounter: -1 } })).toBe(false);
    expect(isPlan({ to: { ...item!.to, sha256: hash('A') } })).toBe(false);
    expect(isPlan({ download: { ...item!.download, size: 0 } })).toBe(false);
    expect(isPlan({ from: { version: '', sha256: null } })).toBe(true);
    expect(isPlan({ more: 1 })).toBe(false);
  });

  it('has between 1 and 256 ECUs', () => {
    const many = (count: number) => ({ ...plan, items: Array.from({ length: count }, () => item) });
    expect([0, 1, 256, 257].map((count) => planSchema.safeParse(many(count)).success)).toEqual([
      ...[false, true, true, false],
    ]);
  });
});

describe('a field of an event', () => {
  const isEvent = (event: object, change: object): boolean =>
    eventSchema.safeParse({ ...event, ...change }).success;

  it.each<[object, object, boolean]>([
    [offered, {}, true],
    [offered, { id: 'a'.repeat(31) }, false],
    [offered, { nonce: 'a'.repeat(33) }, false],
    [offered, { asks: ['download', 'install', 'activate'] }, true],
    [staged('EDT'), { ecu: '' }, false],
    [staged('EDT'), { ecu: text(16) }, true],
    [staged('EDT'), { ecu: text(17) }, false],
    [staged('EDT'), { bytes: -1 }, false],
    [staged('EDT'), { resumedAt: -1 }, false],
    [staged('EDT'), { dtcs: Array.from({ length: 1024 }, () => 'C10100') }, true],
    [staged('EDT'), { dtcs: Array.from({ length: 1025 }, () => 'C10100') }, false],
    [staged('EDT'), { dtcs: ['C1010'] }, false],
    [failedStep('stage', 'EDT'), { tookMs: -1 }, false],
    [failedStep('stage', 'EDT'), { step: 'erase' }, false],
    [failedStep('stage', 'EDT'), { transient: 'no' }, false],
  ])('%#: %o with %o is an event: %s', (event, change, expected) => {
    expect(isEvent(event, change)).toBe(expected);
  });
});

describe('a set of targets', () => {
  const target = (ecu: string, version = '1.0.0') => ({ ecu, version, sha256: hash('1') });

  it('has one name in whatever order, and another one for other versions', () => {
    const key = targetsKey([target('A'), target('B'), target('C')]);
    expect(targetsKey([target('C'), target('A'), target('B')])).toBe(key);
    expect(targetsKey([target('B'), target('C'), target('A')])).toBe(key);
    expect(targetsKey([target('A'), target('B'), target('C', '1.0.1')])).not.toBe(key);
    expect(targetsKey([target('A'), target('B')])).not.toBe(key);
  });

  it('is named the same by every version of this software', () => {
    expect(targetsKey([target('B'), target('A')])).toBe(
      'bb4f6076255184ea628c8951001a10e2538ad9062eb2889b43b57083e749b967',
    );
  });
});

describe('a release for an ECU without a digest', () => {
  const offer = (version: string, digit = 'a'): Offer => ({
    ...{ ecu: 'EDT', version, targetName: 'x', size: 1, sha256: hash(digit), releaseCounter: 1 },
    download: { file: 'x', size: 1, sha256: hash(digit) },
    ...{ encryption: null, dependencies: {}, forced: false, notes: '' },
  });
  const ecus = [{ name: 'EDT', hardwareId: 'H', bankSize: 1, rank: 0, bus: 'can' }];
  const has = (version: string) => new Map([['EDT', { version, sha256: undefined }]]);

  it.each([
    ['1.0.0', '2.0.0', 1],
    ['1.0.0', '1.0.1', 1],
    ['2.0.0', '2.0.0', 0],
    ['2.0.1', '2.0.0', 0],
  ])('that runs %s is news when it is higher: %s', (runs, released, count) => {
    expect(candidates([offer(released)], ecus, has(runs))).toHaveLength(count);
  });

  it('is the first of two that are equal, and the newest of others in any order', () => {
    const [first, second] = [offer('2.0.0', 'b'), offer('2.0.0', 'c')];
    expect(candidates([first, second], ecus, new Map())).toEqual([first]);
    const newest = offer('2.0.1');
    expect(candidates([newest, first], ecus, new Map())).toEqual([newest]);
    expect(candidates([first, newest], ecus, new Map())).toEqual([newest]);
  });
});
