// SecuredDataTransmission (84).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import * as service from '../../../src/uds/services/secured-data-transmission.ts';
import { checkRobustness } from './codec-properties.ts';

const MAC = '000102030405060708090a0b0c0d0e0f';
const mac = () => fromHex(MAC);
const secured = { calculation: 1, counter: 0x0203, inner: fromHex('31010211aabb') };
const request = `84 0069 01 0010 0203 31010211aabb ${MAC}`.replaceAll(' ', '');
const response = `c4 0028 01 0010 0203 71010211aabb ${MAC}`.replaceAll(' ', '');

describe('a request', () => {
  test('is written byte by byte, and read back', () => {
    let asked = '';
    const bytes = service.encodeRequest(secured, 16, (authenticated) => {
      asked = toHex(authenticated);
      return mac();
    });
    expect(toHex(bytes)).toBe(request);
    expect(asked).toBe(request.slice(0, -32)); // all of it, the MAC excepted
    const read = service.decodeRequest(bytes);
    expect(read).toMatchObject(secured);
    if (typeof read === 'number') throw new Error('refused');
    expect(toHex(read.mac)).toBe(MAC);
    expect(toHex(read.authenticated)).toBe(asked);
  });

  test.each([
    ['another service', `85${request.slice(2)}`, Nrc.serviceNotSupported],
    ['nothing but its service', '84', Nrc.incorrectMessageLengthOrInvalidFormat],
    ['no inner message', `8400690100100203${MAC}`, Nrc.incorrectMessageLengthOrInvalidFormat],
    ['half a MAC', '84006901001002033101021100010203', Nrc.incorrectMessageLengthOrInvalidFormat],
    ['no MAC', '8400690100000203310102110001', Nrc.incorrectMessageLengthOrInvalidFormat],
    [
      'a MAC longer than the message',
      '840069 01 ffff 0203 310102',
      Nrc.incorrectMessageLengthOrInvalidFormat,
    ],
    ['the parameter of a response', request.replace('0069', '0028'), Nrc.requestOutOfRange],
    ['no signature asked for the answer', request.replace('0069', '0029'), Nrc.requestOutOfRange],
    ['no signature', request.replace('0069', '0049'), Nrc.requestOutOfRange],
    ['an encrypted message', request.replace('0069', '0079'), Nrc.requestOutOfRange],
    ['another key', request.replace('0069', '0061'), Nrc.requestOutOfRange],
    ['a reserved bit', request.replace('0069', '8069'), Nrc.requestOutOfRange],
  ])('with %s is refused', (_what, text, nrc) => {
    expect(service.decodeRequest(fromHex(text.replaceAll(' ', '')))).toBe(nrc);
  });

  test('cut anywhere is too short, however long its MAC is said to be', () => {
    const whole = fromHex(request);
    // Without its end, what is left of the inner message and of the MAC is taken for both.
    const lengths = Array.from({ length: 8 + 16 }, (_none, index) => index + 1);
    for (const length of lengths) {
      const nrc = service.decodeRequest(whole.subarray(0, length));
      expect(nrc, `${length} bytes`).toBe(Nrc.incorrectMessageLengthOrInvalidFormat);
    }
    for (const length of lengths) {
      const cut = service.decodeResponse(fromHex(response).subarray(0, length));
      expect(isMalformed(cut), `${length} bytes`).toBe(true);
    }
  });

  test('has a counter of two bytes, a MAC as long as announced, and something inside', () => {
    for (const counter of [-1, 65_536, 0.5]) {
      expect(() => service.encodeRequest({ ...secured, counter }, 16, mac)).toThrow(RangeError);
    }
    expect(() => service.encodeRequest(secured, 8, mac)).toThrow(RangeError);
    expect(() => service.encodeRequest({ ...secured, calculation: 256 }, 16, mac)).toThrow(
      RangeError,
    );
    const inner = new Uint8Array();
    expect(() => service.encodeRequest({ ...secured, inner }, 16, mac)).toThrow(RangeError);
  });
});

describe('a response', () => {
  const answer = { ...secured, inner: fromHex('71010211aabb') };

  test('is written byte by byte, and read back', () => {
    const bytes = service.encodeResponse(answer, 16, mac);
    expect(toHex(bytes)).toBe(response);
    expect(service.decodeResponse(bytes)).toMatchObject(answer);
  });

  test.each([
    ['the parameter of a request', response.replace('0028', '0069')],
    ['no signature', response.replace('0028', '0008')],
    ['no inner message', `c400280100100203${MAC}`],
    ['no MAC', 'c4002801000002037101021100'],
    ['a MAC longer than the message', 'c400280100ff020371010211'],
  ])('with %s is malformed', (_what, text) => {
    expect(isMalformed(service.decodeResponse(fromHex(text)))).toBe(true);
  });

  test.each([
    ['7f3131', 0x31],
    ['7f31', undefined],
    ['7f313100', undefined],
    ['71010211', 0x31],
    ['', undefined],
  ])('%s inside answers %s', (inner, sid) => {
    expect(service.answeredSid(fromHex(inner))).toBe(sid);
  });
});

test('any counter, inner message and MAC come back', () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff),
      fc.nat(0xff),
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      (counter, calculation, inner, given) => {
        const whole = { calculation, counter, inner };
        const bytes = service.encodeRequest(whole, given.length, () => given);
        const read = service.decodeRequest(bytes);
        if (typeof read === 'number') throw new Error(`refused by ${read}`);
        const { mac: came, inner: message } = read;
        expect([toHex(came), toHex(message)]).toEqual([toHex(given), toHex(inner)]);
        expect(read).toMatchObject({ calculation, counter });
      },
    ),
  );
});

test('no bytes make it throw', () => {
  checkRobustness({ sid: 0x84, ...service });
});
