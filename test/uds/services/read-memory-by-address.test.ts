// ReadMemoryByAddress (23).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/read-memory-by-address.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard', () => {
  const text = '23 24 20 48 13 92 01 03';
  const request = { address: 0x2048_1392, size: 259, addressBytes: 4, sizeBytes: 2 };
  expect(hex(service.encodeRequest(request))).toBe(text);
  expect(service.decodeRequest(fromHex(text))).toEqual(request);
  expect(hex(service.encodeResponse(Uint8Array.of(0x00, 0x8c)))).toBe('63 00 8C');
  expect(service.decodeResponse(fromHex('63 00 8C'))).toEqual({ data: Uint8Array.of(0, 0x8c) });
});

test('four bytes each unless told otherwise', () => {
  expect(hex(service.encodeRequest({ address: 0x0800_0000, size: 16 }))).toBe(
    '23 44 08 00 00 00 00 00 00 10',
  );
});

test('the widths must be there, and must fit the length', () => {
  expect(service.decodeRequest(fromHex('23 04 08 00'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('23 40 08 00'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('23 11 08'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('23 44 08 00 00 00 00 00 10'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('23 44 08 00 00 00 00 00 00 10 00'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('23 18 FF FF FF FF FF FF FF FF 01'))).toBe(0x31);
});

test.each(['63', '22 01', '7F 23 33'])('%s is malformed', (text) => {
  expect(isMalformed(service.decodeResponse(fromHex(text)))).toBe(true);
});

test('round trip in any widths', () => {
  const field = fc
    .integer({ min: 1, max: 6 })
    .chain((width) => fc.tuple(fc.constant(width), fc.nat({ max: 256 ** width - 1 })));
  fc.assert(
    fc.property(field, field, ([addressBytes, address], [sizeBytes, size]) => {
      const request = { address, size, addressBytes, sizeBytes };
      expect(service.decodeRequest(service.encodeRequest(request))).toEqual(request);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (data) => {
      expect(service.decodeResponse(service.encodeResponse(data))).toEqual({ data });
    }),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x23, ...service }));
