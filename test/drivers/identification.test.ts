// What is read of an ECU before and after: each field from its DID, what is no answer, and the words of what is malformed.

import { describe, expect, it } from 'vitest';
import { Exchange, isNotKnown, peerText } from '../../src/drivers/exchange.ts';
import {
  didText,
  identifyEcu,
  readBootState,
  readDigest,
  readVersion,
} from '../../src/drivers/identification.ts';
import { Did } from '../../src/uds/sid.ts';
import { type Answer, ascii, ecuOf, ScriptedEcu } from './support.ts';

const SHA = 'AB'.repeat(32);

function exchangeOf(table: Record<string, Answer>, change: Record<string, unknown> = {}) {
  const requester = new ScriptedEcu(table);
  const exchange = new Exchange({ ecu: ecuOf(change), requester, clock: requester.clock });
  return { exchange, log: requester.log, clock: requester.clock };
}

describe('text of a DID', () => {
  it('ends before its padding, and shows what cannot be printed as ?', () => {
    expect(didText(Uint8Array.of(0x31, 0x2e, 0x30, 0x20, 0x00, 0xff))).toBe('1.0');
    expect(didText(Uint8Array.of(0x41, 0x00, 0x42))).toBe('A?B');
    expect(didText(Uint8Array.of(0x7e, 0x7f, 0x1f, 0x21))).toBe('~??!');
    expect(didText(Uint8Array.of(0xff, 0x00))).toBe('');
  });
});

describe('an identity', () => {
  it('has every field of its own DID', async () => {
    const { exchange } = exchangeOf({
      '22F191': `62F191${ascii('HW')}`,
      '22F189': `62F189${ascii('1.2')}`,
      '22F18C': `62F18C${ascii('SN')}`,
      '22FD01': `62FD01${SHA}`,
    });
    expect(await identifyEcu(exchange)).toEqual({
      ok: true,
      value: { hardwareId: 'HW', version: '1.2', serialNumber: 'SN', sha256: SHA.toLowerCase() },
    });
  });

  it('is unknown where the ECU does not know what is asked, and where nothing is asked', async () => {
    const unknown = { hardwareId: undefined, version: undefined, serialNumber: undefined };
    const value = { ...unknown, sha256: undefined };
    const strange = exchangeOf({});
    expect(await identifyEcu(strange.exchange)).toEqual({ ok: true, value });
    expect(strange.log).toEqual(['22F191', '22F189', '22F195', '22F18C', '22FD01']);
    const skipped = exchangeOf({}, { programming: { identify: 'skip' } });
    expect(await identifyEcu(skipped.exchange)).toEqual({ ok: true, value });
    expect(skipped.log).toEqual([]);
  });

  it.each(['22F191', '22F189', '22F18C', '22FD01'])(
    'ends at the first failure (%s)',
    async (did) => {
      const { exchange, log, clock } = exchangeOf({ [did]: 'silent' });
      const identity = clock.within(60_000, identifyEcu(exchange));
      expect(await identity).toMatchObject({ ok: false, code: 'SILENT' });
      expect(log.at(-1)).toBe(did);
    },
  );
});

describe('a version', () => {
  it('is that of F189, or of F195 where there is none', async () => {
    const both = { '22F189': `62F189${ascii('9')}`, '22F195': `62F195${ascii('5')}` };
    expect(await readVersion(exchangeOf(both).exchange)).toMatchObject({ value: '9' });
    const empty = { ...both, '22F189': '62F189FFFF' };
    expect(await readVersion(exchangeOf(empty).exchange)).toMatchObject({ value: '5' });
  });
});

describe('what is malformed', () => {
  it('names the ECU, the request, what was done, and what is wrong', async () => {
    const digest = exchangeOf({ '22FD01': `62FD01${SHA.slice(2)}` });
    expect(await readDigest(digest.exchange, Did.activeBankDigest)).toEqual({
      ...{ ok: false, code: 'MALFORMED', transient: false },
      reason: expect.stringMatching(
        /^EDT \(0x7E1 -> 0x7E9\): the answer to .* while reading the digest of its image breaks its format: 31 bytes, expected 32$/,
      ),
    });
    const state = exchangeOf({ '22FD00': '62FD000909090909' });
    expect(await readBootState(state.exchange)).toMatchObject({
      reason: expect.stringMatching(
        /while reading its boot state breaks its format: 0909090909 is no boot state$/,
      ),
    });
  });
});

describe('an NRC', () => {
  it.each([
    [0x11, true],
    [0x12, true],
    [0x31, true],
    [0x7e, true],
    [0x7f, true],
    [0x10, false],
    [0x13, false],
    [0x22, false],
    [0x33, false],
  ])('%i says that the ECU does not know what was asked: %s', (nrc, expected) => {
    expect(isNotKnown({ ok: false, nrc })).toBe(expected);
    expect(isNotKnown({ ok: true, nrc })).toBe(false);
  });

  it('that is missing says nothing', () => {
    expect(isNotKnown({ ok: false })).toBe(false);
  });
});

describe('an ECU is called by its name and address', () => {
  const ids = { request: 0x7e1, response: 0x7e9 };
  it.each([
    [{ mode: 'normal', ...ids }, 'EDT (0x7E1 -> 0x7E9)'],
    [
      { mode: 'normal-fixed', ecu: 0x10, tester: 0xf1 },
      'EDT (normal fixed, ECU 0x10, tester 0xF1)',
    ],
    [{ mode: 'extended', ...ids, ecu: 0x10, tester: 0xf1 }, 'EDT (0x7E1 -> 0x7E9, ECU 0x10)'],
    [{ mode: 'mixed', ...ids, extension: 0x55 }, 'EDT (0x7E1 -> 0x7E9, extension 0x55)'],
  ])('%o', (address, text) => {
    expect(peerText({ name: 'EDT', address } as never)).toBe(text);
  });
});
