// Which services have a sub-function, and what their positive responses repeat: a row for each service.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  expectedEcho,
  hasSubFunction,
  suppressesPositive,
  withSuppressedPositive,
} from '../../src/uds/request-form.ts';

const REST = '83112233445566';

describe('a request', () => {
  it.each([
    ['10', true, '03'],
    ['11', true, '03'],
    ['14', false, ''],
    ['19', true, '03'],
    ['22', false, '8311'],
    ['23', false, ''],
    ['27', true, '03'],
    ['28', true, '03'],
    ['29', true, '03'],
    ['2c', true, '03'],
    ['2e', false, '8311'],
    ['2f', false, '831122'],
    ['31', true, '031122'],
    ['34', false, ''],
    ['35', false, ''],
    ['36', false, '83'],
    ['37', false, ''],
    ['38', false, '83'],
    ['3e', true, '03'],
    ['83', true, undefined],
    ['85', true, '03'],
    ['86', true, '03'],
    ['87', true, '03'],
    ['ba', false, ''],
    ['84', false, ''],
    ['88', false, ''],
  ])('%s: sub-function %s, its answer repeats %s', (sid, sub, echo) => {
    const request = fromHex(sid + REST);
    expect(hasSubFunction(request[0]!)).toBe(sub);
    expect(suppressesPositive(request)).toBe(sub);
    if (echo !== undefined) expect(toHex(expectedEcho(request))).toBe(echo);
    const wanted = fromHex(`${sid}03`);
    expect(suppressesPositive(wanted)).toBe(false);
    expect(toHex(withSuppressedPositive(wanted))).toBe(sub ? `${sid}83` : `${sid}03`);
    expect(toHex(wanted)).toBe(`${sid}03`);
  });

  it('without a second byte has no sub-function to speak of', () => {
    expect(suppressesPositive(fromHex('10'))).toBe(false);
    expect(toHex(withSuppressedPositive(fromHex('10')))).toBe('10');
    expect(toHex(expectedEcho(fromHex('10')))).toBe('');
    expect(toHex(expectedEcho(new Uint8Array(0)))).toBe('');
  });
});
