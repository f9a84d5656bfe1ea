// ECUReset (11).

import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/ecu-reset.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard: hard reset', () => {
  expect(hex(service.encodeRequest(service.ResetType.hardReset))).toBe('11 01');
  expect(service.decodeRequest(fromHex('11 01'))).toEqual({ type: 1, suppress: false });
  expect(hex(service.encodeResponse(1))).toBe('51 01');
  expect(service.decodeResponse(fromHex('51 01'))).toEqual({
    type: 1,
    powerDownSeconds: undefined,
  });
});

test('only enableRapidPowerShutDown carries a time', () => {
  expect(hex(service.encodeResponse(4, 10))).toBe('51 04 0A');
  expect(hex(service.encodeResponse(4))).toBe('51 04 FF');
  expect(hex(service.encodeResponse(1, 10))).toBe('51 01');
  expect(service.decodeResponse(fromHex('51 04 0A'))).toEqual({ type: 4, powerDownSeconds: 10 });
  expect(isMalformed(service.decodeResponse(fromHex('51 04')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('51 01 0A')))).toBe(true);
});

test('a length other than two is 0x13', () => {
  expect(service.decodeRequest(fromHex('11'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('11 01 01'))).toBe(0x13);
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x11, ...service }));
