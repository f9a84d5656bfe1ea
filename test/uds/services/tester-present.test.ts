// TesterPresent (3E).

import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/tester-present.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the examples of the standard, with and without an answer', () => {
  expect(hex(service.encodeRequest())).toBe('3E 00');
  expect(hex(service.encodeRequest(true))).toBe('3E 80');
  expect(service.decodeRequest(fromHex('3E 00'))).toEqual({ suppress: false });
  expect(service.decodeRequest(fromHex('3E 80'))).toEqual({ suppress: true });
  expect(hex(service.encodeResponse())).toBe('7E 00');
  expect(service.decodeResponse(fromHex('7E 00'))).toEqual({});
});

test('other sub-functions and lengths', () => {
  expect(service.decodeRequest(fromHex('3E 01'))).toBe(0x12);
  expect(service.decodeRequest(fromHex('3E'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('3E 00 00'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('7E 80')))).toBe(true);
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x3e, ...service }));
