// ControlDTCSetting (85).

import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/control-dtc-setting.ts';
import { checkRobustness, hex } from './codec-properties.ts';

test('the examples of the standard: off and on', () => {
  expect(hex(service.encodeRequest(service.DtcSetting.off))).toBe('85 02');
  expect(hex(service.encodeRequest(service.DtcSetting.on))).toBe('85 01');
  expect(service.decodeRequest(fromHex('85 02'))).toEqual({
    setting: 2,
    data: fromHex(''),
    suppress: false,
  });
  expect(hex(service.encodeResponse(2))).toBe('C5 02');
  expect(service.decodeResponse(fromHex('C5 02'))).toEqual({ setting: 2 });
});

test('with a record, suppressed', () => {
  const bytes = service.encodeRequest(2, { data: fromHex('FF FF FF'), suppress: true });
  expect(hex(bytes)).toBe('85 82 FF FF FF');
  expect(service.decodeRequest(bytes)).toEqual({
    setting: 2,
    data: fromHex('FF FF FF'),
    suppress: true,
  });
});

test('lengths', () => {
  expect(service.decodeRequest(fromHex('85'))).toBe(0x13);
  expect(isMalformed(service.decodeResponse(fromHex('C5 02 00')))).toBe(true);
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x85, ...service }));
