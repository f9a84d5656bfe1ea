// TransferData (36).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/transfer-data.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('a block and its answer', () => {
  expect(hex(service.encodeRequest(1, fromHex('DE AD')))).toBe('36 01 DE AD');
  expect(service.decodeRequest(fromHex('36 05 01'))).toEqual({ counter: 5, data: fromHex('01') });
  expect(hex(service.encodeResponse(1))).toBe('76 01');
  expect(service.decodeResponse(fromHex('76 01'))).toEqual({ counter: 1, data: fromHex('') });
});

test('the counter starts with 1, and 255 is followed by 0 and 1', () => {
  expect(service.nextCounter(1)).toBe(2);
  expect(service.nextCounter(255)).toBe(0);
  expect(service.nextCounter(0)).toBe(1);
});

test('a message without counter', () => {
  expect(service.decodeRequest(fromHex('36'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('76')))).toBe(true);
  expect(() => service.encodeRequest(256)).toThrow(RangeError);
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 255 }),
      fc.uint8Array({ maxLength: 4093 }),
      (counter, data) => {
        const block = { counter, data };
        expect(service.decodeRequest(service.encodeRequest(counter, data))).toEqual(block);
        expect(service.decodeResponse(service.encodeResponse(counter, data))).toEqual(block);
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x36, ...service }));
