// What an ECU tells of its trust, to the byte, and what a driver makes of it: state, nonce, report, refusal.

import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { reset } from '../../src/drivers/activation.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { Exchange, type Refusal } from '../../src/drivers/exchange.ts';
import type { OrderAuthority } from '../../src/drivers/secured-requester.ts';
import {
  explainRefusal,
  metadataFor,
  readTrustState,
  readVersionReport,
} from '../../src/drivers/trust-exchange.ts';
import { challengeMac } from '../../src/trust/authority.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { type Answer, ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const PEER = 'EDT (0x7E1 -> 0x7E9)';
const KEY = fromHex('5a'.repeat(32));
const AUTHORITY: OrderAuthority = { role: 'tester', key: KEY };
const CHALLENGE = (() => {
  const challenge = new Uint8Array(16).fill(0xc1);
  const mac = challengeMac(KEY, challenge, 0);
  return `62FD24${toHex(concatBytes(challenge, uintToBytes(0, 2), mac)).toUpperCase()}`;
})();

function exchangeOf(table: Record<string, Answer | Answer[]>, authority?: OrderAuthority) {
  const ecu = new ScriptedEcu(table);
  return {
    ecu,
    exchange: new Exchange({ ecu: ecuOf(), requester: ecu, clock: ecu.clock, authority }),
  };
}
const countOf = (ecu: ScriptedEcu, key: string) =>
  ecu.log.filter((sent) => sent.startsWith(key)).length;

describe('the trust state', () => {
  const STATE = { verification: 'partial', director: { root: 1 }, counter: 3, time: null };
  const read = (change: object | string) => {
    const text = typeof change === 'string' ? change : JSON.stringify({ ...STATE, ...change });
    return readTrustState(exchangeOf({ '22FD20': `62FD20${ascii(text)}` }).exchange);
  };

  it.each<[object, boolean]>([
    [{}, true],
    [{ verification: 'full', images: { root: 2, targets: 5 } }, true],
    [{ director: { root: 1, timestamp: 0, snapshot: 0, targets: 0 } }, true],
    [{ time: 'x'.repeat(40) }, true],
    [{ verification: 'none' }, false],
    [{ director: {} }, false],
    [{ director: { root: -1 } }, false],
    [{ director: { root: 1, targets: 0.5 } }, false],
    [{ images: { targets: 5 } }, false],
    [{ counter: -1 }, false],
    [{ time: 'x'.repeat(41) }, false],
    [{ time: undefined }, false],
  ])('%#: with %o is one: %s', async (change, expected) => {
    expect(await read(change)).toMatchObject(
      expected ? { ok: true, value: change } : { ok: false, code: 'MALFORMED' },
    );
  });

  it('has 4095 bytes at most', async () => {
    const padded = (length: number) => JSON.stringify(STATE).padEnd(length, ' ');
    expect(await read(padded(4095))).toMatchObject({ ok: true });
    expect(await read(padded(4096))).toMatchObject({ ok: false, code: 'MALFORMED' });
  });

  it('that is not there says what to do', async () => {
    const none = await readTrustState(exchangeOf({ '22FD20': '7F2231' }).exchange);
    expect(none).toMatchObject({
      ...{ ok: false, code: 'UNTRUSTED', transient: false },
      reason: `${PEER} does not know DID FD20 (trust state), so it verifies nothing: provision it with "can-ota provision", or set programming.metadata to "skip" for an ECU of another make`,
    });
    const nobody = await readTrustState(exchangeOf({ '22FD20': '7F2222' }).exchange);
    expect(nobody).toMatchObject({
      ...{ ok: false, code: 'PRECONDITION' },
      reason: expect.stringMatching(
        /^EDT .* trusts no Root yet \(EDT .* refused .*\): provision it with "can-ota provision"$/,
      ),
    });
  });
});

describe('the metadata', () => {
  const image = imageOf(Uint8Array.of(1));
  const STATE = '{"verification":"partial","director":{"root":1},"counter":3,"time":null}';
  const ask = (nonce: string, signal?: AbortSignal, onAsk?: () => void) => {
    const { exchange } = exchangeOf({ '22FD20': `62FD20${ascii(STATE)}`, '22FD21': nonce });
    const asked: unknown[] = [];
    const metadata = async (state: unknown) => {
      asked.push(state);
      onAsk?.();
      return { ok: true, value: Uint8Array.of(7) } as const;
    };
    const target = { campaign: CAMPAIGN, version: undefined, image, metadata };
    return metadataFor(exchange, target, signal).then((made) => ({ made, asked }));
  };

  it('is made for the nonce of the ECU', async () => {
    const { made, asked } = await ask(`62FD21${'AB'.repeat(16)}`);
    expect(made).toEqual({ ok: true, value: Uint8Array.of(7) });
    expect(asked).toEqual([{ ...JSON.parse(STATE), nonce: 'ab'.repeat(16) }]);
  });

  it.each([
    [`62FD21${'AB'.repeat(15)}`, '15 bytes, expected 16'],
    [`62FD21${'AB'.repeat(17)}`, '17 bytes, expected 16'],
    ['7F2231', '0 bytes, expected 16'],
  ])('is not made for %s', async (nonce, text) => {
    const { made, asked } = await ask(nonce);
    expect(made).toMatchObject({
      ...{ ok: false, code: 'MALFORMED', reason: expect.stringContaining(text) },
    });
    expect(asked).toEqual([]);
  });

  it('that comes too late may be asked for again', async () => {
    const stop = new AbortController();
    const { made } = await ask(`62FD21${'AB'.repeat(16)}`, stop.signal, () => stop.abort());
    expect(made).toMatchObject({
      ...{ ok: false, code: 'INTERRUPTED', transient: true },
      reason: `${PEER}: stopped before its metadata was there`,
    });
  });
});

