// ReadDataByIdentifier (22).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asciiBytes, fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/read-data-by-identifier.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the first example of the standard: the VIN', () => {
  expect(hex(service.encodeRequest(0xf190))).toBe('22 F1 90');
  expect(service.decodeRequest(fromHex('22 F1 90'))).toEqual({ dids: [0xf190] });
  const response = '62 F1 90 57 30 4C 30 30 30 30 34 33 4D 42 35 34 31 33 32 36';
  const records = [{ did: 0xf190, data: asciiBytes('W0L000043MB541326') }];
  expect(hex(service.encodeResponse(...records))).toBe(response);
  expect(service.decodeResponse(fromHex(response))).toEqual({ records });
});

test('the second example of the standard: two identifiers, told apart by their lengths', () => {
  expect(hex(service.encodeRequest(0x010a, 0x0110))).toBe('22 01 0A 01 10');
  const bytes = fromHex('62 01 0A A6 66 07 50 20 1A 00 63 4A 82 7E 01 10 8C');
  expect(service.decodeResponse(bytes, (did) => (did === 0x010a ? 11 : 1))).toEqual({
    records: [
      { did: 0x010a, data: fromHex('A6 66 07 50 20 1A 00 63 4A 82 7E') },
      { did: 0x0110, data: fromHex('8C') },
    ],
  });
});

test('an odd number of identifier bytes is 0x13', () => {
  expect(service.decodeRequest(fromHex('22 F1'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('22 F1 90 F1'))).toBe(0x13);
});

test('a response that ends within a record, or says nothing, is malformed', () => {
  expect(service.decodeResponse(fromHex('62 F1 90 57'), () => 17)).toEqual({
    malformed: 'DID F190 needs 17 bytes of data',
  });
  expect(isMalformed(service.decodeResponse(fromHex('62 F1 90')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('62 F1 90 01 02'), () => 1))).toBe(true);
});

test('round trip with a table of lengths', () => {
  const record = fc.record({
    did: fc.integer({ min: 0, max: 0xffff }),
    data: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  });
  const records = fc.uniqueArray(record, { minLength: 1, selector: ({ did }) => did });
  fc.assert(
    fc.property(records, (all) => {
      const lengths = new Map(all.map(({ did, data }) => [did, data.length]));
      const bytes = service.encodeResponse(...all);
      expect(service.decodeResponse(bytes, (did) => lengths.get(did))).toEqual({ records: all });
      const dids = all.map(({ did }) => did);
      expect(service.decodeRequest(service.encodeRequest(...dids))).toEqual({ dids });
    }),
  );
});

test('no identifier is a mistake of ours', () => {
  expect(() => service.encodeRequest()).toThrow(RangeError);
  expect(() => service.encodeRequest(0x10000)).toThrow(RangeError);
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x22, ...service }));
