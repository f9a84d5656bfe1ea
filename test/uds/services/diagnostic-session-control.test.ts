// DiagnosticSessionControl (10).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/diagnostic-session-control.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard: programming session', () => {
  expect(hex(service.encodeRequest(0x02))).toBe('10 02');
  expect(service.decodeRequest(fromHex('10 02'))).toEqual({ session: 2, suppress: false });
  expect(service.decodeResponse(fromHex('50 02 00 32 01 F4'))).toEqual({
    session: 2,
    timing: { p2Ms: 50, p2StarMs: 5000 },
  });
});

test('bit 7 suppresses the answer', () => {
  expect(hex(service.encodeRequest(0x03, true))).toBe('10 83');
  expect(service.decodeRequest(fromHex('10 83'))).toEqual({ session: 3, suppress: true });
});

test('times are rounded up, so that a tester never waits too short', () => {
  expect(hex(service.encodeResponse(3, { p2Ms: 49.2, p2StarMs: 5001 }))).toBe('50 03 00 32 01 F5');
});

test('a length other than two is 0x13', () => {
  expect(service.decodeRequest(fromHex('10'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('10 01 00'))).toBe(0x13);
});

test('servers of older editions may leave the times out, but not half of them', () => {
  expect(service.decodeResponse(fromHex('50 03'))).toEqual({ session: 3, timing: undefined });
  expect(isMalformed(service.decodeResponse(fromHex('50 03 00 32')))).toBe(true);
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0x7f }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffff }),
      (session, p2Ms, tens) => {
        const timing = { p2Ms, p2StarMs: tens * 10 };
        const bytes = service.encodeResponse(session, timing);
        expect(service.decodeResponse(bytes)).toEqual({ session, timing });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x10, ...service }));
