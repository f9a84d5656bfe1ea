// RoutineControl (31).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/routine-control.ts';
import { checkRobustness, hex } from './codec-properties.ts';

const { startRoutine, requestRoutineResults } = service.RoutineControlType;

test('start, stop and results of routine 0201', () => {
  expect(hex(service.encodeRequest(startRoutine, 0x0201))).toBe('31 01 02 01');
  expect(service.decodeRequest(fromHex('31 01 02 01'))).toEqual({
    control: 1,
    routine: 0x0201,
    data: fromHex(''),
    suppress: false,
  });
  expect(hex(service.encodeResponse(startRoutine, 0x0201, fromHex('32 33 8F')))).toBe(
    '71 01 02 01 32 33 8F',
  );
  expect(hex(service.encodeRequest(requestRoutineResults, 0x0201))).toBe('31 03 02 01');
  expect(service.decodeResponse(fromHex('71 03 02 01 30 33'))).toEqual({
    control: 3,
    routine: 0x0201,
    data: fromHex('30 33'),
  });
});

test('reserved control types and missing bytes', () => {
  expect(service.decodeRequest(fromHex('31 00 02 01'))).toBe(0x12);
  expect(service.decodeRequest(fromHex('31 04 02 01'))).toBe(0x12);
  expect(service.decodeRequest(fromHex('31 01 02'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('71 01 02')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('71 04 02 01')))).toBe(true);
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1 as const, 2 as const, 3 as const),
      fc.integer({ min: 0, max: 0xffff }),
      fc.uint8Array(),
      fc.boolean(),
      (control, routine, data, suppress) => {
        const request = service.encodeRequest(control, routine, data, suppress);
        expect(service.decodeRequest(request)).toEqual({ control, routine, data, suppress });
        const response = service.encodeResponse(control, routine, data);
        expect(service.decodeResponse(response)).toEqual({ control, routine, data });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x31, ...service }));
