// How long an ECU that says "busy" or "not yet" is waited for, and which lost requests are sent again.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { Exchange } from '../../src/drivers/exchange.ts';
import { repeatRule } from '../../src/drivers/repeats.ts';
import { unlock } from '../../src/drivers/unlock.ts';
import { ecuOf, ScriptedEcu } from './support.ts';

const HOUR = 3_600_000;
const SEED = '6701000102030405060708090A0B0C0D0E0F';

function exchangeOf(ecu: ScriptedEcu, change: Record<string, unknown> = {}): Exchange {
  return new Exchange({ ecu: ecuOf(change), requester: ecu, clock: ecu.clock });
}

/** An ECU that refuses a request by `nrc` for so many ms. */
function busyFor(ms: number, nrc: string): ScriptedEcu {
  const ecu = new ScriptedEcu({});
  const beganMs = ecu.clock.nowMs();
  ecu.set('31', () => (ecu.clock.nowMs() - beganMs < ms ? `7F31${nrc}` : '7101FF0000'));
  return ecu;
}

const erase = fromHex('3101ff00');

describe('an ECU that is busy', () => {
  it.each([
    ['21', 3000],
    ['21', 24_900],
    ['94', 24_900],
  ])('(NRC %s) for %i ms is waited for', async (nrc, ms) => {
    const ecu = busyFor(ms, nrc);
    const answer = await ecu.clock.within(HOUR, exchangeOf(ecu).ask(erase, 'erasing'));
    expect(answer.ok).toBe(true);
    // 50, 100, 200, 400, 800, then once a second.
    expect(ecu.log.length).toBeLessThan(7 + ms / 1000);
  });

  it.each([
    ['21', {}, 25_000, 'timing.busyLimitMs'],
    ['21', { busyLimitMs: 4000 }, 4000, 'timing.busyLimitMs'],
    ['94', { resourceLimitMs: 7000 }, 7000, 'timing.resourceLimitMs'],
  ])('(NRC %s) for ever is given up after its total time: %o', async (nrc, timing, ms, field) => {
    const ecu = busyFor(HOUR, nrc);
    const beganMs = ecu.clock.nowMs();
    const answer = await ecu.clock.within(HOUR, exchangeOf(ecu, { timing }).ask(erase, 'erasing'));
    expect(ecu.clock.nowMs() - beganMs).toBe(ms);
    expect(answer).toMatchObject({
      ok: false,
      code: 'BUSY',
      transient: true,
      reason: expect.stringContaining(`repeated for ${ms} ms, ${field}`),
    });
  });

  it.each([
    ['pending', 'timing.pendingLimitMs'],
    ['N_WFT_OVRN', 'N_WFT_OVRN'],
  ])('for the whole time of a request is not asked again: %s', async (answer, why) => {
    for (const request of ['1002', '22F190', '31010202']) {
      const ecu = new ScriptedEcu({ [request]: answer });
      const asked = exchangeOf(ecu).ask(fromHex(request), 'asking');
      expect(await ecu.clock.within(HOUR, asked)).toMatchObject({
        code: 'BUSY',
        transient: true,
        reason: expect.stringContaining(why),
      });
      expect(ecu.log).toHaveLength(1);
    }
  });

  it('is not waited for by one who polls', async () => {
    const ecu = busyFor(HOUR, '21');
    const exchange = exchangeOf(ecu);
    await ecu.clock.within(10, exchange.ask(erase, 'erasing', undefined, { patienceMs: 0 }));
    expect(ecu.log).toHaveLength(1);
  });

  it('does not keep one who was told to stop', async () => {
    const ecu = busyFor(HOUR, '21');
    const abort = new AbortController();
    ecu.clock.after('stop', 2000, () => abort.abort());
    const answer = await ecu.clock.within(
      2100,
      exchangeOf(ecu).ask(erase, 'erasing', abort.signal),
    );
    expect(answer).toMatchObject({ ok: false, code: 'INTERRUPTED' });
  });
});

