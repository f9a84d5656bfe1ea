// ClearDiagnosticInformation (14).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/clear-diagnostic-information.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard: the emissions group', () => {
  expect(hex(service.encodeRequest(0xffff33))).toBe('14 FF FF 33');
  expect(service.decodeRequest(fromHex('14 FF FF 33'))).toEqual({
    group: 0xffff33,
    memory: undefined,
  });
  expect(hex(service.encodeResponse())).toBe('54');
  expect(service.decodeResponse(fromHex('54'))).toEqual({});
});

test('too short, too long', () => {
  expect(service.decodeRequest(fromHex('14 FF FF'))).toBe(0x13);
  expect(service.decodeRequest(fromHex('14 FF FF FF 01 02'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('54 00')))).toBe(true);
});

test('round trip, with and without memorySelection', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffff }),
      fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
      (group, memory) => {
        expect(service.decodeRequest(service.encodeRequest(group, memory))).toEqual({
          group,
          memory,
        });
      },
    ),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x14, ...service }));
