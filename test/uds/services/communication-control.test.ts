// CommunicationControl (28).

import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/communication-control.ts';
import { checkRobustness, hex } from './codec-properties.ts';

const { ControlType, CommunicationType } = service;

test('the example of the standard: network management off', () => {
  const control = ControlType.enableRxAndDisableTx;
  const bytes = service.encodeRequest(control, CommunicationType.networkManagement);
  expect(hex(bytes)).toBe('28 01 02');
  expect(service.decodeRequest(bytes)).toEqual({
    control: 1,
    type: 2,
    node: undefined,
    suppress: false,
  });
  expect(hex(service.encodeResponse(control))).toBe('68 01');
  expect(service.decodeResponse(fromHex('68 01'))).toEqual({ control: 1 });
});

test('enhanced addressing carries a node number: 28 04 01 00 0A', () => {
  const bytes = service.encodeRequest(0x04, CommunicationType.normal, { node: 10 });
  expect(hex(bytes)).toBe('28 04 01 00 0A');
  expect(service.decodeRequest(bytes)).toMatchObject({ control: 4, node: 10 });
  expect(() => service.encodeRequest(0x04, 1)).toThrow(RangeError);
  expect(() => service.encodeRequest(0x00, 1, { node: 1 })).toThrow(RangeError);
});

test('suppressed, as a broadcast before programming is', () => {
  expect(hex(service.encodeRequest(3, 1, { suppress: true }))).toBe('28 83 01');
  expect(service.decodeRequest(fromHex('28 83 01'))).toMatchObject({ control: 3, suppress: true });
});

test.each(['28', '28 01', '28 01 01 00', '28 04 01', '28 85 01 00'])('%s is 0x13', (text) => {
  expect(service.decodeRequest(fromHex(text))).toBe(0x13);
});

test('a response of one byte is malformed', () => {
  expect(isMalformed(service.decodeResponse(fromHex('68')))).toBe(true);
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x28, ...service }));
