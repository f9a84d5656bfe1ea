// InputOutputControlByIdentifier (2F).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import { matchResponse } from '../../../src/uds/match.ts';
import * as service from '../../../src/uds/services/input-output-control.ts';
import { checkRobustness, hex } from './codec-properties.ts';

const { returnControlToEcu, resetToDefault, freezeCurrentState, shortTermAdjustment } =
  service.ControlParameter;

test('the four parameters on the wire', () => {
  // ISO 14229-1 13.2.5: air inlet door position, one byte in percent.
  expect(hex(service.encodeRequest(0x9b00, shortTermAdjustment, fromHex('3C')))).toBe(
    '2F 9B 00 03 3C',
  );
  expect(hex(service.encodeResponse(0x9b00, shortTermAdjustment, fromHex('0C')))).toBe(
    '6F 9B 00 03 0C',
  );
  expect(hex(service.encodeRequest(0x9b00, returnControlToEcu))).toBe('2F 9B 00 00');
  expect(hex(service.encodeRequest(0x9b00, resetToDefault))).toBe('2F 9B 00 01');
  expect(hex(service.encodeRequest(0x9b00, freezeCurrentState))).toBe('2F 9B 00 02');
  expect(service.decodeRequest(fromHex('2F 9B 00 03 3C'))).toEqual({
    did: 0x9b00,
    parameter: 3,
    data: fromHex('3C'),
  });
  expect(service.decodeResponse(fromHex('6F 9B 00 00 3A'))).toEqual({
    did: 0x9b00,
    parameter: 0,
    state: fromHex('3A'),
  });
});

test('several parameters in one identifier have an enable mask behind the state', () => {
  const state = fromHex('07 D0 00 00 00 00');
  const request = service.encodeRequest(0x0155, shortTermAdjustment, state, fromHex('80'));
  expect(hex(request)).toBe('2F 01 55 03 07 D0 00 00 00 00 80');
  const decoded = service.decodeRequest(request);
  if (typeof decoded === 'number') throw new Error('refused');
  expect(service.splitState(decoded.data, 6)).toEqual({
    controlState: state,
    enableMask: fromHex('80'),
  });
  expect(service.splitState(decoded.data, 8)).toBeUndefined();
});

test('reserved parameters and missing bytes', () => {
  expect(service.decodeRequest(fromHex('2F 9B 00 04'))).toBe(0x31);
  // No sub-function: bit 7 is not "no answer wanted".
  expect(service.decodeRequest(fromHex('2F 9B 00 83 3C'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('2F 9B 00'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('6F 9B 00')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('6F 9B 00 04')))).toBe(true);
  expect(() => service.encodeRequest(0x9b00, shortTermAdjustment)).toThrow(RangeError);
});

test('an answer to another identifier or parameter is none', () => {
  const request = fromHex('2F FD 52 03 50');
  expect(matchResponse(request, fromHex('6F FD 52 03 50')).kind).toBe('positive');
  expect(matchResponse(request, fromHex('6F FD 53 03 50')).kind).toBe('foreign');
  expect(matchResponse(request, fromHex('6F FD 52 00 50')).kind).toBe('foreign');
  expect(matchResponse(request, fromHex('6F FD 52')).kind).toBe('malformed');
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
      fc.integer({ min: 0, max: 0xffff }),
      fc.uint8Array({ minLength: 1 }),
      (parameter, did, data) => {
        const request = service.encodeRequest(did, parameter, data);
        expect(service.decodeRequest(request)).toEqual({ did, parameter, data });
        const response = service.encodeResponse(did, parameter, data);
        expect(service.decodeResponse(response)).toEqual({ did, parameter, state: data });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x2f, ...service }));