describe('SecurityAccess', () => {
  const open = async (ecu: ScriptedEcu, change = {}) =>
    ecu.clock.within(HOUR, unlock(exchangeOf(ecu, change), undefined));

  it('waits for the delay of the ECU, and no longer', async () => {
    const ecu = new ScriptedEcu({ '2702': '6702' });
    const beganMs = ecu.clock.nowMs();
    ecu.set('2701', () => (ecu.clock.nowMs() - beganMs < 10_000 ? '7F2737' : SEED));
    expect((await open(ecu)).ok).toBe(true);
    expect(ecu.clock.nowMs() - beganMs).toBe(10_000);
  });

  it('gives up after its total time, and names it', async () => {
    const ecu = new ScriptedEcu({ '2701': '7F2737' });
    const timing = { securityDelayLimitMs: 5000 };
    expect(await open(ecu, { timing })).toMatchObject({
      code: 'SECURITY',
      nrc: 0x37,
      reason: expect.stringContaining('5000 ms, timing.securityDelayLimitMs'),
    });
  });

  it('takes the delay after a key for the refusal that it is', async () => {
    const ecu = new ScriptedEcu({ '2701': SEED, '2702': '7F2737' });
    expect(await open(ecu)).toMatchObject({ code: 'SECURITY' });
    expect(ecu.log).toHaveLength(2);
  });

  it('asks for a seed again when the answer to a key is lost: zeros say that it counted', async () => {
    const ecu = new ScriptedEcu({ '2702': 'silent' });
    ecu.set('2701', SEED, `6701${'00'.repeat(16)}`);
    expect((await open(ecu)).ok).toBe(true);
    expect(ecu.log.map((sent) => sent.slice(0, 4))).toEqual(['2701', '2702', '2701']);
  });

  it('answers a second seed with a second key when the first one was lost', async () => {
    const ecu = new ScriptedEcu({});
    ecu.set('2701', SEED, `6701${'11'.repeat(16)}`);
    ecu.set('2702', 'transport', '6702');
    expect((await open(ecu)).ok).toBe(true);
    expect(ecu.log[1]).not.toBe(ecu.log[3]);
  });
});

describe('a request whose answer is lost', () => {
  const rule = (hex: string) => repeatRule(fromHex(hex), ecuOf().programming).kind;

  it.each([
    ['1003', 'again'],
    ['22f190', 'again'],
    ['190209', 'again'],
    ['2701', 'again'],
    ['2703', 'again'],
    ['3e00', 'again'],
    ['280101', 'again'],
    ['8502', 'again'],
    ['31030211', 'again'],
    ['31010203', 'again'],
    ['31010202', 'again'],
    ['3101ff01', 'again'],
    ['3101ff00', 'look-first'],
    ['3400440800000000000014', 'look-first'],
    ['37', 'look-first'],
    ['2ef15a', 'look-first'],
    ['3801000d', 'look-first'],
    ['2702', 'once'],
    ['1101', 'look-first'],
    ['14ffffff', 'once'],
    ['31010210', 'once'],
    ['31010213', 'once'],
    ['31021234', 'once'],
    ['2f1234', 'once'],
    ['3601', 'once'], // by the transfer, under its number
  ])('%s: %s', (hex, kind) => {
    expect(rule(hex)).toBe(kind);
  });

  it.each(['silent', 'transport', 'unexpected'])('is sent again (%s)', async (lost) => {
    const ecu = new ScriptedEcu({});
    ecu.set('22F190', lost, lost, '62F190');
    const answer = exchangeOf(ecu).ask(fromHex('22f190'), 'reading');
    expect((await ecu.clock.within(HOUR, answer)).ok).toBe(true);
    expect(ecu.log).toHaveLength(3);
  });

  it('is not sent again when the bus is down, or when its caller asks once', async () => {
    const down = new ScriptedEcu({ '22': 'bus' });
    const read = fromHex('22f190');
    await down.clock.within(HOUR, exchangeOf(down).ask(read, 'reading'));
    expect(down.log).toHaveLength(1);
    const silent = new ScriptedEcu({ '22': 'silent' });
    const once = exchangeOf(silent).ask(read, 'reading', undefined, { once: true });
    expect(await silent.clock.within(HOUR, once)).toMatchObject({ code: 'SILENT' });
    expect(silent.log).toHaveLength(1);
  });

  it('says how often it was asked', async () => {
    const ecu = new ScriptedEcu({ '22': 'silent' });
    const answer = await ecu.clock.within(HOUR, exchangeOf(ecu).ask(fromHex('22f190'), 'reading'));
    expect(answer).toMatchObject({ reason: expect.stringContaining('(asked 3 times)') });
  });

  it('that erases is sent again only where the ECU is still in its programming session', async () => {
    const look = (exchange: Exchange) => ({ look: () => exchange.isStillProgramming() });
    const alive = new ScriptedEcu({ '22F186': '62F18602' });
    alive.set('3101FF00', 'silent', '7101FF0000');
    const first = exchangeOf(alive);
    const erased = first.ask(erase, 'erasing', undefined, look(first));
    expect((await alive.clock.within(HOUR, erased)).ok).toBe(true);
    expect(alive.log).toEqual(['3101FF00', '22F186', '3101FF00']);
    for (const session of ['62F18601', '62F18603', 'silent']) {
      const gone = new ScriptedEcu({ '22F186': session, '3101FF00': 'silent' });
      const second = exchangeOf(gone);
      const lost = second.ask(erase, 'erasing', undefined, look(second));
      expect(await gone.clock.within(HOUR, lost)).toMatchObject({ code: 'SILENT' });
      expect(gone.log.filter((sent) => sent.startsWith('31'))).toHaveLength(1);
    }
    const blind = new ScriptedEcu({ '3101FF00': 'silent' });
    await blind.clock.within(HOUR, exchangeOf(blind).ask(erase, 'erasing'));
    expect(blind.log).toHaveLength(1);
  });
});
