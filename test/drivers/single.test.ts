// One ECU by hand: a campaign of one through the reducer, against our own ECUs and a scripted one of another make.

import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/campaign/ports.ts';
import type { SingleOptions, SingleResult } from '../../src/campaign/single.ts';
import { runSingle } from '../../src/campaign/single.ts';
import { toHex } from '../../src/core/bytes.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { readDids } from '../../src/drivers/read-dids.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { STANDARD_PROGRAMMING } from '../../src/vehicle/programming-schema.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { benchVehicle, imageOf as bytesOf } from '../support/ecu-bench.ts';
import { plainOf } from '../support/secured-message.ts';
import { EcuLink, programOne, signedTarget } from './ecu-link.ts';
import { type Answer, ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(bytesOf(10_000));
const MINUTES = 60_000;

interface Bench {
  readonly link: EcuLink;
  readonly ecu: VehicleEcu;
  readonly target: Target;
  readonly flash: (target?: Target, more?: Partial<SingleOptions>) => Promise<SingleResult>;
}

async function start(
  name = 'EDT',
  options: Parameters<typeof EcuLink.start>[3] = {},
): Promise<Bench> {
  const clock = new VirtualClock();
  const link = await EcuLink.start(benchVehicle, name, clock, options);
  const ecu = findEcu(benchVehicle, name);
  const target = signedTarget(clock, name, image, '2.0.0');
  const flash: Bench['flash'] = (given = target, more = {}) =>
    clock.within(30 * MINUTES, programOne(link, ecu, given, more));
  return { link, ecu, target, flash };
}

function stepsOf(seen: string[]): Partial<SingleOptions> {
  return { onStep: ({ step, status }) => seen.push(`${step} ${status}`) };
}

describe('one ECU by hand', () => {
  it('is programmed, step by step, and its counter raised', async () => {
    const { link, flash } = await start();
    const seen: string[] = [];
    expect(await flash(undefined, stepsOf(seen))).toMatchObject({
      ...{ ok: true, from: '1.0.0', bytes: 10_000, heldAlready: false, warnings: [] },
      report: { version: '2.0.0', sha256: image.sha256 },
    });
    const steps = ['stage', 'activate', 'verify', 'confirm', 'commit'];
    expect(seen).toEqual(steps.flatMap((step) => [`${step} begun`, `${step} done`]));
    expect(link.events.filter(({ kind }) => kind === 'commit')).toHaveLength(1);
  });

  it.each(['EDT', 'ONE'])('that holds the image already says so: %s', async (name) => {
    const { flash, link } = await start(name);
    expect(await flash()).toMatchObject({ ok: true, heldAlready: false });
    link.requests.length = 0;
    expect(await flash()).toMatchObject({ ok: true, bytes: 0, heldAlready: true });
    expect(link.requests.filter((sent) => /^(34|36|3101FF00|11)/.test(plainOf(sent)))).toEqual([]);
  });

  it('does not say so when its own earlier try has carried the image', async () => {
    const { link, flash } = await start('ONE');
    // The restart after the transfer takes longer than anybody waits; meanwhile nothing is heard.
    let silentUntil = Number.POSITIVE_INFINITY;
    link.loses = (request) => {
      if (plainOf(request) === '1101' && silentUntil === Number.POSITIVE_INFINITY) {
        silentUntil = link.clock.nowMs() + 11_000;
        return false;
      }
      return silentUntil !== Number.POSITIVE_INFINITY && link.clock.nowMs() < silentUntil;
    };
    const seen: string[] = [];
    expect(await flash(undefined, stepsOf(seen))).toMatchObject({ ok: true, heldAlready: false });
    expect(seen).toContain('activate retry');
  });

  it('without a version is programmed with what it then says', async () => {
    const { flash, target } = await start();
    expect(await flash({ ...target, version: undefined })).toMatchObject({
      ok: true,
      report: { version: '2.0.0' },
    });
  });

  it('that fails is taken back, and asked what it runs then', async () => {
    const { flash } = await start('EDT', { faults: { failSelfTest: true } });
    expect(await flash()).toMatchObject({
      ...{ ok: false, code: 'SELF_TEST', step: 'verify', rolledBack: true },
      content: { kind: 'as-before', version: '1.0.0' },
    });
  });

  it('refuses an image whose bytes are not those of its digest', async () => {
    const { link, flash } = await start();
    const wrong: ImageSource = { ...image, sha256: '00'.repeat(32) };
    expect(await flash(signedTarget(link.clock, 'EDT', wrong, '2.0.0'))).toMatchObject({
      ...{ ok: false, code: 'DIGEST_MISMATCH', step: 'stage' },
      content: { kind: 'as-before', version: '1.0.0' },
    });
  });

  it('is tried again where that can help', async () => {
    const { link, flash } = await start();
    let lost = 0;
    link.loses = (request) => request.startsWith('34') && lost++ === 0;
    const seen: string[] = [];
    expect(await flash(undefined, stepsOf(seen))).toMatchObject({ ok: true, bytes: 10_000 });
    // Whether the driver repeats the request or the campaign the step: it is not given up.
    expect(lost).toBeGreaterThan(1);
  });

  it('keeps what is staged when a person stops it, for the next run', async () => {
    const { link, flash } = await start('EDT', { checkpointBytes: 4096 });
    const target = signedTarget(link.clock, 'EDT', imageOf(bytesOf(40_000)), '2.0.0');
    const abort = new AbortController();
    link.loses = (request) => {
      // The metadata travels in blocks, too: the image comes after its RequestDownload.
      const downloading = link.requests.some((sent) => sent.startsWith('34'));
      if (downloading && request.startsWith('3605')) abort.abort();
      return false;
    };
    expect(await flash(target, { signal: abort.signal })).toMatchObject({
      ...{ ok: false, code: 'INTERRUPTED', step: 'stage', content: { kind: 'unknown' } },
      reason: expect.stringContaining('stopped before'),
    });
    link.loses = undefined;
    expect(link.requests.filter((sent) => /^(31010212|1101)/.test(plainOf(sent)))).toEqual([]);
    const again = await flash(target);
    expect(again).toMatchObject({ ok: true, resumedAt: expect.any(Number) });
  });

  it('that was silent from the start was not changed', async () => {
    const { link, flash } = await start();
    link.loses = () => true;
    expect(await flash()).toMatchObject({
      ...{ ok: false, code: 'SILENT', step: 'identify', content: { kind: 'unchanged' } },
    });
  });

  it('whose counter cannot be raised runs the new software, and says what is owed', async () => {
    const { link, flash } = await start();
    link.changes = (answer) =>
      plainOf(toHex(answer)).startsWith('71010213') ? Uint8Array.of(0x7f, 0x31, 0x72) : answer;
    expect(await flash()).toMatchObject({
      ok: true,
      report: { version: '2.0.0' },
      counterOwed: expect.stringContaining('raising its security counter'),
    });
  });

  it('is read, each identifier by itself', async () => {
    const { link, ecu } = await start();
    const options = { ecu, requester: link.client, clock: link.clock };
    const readings = await link.clock.within(MINUTES, readDids(options, [0xf189, 0xffff, 0xf191]));
    expect(readings.map((reading) => (reading.ok ? toHex(reading.data) : reading.code))).toEqual([
      Buffer.from('1.0.0').toString('hex'),
      'REFUSED',
      Buffer.from('EDT-HW1').toString('hex'),
    ]);
  });
});

describe('one ECU of another make by hand', () => {
  const STANDARD: Record<string, Answer | Answer[]> = {
    '1001': '500100320190',
    '1003': '500300320190',
    '1002': '500200320190',
    '31': '7F3131',
    '28': '7F2811',
    '85': '7F8511',
    '2E': '7F2E31',
    // One byte a block.
    '34': '741003',
    '3601': '7601',
    '3602': '7602',
    '37': '77',
    '1101': '5101',
    '22F186': '62F18601',
    '22': '7F2231',
    '19': '7F1911',
  };

  function other(
    answers: Record<string, Answer | Answer[]>,
    identify: 'try' | 'skip' = 'try',
    { version }: { readonly version: string | undefined } = { version: '2.0.0' },
  ): { ecu: ScriptedEcu; flash: () => Promise<SingleResult> } {
    const ecu = new ScriptedEcu({ ...STANDARD, ...answers });
    const described = ecuOf({
      programming: { ...STANDARD_PROGRAMMING, identify },
      memory: { banks: 1 },
      security: { algorithm: 'none' },
    });
    const driver = new UdsEcuDriver({ ecu: described, requester: ecu, clock: ecu.clock });
    const target = { version, image: imageOf(Uint8Array.of(1, 2)) };
    const options = { driver, ecu: described, hasOneBank: true, target, random: seededRandom(1) };
    const flash = () => ecu.clock.within(30 * MINUTES, runSingle({ ...options, clock: ecu.clock }));
    return { ecu, flash };
  }

  it('is programmed; what was compared is said', async () => {
    const told = other({ '22F189': [`62F189${ascii('1.0')}`, `62F189${ascii('2.0.0')}`] });
    expect(await told.flash()).toMatchObject({
      ...{ ok: true, from: '1.0', bytes: 2, report: { version: '2.0.0' } },
      warnings: expect.arrayContaining([
        'EDT: it cannot tell the digest of its image, only its version was compared',
      ]),
    });
    const unnamed = other({ '22F189': `62F189${ascii('1.0')}` }, 'try', {
      version: undefined,
    });
    expect(await unnamed.flash()).toMatchObject({
      ok: true,
      warnings: expect.arrayContaining([
        'EDT: it cannot tell the digest of its image, nothing was compared',
      ]),
    });
    const unasked = other({}, 'skip');
    expect(await unasked.flash()).toMatchObject({
      ok: true,
      report: { version: undefined, sha256: undefined },
      warnings: expect.arrayContaining([
        'EDT: it was not asked what it runs, nothing was compared with the image',
      ]),
    });
  });

  it.each(['pending', '7F1021'])('that asks to wait is waited for once: %s', async (answer) => {
    const { ecu, flash } = other({ '1002': answer });
    expect(await flash()).toMatchObject({
      ...{ ok: false, code: 'BUSY', step: 'activate', content: { kind: 'unchanged' } },
    });
    expect(ecu.log.filter((sent) => sent === '1003')).toHaveLength(1);
  });

  it.each([
    ['3602', 'unfinished'],
    ['3601', 'unfinished'],
    ['37', 'not-restored'],
  ])('that refuses %s and comes up without a name: its content is %s', async (refused, kind) => {
    const named = [`62F189${ascii('1.0')}`, '7F2231'];
    const { flash } = other({
      '22F189': named,
      '3602': '7602',
      [refused]: `7F${refused.slice(0, 2)}72`,
    });
    expect(await flash()).toMatchObject({
      ...{ ok: false, code: 'REFUSED', step: 'activate', rolledBack: false },
      content: { kind, reason: expect.stringContaining('runs nothing that it can name') },
    });
  });

  it('that comes up with something else runs that', async () => {
    const versions = ['1.0', '1.0', '3.0'].map((version) => `62F189${ascii(version)}`);
    const { flash } = other({ '22F189': versions });
    expect(await flash()).toMatchObject({
      ...{ ok: false, code: 'VERSION_MISMATCH', step: 'activate', rolledBack: false },
      content: { kind: 'not-restored', reason: expect.stringContaining('runs 3.0') },
    });
  });
});
