// Keys, MACs and receipts of single messages: vectors made by another implementation, and what must not be the same.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  challengeMac,
  commitmentOf,
  commitmentsDigest,
  listenerKey,
  requestMac,
  responseMac,
  speakerKey,
} from '../../src/trust/authority.ts';

const TESTER = fromHex('01'.repeat(32));
const TESTER_PUBLIC = fromHex('a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209');
const ECU = fromHex('02'.repeat(32));
const ECU_PUBLIC = fromHex('ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59');
const KEY = fromHex('d7d0fbe8840fb14fc137414bca1de53212a083fe91161ff34fe0c26ee3665b65');
const FACTORY_KEY = 'd9e060273518116c7ed487c91b9bd61e3de88e39317d5296d781b13544baed86';
const CHALLENGE = fromHex('c1'.repeat(16));
const REQUEST = fromHex('840069010010000122fd00');
const REQUEST_MAC = 'f75d1365fc6a299ddbf69c12774db162';
const RESPONSE = fromHex('c40028010010000162fd000000010000');

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && toHex(bytes);

describe('the key', () => {
  it('is the one of the vector, from both sides', () => {
    expect(hex(speakerKey('tester', TESTER, ECU_PUBLIC))).toBe(toHex(KEY));
    expect(hex(listenerKey('tester', ECU, TESTER_PUBLIC))).toBe(toHex(KEY));
    expect(hex(speakerKey('factory', TESTER, ECU_PUBLIC))).toBe(FACTORY_KEY);
    expect(hex(listenerKey('factory', ECU, TESTER_PUBLIC))).toBe(FACTORY_KEY);
  });

  it('is another one for another ECU, speaker, role and direction', () => {
    const keys = [
      speakerKey('tester', TESTER, ECU_PUBLIC),
      speakerKey('factory', TESTER, ECU_PUBLIC),
      speakerKey('tester', ECU, TESTER_PUBLIC),
      speakerKey('tester', fromHex('03'.repeat(32)), ECU_PUBLIC),
      speakerKey('tester', TESTER, TESTER_PUBLIC),
    ].map(hex);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each([
    ['of no bytes', ''],
    ['of 31 bytes', '02'.repeat(31)],
    ['of low order: zero', '00'.repeat(32)],
    ['of low order: one', `01${'00'.repeat(31)}`],
    ['of low order: 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
  ])('of a foreign key %s is none', (_what, foreign) => {
    expect(speakerKey('tester', TESTER, fromHex(foreign))).toBeUndefined();
    expect(listenerKey('factory', ECU, fromHex(foreign))).toBeUndefined();
  });
});

describe('a MAC', () => {
  it('is the one of the vector', () => {
    expect(hex(requestMac(KEY, CHALLENGE, REQUEST))).toBe(REQUEST_MAC);
    expect(hex(responseMac(KEY, CHALLENGE, fromHex(REQUEST_MAC), RESPONSE))).toBe(
      'fb8a638e45987a4a36dae7685c1b9032',
    );
    expect(hex(challengeMac(KEY, CHALLENGE, 0))).toBe('004b356f1c22482fc7fe12d6f126a02e');
  });

  it('is another one after any change of key, challenge or message', () => {
    const right = hex(requestMac(KEY, CHALLENGE, REQUEST));
    const flipped = (bytes: Uint8Array, at: number) => {
      const copy = Uint8Array.from(bytes);
      copy[at]! ^= 1;
      return copy;
    };
    for (const at of KEY.keys()) {
      expect(hex(requestMac(flipped(KEY, at), CHALLENGE, REQUEST))).not.toBe(right);
    }
    for (const at of CHALLENGE.keys()) {
      expect(hex(requestMac(KEY, flipped(CHALLENGE, at), REQUEST))).not.toBe(right);
    }
    for (const at of REQUEST.keys()) {
      expect(hex(requestMac(KEY, CHALLENGE, flipped(REQUEST, at)))).not.toBe(right);
    }
  });

  it('of one kind is none of another, and bytes do not move from one field into the next', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(39), (bytes, cut) => {
        const at = cut % bytes.length;
        const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
        const request = hex(requestMac(KEY, head, tail));
        const response = hex(responseMac(KEY, head, new Uint8Array(), tail));
        expect(request).not.toBe(response);
        expect(hex(requestMac(KEY, bytes, new Uint8Array()))).not.toBe(request);
        expect(hex(responseMac(KEY, head, tail, new Uint8Array()))).not.toBe(response);
      }),
    );
    expect(hex(challengeMac(KEY, CHALLENGE, 1))).not.toBe(
      hex(requestMac(KEY, CHALLENGE, Uint8Array.of(0, 1))),
    );
  });
});

describe('a receipt', () => {
  const campaign = fromHex('ca'.repeat(16));
  const [a, b] = ['aa', 'bb'].map((fill) => commitmentOf(campaign, fromHex(fill.repeat(16))));

  it('has the commitment of the vector, another one in another campaign', () => {
    expect(hex(a)).toBe('898cf909c23a7a166a494d627aca98ed');
    expect(hex(b)).toBe('b5c9d1ec6b2132c7e6fa1cc7e7b7e839');
    expect(hex(commitmentOf(fromHex('cb'.repeat(16)), fromHex('aa'.repeat(16))))).not.toBe(hex(a));
  });

  it('counts in whatever order, once each', () => {
    const digest = '20742d902ed4c9278e07b421110d68610bd1624e725bbdc2726f32936bfa9cd0';
    expect(hex(commitmentsDigest([a!, b!]))).toBe(digest);
    expect(hex(commitmentsDigest([b!, a!]))).toBe(digest);
    for (const other of [[a!], [b!], [], [a!, a!, b!], [a!, b!, b!]]) {
      expect(hex(commitmentsDigest(other))).not.toBe(digest);
    }
  });

  it('does not change the array that it is given', () => {
    const given = [b!, a!];
    commitmentsDigest(given);
    expect(given).toEqual([b, a]);
  });
});
