// What an ECU is shown before it confirms and before it raises its counter: the evidence of a whole campaign.

import { beforeEach, describe, expect, it } from 'vitest';
import { bootRecordSchema } from '../../ecus/bootloader/boot/boot-record.ts';
import { decodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { commitmentOf } from '../../src/trust/authority.ts';
import { CAMPAIGN, digestOf, EcuBench, imageOf } from '../support/ecu-bench.ts';

const image = imageOf(3000);
const sha256 = toHex(digestOf(image));
const OTHER_CAMPAIGN = 'cb'.repeat(16);
/** Receipts of two more ECUs of the campaign, and what these have told of them. */
const RECEIPTS = ['a1'.repeat(16), 'a2'.repeat(16)];
const commit = (receipt: string, campaign = CAMPAIGN) =>
  toHex(commitmentOf(fromHex(campaign), fromHex(receipt)));
const COMMITMENTS = RECEIPTS.map((receipt) => commit(receipt));

const CONDITIONS = '7F3122';
const OUT_OF_RANGE = '7F3131';

function record(bench: EcuBench) {
  const sealed = decodeSealed(bench.storage.contents('boot-record')!, bootRecordSchema);
  if (!('value' in sealed)) throw new Error(sealed.fault);
  return sealed.value;
}

function counter(bench: EcuBench): number {
  const file = bench.storage.contents('counters');
  return file === undefined ? 0 : JSON.parse(Buffer.from(file).toString().split('\n')[0]!).security;
}

describe.each(['EDT', 'ONE'])('%s', (name) => {
  let bench: EcuBench;
  let own: string;

  /** The new image runs, and belongs to the campaign; on trial where there are two banks. */
  beforeEach(async () => {
    bench = await EcuBench.start({ name });
    await bench.program(image, '2.0.0', name, 5);
    if (name === 'EDT') await bench.expectOrder('activate');
    await bench.reset();
    if (name === 'ONE') await bench.expectOrder('activate');
    expect(await bench.text('F195')).toBe('2.0.0');
    own = toHex((await bench.campaignRecord()).commitment);
  });

  const confirm = async (evidence: readonly string[], campaign = CAMPAIGN) =>
    bench.secured(await bench.orderOf('confirm', { evidence, campaign }));
  const raise = async (evidence: readonly string[], campaign = CAMPAIGN) =>
    bench.secured(await bench.orderOf('commit', { evidence, campaign }));
  /** The receipt. */
  const confirmed = async (evidence = [own, ...COMMITMENTS]) => {
    const answer = await confirm(evidence);
    expect(answer).toMatch(/^7101021100[0-9A-F]{32}$/);
    return answer.slice(10).toLowerCase();
  };

  it('tells its commitment before, its receipt with the confirmation, and neither says the other', async () => {
    const before = await bench.campaignRecord();
    expect(before).toMatchObject({ state: 'open', campaign: fromHex(CAMPAIGN) });
    const receipt = await confirmed();
    expect(receipt).not.toBe(own);
    expect(commit(receipt)).toBe(own);
    const after = await bench.campaignRecord();
    expect(after).toEqual({ ...before, state: 'confirmed' });
    // Nobody reads the receipt: not from any identifier, nor from the results of the routine.
    for (const did of ['FD00', 'FD20', 'FD22', 'FD24', 'FD25']) {
      expect((await bench.ask(`22${did}`)).toLowerCase()).not.toContain(receipt);
    }
    await bench.expect('1003');
    expect(await bench.ask('31030211')).toBe('7103021100');
  });

  it('is not confirmed without its own commitment', async () => {
    const flash = record(bench);
    const wrong = [COMMITMENTS, [commit(own)], ['00'.repeat(16)], [own.replace(/^../, 'ff')]];
    for (const evidence of wrong) expect(await confirm(evidence)).toBe(OUT_OF_RANGE);
    expect(record(bench)).toEqual(flash);
  });

  it('is not confirmed in the name of another campaign', async () => {
    const flash = record(bench);
    expect(await confirm([own, ...COMMITMENTS], OTHER_CAMPAIGN)).toBe(CONDITIONS);
    expect(await bench.order('rollback', { campaign: OTHER_CAMPAIGN })).toBe(
      name === 'ONE' ? OUT_OF_RANGE : CONDITIONS,
    );
    expect(record(bench)).toEqual(flash);
  });

  it('gives the same receipt again, in every life, and writes nothing for it', async () => {
    const receipt = await confirmed();
    const { operations } = bench.storage;
    expect(await confirmed()).toBe(receipt);
    expect(await confirmed([...COMMITMENTS, own])).toBe(receipt); // whatever their order
    expect(bench.storage.operations).toBe(operations);
    await bench.reset();
    expect(await confirmed()).toBe(receipt);
  });

  it('is not confirmed again with other commitments', async () => {
    await confirmed();
    const flash = record(bench);
    for (const evidence of [[own], [own, COMMITMENTS[0]!], [own, own, ...COMMITMENTS]]) {
      expect(await confirm(evidence)).toBe(CONDITIONS);
    }
    expect(record(bench)).toEqual(flash);
  });

  it('does not raise its counter before it has confirmed', async () => {
    for (const evidence of [RECEIPTS, [own, ...RECEIPTS], ['00'.repeat(16)]]) {
      expect(await raise(evidence)).toBe(CONDITIONS);
    }
    expect(counter(bench)).toBe(0);
  });

  it('raises its counter with the receipts of all and with nothing else', async () => {
    const receipt = await confirmed();
    const flash = record(bench);
    const wrong: string[][] = [
      [receipt],
      RECEIPTS,
      [receipt, RECEIPTS[0]!],
      [receipt, ...RECEIPTS, 'a3'.repeat(16)],
      [receipt, receipt, ...RECEIPTS],
      [receipt, RECEIPTS[0]!, RECEIPTS[0]!],
      [own, ...COMMITMENTS],
      [receipt, ...COMMITMENTS],
      [receipt.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')), ...RECEIPTS],
    ];
    for (const evidence of wrong) expect(await raise(evidence)).toBe(OUT_OF_RANGE);
    expect(await raise([receipt, ...RECEIPTS], OTHER_CAMPAIGN)).toBe(CONDITIONS);
    await bench.prepare(name);
    const right = await bench.orderOf('commit', { evidence: [receipt, ...RECEIPTS] });
    expect(await bench.ask(right)).toBe('7F3138'); // by an open level
    expect(counter(bench)).toBe(0);
    expect(record(bench)).toEqual(flash);
    expect(await raise([...RECEIPTS, receipt])).toBe('7101021300'); // whatever their order
    expect(counter(bench)).toBe(5);
  });

  it('raises its counter once, says so again, also after a power cut', async () => {
    const receipt = await confirmed([own]);
    expect(await raise([receipt])).toBe('7101021300');
    const again = await EcuBench.start({ name, storage: bench.storage.afterPowerCut() });
    const { operations } = again.storage;
    expect(await again.order('commit')).toBe('7101021300');
    expect(again.storage.operations).toBe(operations);
    expect(again.events.filter(({ kind }) => kind === 'commit')).toEqual([]);
  });

  it('that a second campaign has taken over forgets the evidence of the first', async () => {
    const receipt = await confirmed([own]);
    const change = { campaign: OTHER_CAMPAIGN, sha256 };
    expect(await bench.order('activate', change)).toBe('7101021000');
    expect(await bench.campaignRecord()).toMatchObject({
      state: 'open',
      campaign: fromHex(OTHER_CAMPAIGN),
    });
    expect(toHex((await bench.campaignRecord()).commitment)).not.toBe(own);
    for (const campaign of [CAMPAIGN, OTHER_CAMPAIGN]) {
      expect(await raise([receipt], campaign)).toBe(CONDITIONS);
    }
    expect(await confirm([own])).toBe(OUT_OF_RANGE);
    expect(counter(bench)).toBe(0);
    expect(await bench.order('confirm', { campaign: OTHER_CAMPAIGN })).toBe('7101021100');
    expect(await bench.order('commit', { campaign: OTHER_CAMPAIGN })).toBe('7101021300');
  });
});

describe('an ECU with two banks', () => {
  let bench: EcuBench;
  beforeEach(async () => {
    bench = await EcuBench.start();
    await bench.program(image, '2.0.0', 'EDT', 5);
  });

  it('activates what is named and nothing else', async () => {
    const flash = record(bench);
    for (const other of [
      '00'.repeat(32),
      sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    ]) {
      expect(await bench.order('activate', { sha256: other })).toBe(CONDITIONS);
    }
    expect(record(bench)).toEqual(flash);
    expect(await bench.order('activate', { sha256 })).toBe('7101021000');
  });

  it('makes one receipt for one activation, whoever asks again', async () => {
    await bench.expectOrder('activate');
    const first = await bench.campaignRecord();
    const { operations } = bench.storage;
    await bench.expectOrder('activate');
    expect(bench.storage.operations).toBe(operations);
    expect(await bench.campaignRecord()).toEqual(first);
    await bench.reset();
    await bench.expectOrder('activate', { sha256 }); // it runs by now
    expect(await bench.campaignRecord()).toEqual(first);
    expect(await bench.ask('22FD00')).toBe('62FD000101020002');
  });

  it('on trial is taken over by no other campaign', async () => {
    await bench.expectOrder('activate');
    await bench.reset();
    const flash = record(bench);
    expect(await bench.order('activate', { campaign: OTHER_CAMPAIGN, sha256 })).toBe(CONDITIONS);
    expect(await bench.order('rollback', { campaign: OTHER_CAMPAIGN })).toBe(CONDITIONS);
    expect(await bench.order('rollback-confirmed', { campaign: OTHER_CAMPAIGN })).toBe(CONDITIONS);
    expect(record(bench)).toEqual(flash);
  });

  it('confirmed is taken back by no other campaign, and a plain rollback of it changes nothing', async () => {
    await bench.expectOrder('activate');
    await bench.reset();
    await bench.expectOrder('confirm');
    const flash = record(bench);
    const change = { campaign: OTHER_CAMPAIGN };
    expect(await bench.order('rollback-confirmed', change)).toBe(CONDITIONS);
    expect(await bench.order('rollback', change)).toBe('7101021200');
    expect(record(bench)).toEqual(flash);
    expect(await bench.order('rollback-confirmed')).toBe('7101021200');
    expect(record(bench)).toMatchObject({ rollbackPending: true });
  });

  it('that has gone back knows nothing of the campaign any more', async () => {
    await bench.expectOrder('activate');
    await bench.reset();
    const { commitment } = await bench.campaignRecord();
    await bench.expectOrder('rollback');
    await bench.reset();
    expect(await bench.campaignRecord()).toMatchObject({ state: 'none' });
    const evidence = [toHex(commitment)];
    expect(await bench.order('confirm', { evidence })).toBe(OUT_OF_RANGE);
    expect(await bench.order('commit', { evidence })).toBe(CONDITIONS);
  });

  it('gives another receipt in the next trial of the same image', async () => {
    const commitments = new Set<string>();
    for (let round = 0; round < 3; round++) {
      await bench.expectOrder('activate');
      await bench.reset();
      commitments.add(toHex((await bench.campaignRecord()).commitment));
      await bench.expectOrder('rollback');
      await bench.reset();
    }
    expect(commitments.size).toBe(3);
  });
});
