// RequestFileTransfer (38).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/request-file-transfer.ts';
import { checkRobustness, hex } from './codec-properties.ts';

// The file of the standard's examples.
const path = 'D:\\mapdata\\europe\\germany1.yxz';
const name = Buffer.from(path, 'latin1')
  .toString('hex')
  .toUpperCase()
  .replace(/(..)(?!$)/g, '$1 ');

const requests: [string, service.Request][] = [
  [
    `38 01 00 1E ${name} 11 02 C3 50 75 30`,
    { mode: 'addFile', path, dataFormat: 0x11, size: 50_000, compressedSize: 30_000 },
  ],
  [`38 02 00 1E ${name}`, { mode: 'deleteFile', path }],
  [
    `38 03 00 1E ${name} 11 02 C3 50 75 30`,
    { mode: 'replaceFile', path, dataFormat: 0x11, size: 50_000, compressedSize: 30_000 },
  ],
  [`38 04 00 1E ${name} 11`, { mode: 'readFile', path, dataFormat: 0x11 }],
  [`38 05 00 1E ${name}`, { mode: 'readDir', path }],
  [
    `38 06 00 1E ${name} 00 01 C8 C8`,
    { mode: 'resumeFile', path, dataFormat: 0, size: 200, compressedSize: 200 },
  ],
];

const responses: [string, service.Response][] = [
  ['78 01 02 C3 50 11', { mode: 'addFile', maxBlockLength: 0xc350, dataFormat: 0x11 }],
  ['78 02', { mode: 'deleteFile' }],
  ['78 03 02 0F FF 00', { mode: 'replaceFile', maxBlockLength: 0xfff, dataFormat: 0 }],
  [
    '78 04 02 C3 50 11 00 02 C3 50 75 30',
    {
      mode: 'readFile',
      maxBlockLength: 0xc350,
      dataFormat: 0x11,
      size: 50_000,
      compressedSize: 30_000,
    },
  ],
  ['78 05 02 0F FF 00 00 01 40', { mode: 'readDir', maxBlockLength: 0xfff, size: 64 }],
  [
    '78 06 02 0F FF 00 00 00 00 00 00 00 10 00',
    { mode: 'resumeFile', maxBlockLength: 0xfff, dataFormat: 0, position: 4096 },
  ],
];

describe('requests', () => {
  test.each(requests)('%s', (text, request) => {
    expect(hex(service.encodeRequest(request))).toBe(text);
    expect(service.decodeRequest(fromHex(text))).toEqual(request);
    expect(service.decodeRequest(fromHex(`${text} 00`))).toBe(0x13);
    expect(service.decodeRequest(fromHex(text).subarray(0, -1))).toBe(0x13);
  });
});

describe('responses', () => {
  test.each(responses)('%s', (text, response) => {
    expect(hex(service.encodeResponse(response))).toBe(text);
    expect(service.decodeResponse(fromHex(text))).toEqual(response);
    expect(isMalformed(service.decodeResponse(fromHex(`${text} 00`)))).toBe(true);
    expect(isMalformed(service.decodeResponse(fromHex(text).subarray(0, -1)))).toBe(true);
  });
});

test('unknown modes and sizes without width are 0x31, an empty path is 0x13', () => {
  expect(service.decodeRequest(fromHex('38 07 00 01 61'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('38 01 00 01 61 00 00'))).toBe(0x31);
  expect(service.decodeRequest(fromHex('38 05 00 00 00'))).toBe(0x13);
  expect(() => service.encodeRequest({ mode: 'readDir', path: '' })).toThrow(RangeError);
});

test('a block length that carries no data is malformed', () => {
  expect(isMalformed(service.decodeResponse(fromHex('78 01 01 02 00')))).toBe(true);
  expect(isMalformed(service.decodeResponse(fromHex('78 01 00 00')))).toBe(true);
});

test('round trip', () => {
  const size = fc.nat({ max: 2 ** 40 });
  const anyPath = fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' });
  fc.assert(
    fc.property(anyPath, size, size, (somePath, one, two) => {
      const request: service.Request = {
        mode: 'addFile',
        path: somePath,
        dataFormat: 0x10,
        size: one,
        compressedSize: two,
      };
      const bytes = service.encodeRequest(request);
      expect(service.decodeRequest(bytes), toHex(bytes)).toEqual(request);
    }),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x38, ...service }));
