// RequestDownload (34).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/request-download.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard', () => {
  const text = '34 11 33 60 20 00 00 FF FF';
  const request = {
    dataFormat: 0x11,
    address: 0x602000,
    size: 0xffff,
    addressBytes: 3,
    sizeBytes: 3,
  };
  expect(hex(service.encodeRequest(request))).toBe(text);
  expect(service.decodeRequest(fromHex(text))).toEqual(request);
  expect(hex(service.encodeResponse(0x0081))).toBe('74 20 00 81');
  expect(service.decodeResponse(fromHex('74 20 00 81'))).toEqual({ maxBlockLength: 0x81 });
});

test('four bytes each and plain data unless told otherwise', () => {
  expect(hex(service.encodeRequest({ address: 0x0800_0000, size: 4096 }))).toBe(
    '34 00 44 08 00 00 00 00 00 10 00',
  );
});

test('the widths must be there, and must fit the length', () => {
  expect(service.decodeRequest(fromHex('34 00 04 08 00 00 00'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('34 00 40 08 00 00 00'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('34 00 44 08 00 00 00 00 00 10'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('34 00 44 08 00 00 00 00 00 10 00 00'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('34 00 11 01'))).toBe(0x13);
});

test('an address that no memory reaches is 0x31', () => {
  expect(service.decodeRequest(fromHex('34 00 18 FF FF FF FF FF FF FF FF 01'))).toBe(0x31);
});

test('leading zeros in wide fields are fine', () => {
  const wide = { dataFormat: 0, address: 7, size: 9, addressBytes: 15, sizeBytes: 15 };
  const bytes = service.encodeRequest(wide);
  expect(bytes.length).toBe(33);
  expect(service.decodeRequest(bytes)).toEqual(wide);
});

test.each(['74', '74 20', '74 20 00', '74 00 81', '74 10 02', '74 20 00 81 00'])(
  '%s is malformed',
  (text) => {
    expect(isMalformed(service.decodeResponse(fromHex(text)))).toBe(true);
  },
);

test('round trip in any widths', () => {
  const field = fc
    .integer({ min: 1, max: 6 })
    .chain((width) => fc.tuple(fc.constant(width), fc.nat({ max: 256 ** width - 1 })));
  fc.assert(
    fc.property(field, field, fc.integer({ min: 0, max: 255 }), (one, two, dataFormat) => {
      const [addressBytes, address] = one;
      const [sizeBytes, size] = two;
      const request = { dataFormat, address, size, addressBytes, sizeBytes };
      expect(service.decodeRequest(service.encodeRequest(request))).toEqual(request);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 0xffff_ffff }), (maxBlockLength) => {
      const bytes = service.encodeResponse(maxBlockLength);
      expect(service.decodeResponse(bytes)).toEqual({ maxBlockLength });
    }),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x34, ...service }));
