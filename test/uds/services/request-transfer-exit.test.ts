// RequestTransferExit (37).

import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import * as service from '../../../src/uds/services/request-transfer-exit.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the example of the standard, and one with a record', () => {
  expect(hex(service.encodeRequest())).toBe('37');
  expect(service.decodeRequest(fromHex('37'))).toEqual({ data: fromHex('') });
  expect(hex(service.encodeRequest(fromHex('12 34')))).toBe('37 12 34');
  expect(hex(service.encodeResponse())).toBe('77');
  expect(service.decodeResponse(fromHex('77 AB'))).toEqual({ data: fromHex('AB') });
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x37, ...service }));