describe('a refusal', () => {
  const refused: Refusal = {
    ...{ ok: false, code: 'REFUSED', reason: 'it said 72', transient: true, nrc: 0x72 },
  };
  const explain = (report: string) =>
    explainRefusal(exchangeOf({ '22FD22': report }).exchange, refused, 'the image');

  it('is explained by what the ECU has detected', async () => {
    expect(await explain(`62FD22${ascii('{"signed":{"attack":"ROLLBACK"}}')}`)).toEqual({
      ...{ ok: false, code: 'UNTRUSTED', transient: false, nrc: 0x72, attack: 'ROLLBACK' },
      reason: `${PEER} does not accept the image: it detected ROLLBACK (it said 72)`,
    });
  });

  it.each(['7F2231', '62FD2200', `62FD22${ascii('{"signed":{"attack":""}}')}`])(
    'stays as it is where its report is %s',
    async (report) => {
      expect(await explain(report)).toEqual({
        ...{ ok: false, code: 'UNTRUSTED', transient: false, nrc: 0x72 },
        reason: `${PEER} does not accept the image: it does not say why (it said 72)`,
      });
    },
  );

  it('of a report that is no JSON says how long that is', async () => {
    const { exchange } = exchangeOf({ '22FD22': '62FD22C3' });
    expect(await readVersionReport(exchange)).toMatchObject({
      ...{ ok: false, code: 'MALFORMED' },
      reason: expect.stringContaining('1 bytes that are no JSON'),
    });
  });
});

describe('the word that a report has come', () => {
  const tell = async (change: Record<string, unknown>, authority?: OrderAuthority) => {
    const ecu = new ScriptedEcu({ '22FD24': CHALLENGE, '84': 'silent', '22FD22': '7F2231' });
    const driver = new UdsEcuDriver({
      ...{ ecu: ecuOf(change), requester: ecu, clock: ecu.clock, authority },
    });
    const told = await ecu.clock.within(60_000, driver.reportReceived(7));
    const report = await ecu.clock.within(60_000, driver.versionReport());
    return { told, report, ecu };
  };

  it('goes to an ECU of ours with authority', async () => {
    const { told, ecu } = await tell({}, AUTHORITY);
    expect(told).toMatchObject({ ok: false, code: 'SILENT' });
    const [sent] = ecu.log.filter((hex) => hex.startsWith('84'));
    expect(sent!.slice(16, -32)).toBe('2EFD230000000000000007');
  });

  it('does not go without a key, and not to one of another make, which is not asked either', async () => {
    const without = await tell({});
    expect(without.told).toMatchObject({ ok: true });
    expect(countOf(without.ecu, '84')).toBe(0);
    expect(countOf(without.ecu, '22FD22')).toBe(1);
    const other = await tell({ programming: { metadata: 'skip' } }, AUTHORITY);
    expect([other.told, other.report]).toMatchObject([
      { ok: true },
      { ok: true, value: undefined },
    ]);
    expect(other.ecu.log).toEqual([]);
  });
});

describe('a reset', () => {
  const send = async (
    answer: string,
    change: Record<string, unknown>,
    authority?: OrderAuthority,
  ) => {
    const ecu = new ScriptedEcu({ '22FD24': CHALLENGE, '84': answer, '1101': '5101' });
    const exchange = new Exchange({
      ...{ ecu: ecuOf(change), requester: ecu, clock: ecu.clock, authority },
    });
    const done = await ecu.clock.within(60_000, reset(exchange));
    return { done, challenges: countOf(ecu, '22FD24'), plain: countOf(ecu, '1101') };
  };

  it('of an ECU of ours is ordered with authority, and with one challenge', async () => {
    expect(await send('7F843A', {}, AUTHORITY)).toMatchObject({ challenges: 1, plain: 0 });
  });

  it('is ordered in the clear without a key, and of an ECU of another make', async () => {
    const plain = { done: { ok: true }, challenges: 0, plain: 1 };
    expect(await send('7F843A', {})).toMatchObject(plain);
    const other = { programming: { metadata: 'skip' } };
    expect(await send('7F843A', other, AUTHORITY)).toMatchObject(plain);
  });
});
