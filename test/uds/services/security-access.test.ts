// SecurityAccess (27) on the wire.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/security-access.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard: seed 3657, key C9A9', () => {
  expect(hex(service.encodeRequest('requestSeed', 1))).toBe('27 01');
  expect(service.decodeResponse(fromHex('67 01 36 57'))).toEqual({
    kind: 'requestSeed',
    level: 1,
    seed: fromHex('36 57'),
  });
  expect(hex(service.encodeRequest('sendKey', 1, fromHex('C9 A9')))).toBe('27 02 C9 A9');
  expect(service.decodeRequest(fromHex('27 02 C9 A9'))).toEqual({
    kind: 'sendKey',
    level: 1,
    data: fromHex('C9 A9'),
    suppress: false,
  });
  expect(hex(service.encodeResponse('sendKey', 1))).toBe('67 02');
  expect(service.decodeResponse(fromHex('67 02'))).toMatchObject({ kind: 'sendKey', level: 1 });
});

test('a zero seed says that the level is unlocked', () => {
  expect(service.isUnlockedSeed(fromHex('00 00'))).toBe(true);
  expect(service.isUnlockedSeed(fromHex('00 01'))).toBe(false);
});

test('reserved sub-functions, a missing key, a missing seed', () => {
  expect(service.decodeRequest(fromHex('27 00'))).toBe(0x12);
  expect(service.decodeRequest(fromHex('27 7F'))).toBe(0x12);
  expect(service.decodeRequest(fromHex('27'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('27 02'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('67 01')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('67 02 00')))).toBe(true);
  expect(() => service.encodeRequest('requestSeed', 2)).toThrow(RangeError);
});

test('round trip', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('requestSeed' as const, 'sendKey' as const),
      fc.integer({ min: 0, max: 0x3e }),
      fc.uint8Array({ minLength: 1 }),
      (kind, half, data) => {
        const level = 2 * half + 1;
        expect(service.decodeRequest(service.encodeRequest(kind, level, data))).toEqual({
          kind,
          level,
          data,
          suppress: false,
        });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x27, ...service }));
