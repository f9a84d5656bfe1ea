// WriteDataByIdentifier (2E).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asciiBytes, fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/write-data-by-identifier.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard: the VIN', () => {
  const text = '2E F1 90 57 30 4C 30 30 30 30 34 33 4D 42 35 34 31 33 32 36';
  const data = asciiBytes('W0L000043MB541326');
  expect(hex(service.encodeRequest(0xf190, data))).toBe(text);
  expect(service.decodeRequest(fromHex(text))).toEqual({ did: 0xf190, data });
  expect(hex(service.encodeResponse(0xf190))).toBe('6E F1 90');
  expect(service.decodeResponse(fromHex('6E F1 90'))).toEqual({ did: 0xf190 });
});

test('no data is 0x13, and a mistake of ours', () => {
  expect(service.decodeRequest(fromHex('2E F1 90'))).toBe(0x13);
  expect(() => service.encodeRequest(0xf190, new Uint8Array())).toThrow(RangeError);
  expect(isMalformed(service.decodeResponse(fromHex('6E F1')))).toBe(true);
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.uint8Array({ minLength: 1 }),
      (did, data) => {
        expect(service.decodeRequest(service.encodeRequest(did, data))).toEqual({ did, data });
        expect(service.decodeResponse(service.encodeResponse(did))).toEqual({ did });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x2e, ...service }));
