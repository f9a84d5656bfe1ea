// Limits of an ECU at their edges: the last value that is taken and the first one that is not.

import { describe, expect, it } from 'vitest';
import { storeTroubleCode } from '../../ecus/bootloader/diagnostics/trouble-codes.ts';
import { NvData } from '../../ecus/bootloader/flash/nv-data.ts';
import { encodeSealed } from '../../ecus/bootloader/flash/sealed-json.ts';
import {
  type BlockSequence,
  type DownloadArea,
  exitRefusal,
  MAX_FILE_BYTES,
  startFile,
  startImage,
  transferBlock,
} from '../../ecus/bootloader/programming/download.ts';
import { BANK_SIZE, EcuBench, imageOf, releaseOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';

describe('an image', () => {
  const area: DownloadArea = {
    ...{ address: 0x1000, size: 100, blank: true, expectedLength: 100, format: 'plain' },
    ...{ resume: undefined, isBusy: false },
  };
  const request = { dataFormat: 0, address: 0x1000, size: 100 };
  const nrcOf = (change: Partial<typeof request>, where: Partial<DownloadArea> = {}) =>
    startImage({ ...request, ...change }, { ...area, ...where }, 12).nrc;

  it.each<[string, Partial<typeof request>, Partial<DownloadArea>, number | undefined]>([
    ['as large as the bank', {}, {}, undefined],
    ['of one byte', { size: 1 }, { expectedLength: 1 }, undefined],
    ['of no byte', { size: 0 }, { expectedLength: 0 }, 0x31],
    ['larger than the bank', { size: 101 }, { expectedLength: 101 }, 0x31],
    ['longer than signed', { size: 100 }, { expectedLength: 99 }, 0x31],
    ['at another address', { address: 0x1001 }, {}, 0x31],
    ['encrypted, but released plain', { dataFormat: 1 }, {}, 0x31],
    ['plain, but released encrypted', {}, { format: 'encrypted' }, 0x31],
    ['plain, released in either form', {}, { format: 'either' }, undefined],
    ['encrypted, released in either form', { dataFormat: 1 }, { format: 'either' }, undefined],
    ['in an unknown form', { dataFormat: 2 }, { format: 'either' }, 0x31],
    ['without metadata', {}, { expectedLength: undefined }, 0x22],
    ['into a bank that is not blank', {}, { blank: false }, 0x22],
  ])('%s', (_what, change, where, nrc) => {
    expect(nrcOf(change, where)).toBe(nrc);
  });

  it('goes on only where it is durable, and in its form', () => {
    const resume = { received: 40, carried: 44, encrypted: false };
    const rest = { address: 0x1028, size: 60 };
    const blank = false;
    expect(startImage({ ...request, ...rest }, { ...area, resume, blank }, 12)).toEqual({
      resumed: true,
      blocks: { size: 100, received: 44, maxBlockLength: 12, lastCounter: undefined },
    });
    expect(nrcOf({ ...rest, size: 61 }, { resume, blank })).toBe(0x31);
    expect(nrcOf({ ...rest, size: 59 }, { resume, blank })).toBe(0x31);
    expect(nrcOf({ ...rest, dataFormat: 1 }, { resume, blank, format: 'either' })).toBe(0x31);
    expect(nrcOf(rest, { blank })).toBe(0x31);
    expect(nrcOf({}, { resume, blank: true })).toBeUndefined(); // anew
    expect(nrcOf({}, { resume, blank })).toBe(0x22);
  });

  it('is refused while another one is received', () => {
    expect(nrcOf({}, { isBusy: true })).toBe(0x22);
    expect(nrcOf({ size: 101 }, { isBusy: true })).toBe(0x31);
    expect(startFile({ dataFormat: 0, size: 1 }, 12, true)).toEqual({ nrc: 0x22 });
    expect(startFile({ dataFormat: 0, size: 0 }, 12, true)).toEqual({ nrc: 0x31 });
  });
});

describe('a file', () => {
  it.each([
    [0, 0, 0x31],
    [0, 1, undefined],
    [0, MAX_FILE_BYTES, undefined],
    [0, MAX_FILE_BYTES + 1, 0x31],
    [1, 1, 0x31],
  ])('in the form %i of %i bytes', (dataFormat, size, nrc) => {
    expect(MAX_FILE_BYTES).toBe(262_144);
    expect(startFile({ dataFormat, size }, 12, false).nrc).toBe(nrc);
  });
});

describe('a block', () => {
  const at = (received: number, lastCounter?: number): BlockSequence => ({
    ...{ size: 300, maxBlockLength: 12, received, lastCounter },
  });

  it.each<[string, BlockSequence, number, number, number | undefined]>([
    ['the first', at(0), 1, 10, undefined],
    ['the first, longer than was agreed', at(0), 1, 11, 0x31],
    ['the first, empty', at(0), 1, 0, 0x13],
    ['with the counter 0 at the beginning', at(0), 0, 10, 0x73],
    ['behind FF', at(100, 0xff), 0, 10, undefined],
    ['behind 00', at(100, 0), 1, 10, undefined],
    ['that leaves one out', at(100, 5), 7, 10, 0x73],
    ['that goes back', at(100, 5), 4, 10, 0x73],
    ['the last', at(290, 5), 6, 10, undefined],
    ['longer than what is left', at(295, 5), 6, 6, 0x71],
    ['behind the last', at(300, 5), 6, 1, 0x24],
  ])('%s', (_which, blocks, counter, length, nrc) => {
    expect(transferBlock(blocks, counter, length).nrc).toBe(nrc);
  });

  it('that comes again is answered and not written', () => {
    expect(transferBlock(at(100, 5), 5, 10)).toEqual({ blocks: at(100, 5), write: false });
    expect(transferBlock(at(300, 5), 5, 10)).toMatchObject({ write: false });
    expect(transferBlock(at(100, 5), 6, 10)).toEqual({ blocks: at(110, 6), write: true });
  });

  it('is the last one before the exit', () => {
    expect(exitRefusal(at(299, 5), 0)).toBe(0x24);
    expect(exitRefusal(at(300, 5), 0)).toBeUndefined();
    expect(exitRefusal(at(300, 5), 1)).toBe(0x31);
  });
});

it.each([
  ['3601AA', '7F3624'],
  ['37', '7F3724'],
  ['3701', '7F3724'],
])('%s without a transfer is %s', async (request, answer) => {
  const bench = await EcuBench.start();
  await bench.prepare();
  expect(await bench.ask(request)).toBe(answer);
});

describe('eraseMemory', () => {
  const area = (size: number) => `3101FF0044080000000000${size.toString(16).padStart(4, '0')}`;
  it.each<[string, string, string]>([
    ['one byte', area(1), '7101FF0000'],
    ['no byte', area(0), '7F3131'],
    ['the bank', '3101FF00440800000000010000', '7101FF0000'],
    ['more than the bank', '3101FF00440800000000010001', '7F3131'],
  ])('%s', async (_what, request, answer) => {
    expect(BANK_SIZE).toBe(0x1_0000);
    const bench = await EcuBench.start();
    await bench.prepare();
    await bench.sendMetadata(releaseOf(imageOf(100), '2.0.0'));
    expect(await bench.ask(request)).toBe(answer);
  });
});

describe('one request', () => {
  it('for 16 identifiers is answered, for 17 not', async () => {
    const bench = await EcuBench.start();
    expect(await bench.ask(`22${'F186'.repeat(16)}`)).toBe(`62${'F18601'.repeat(16)}`);
    expect(await bench.ask(`22${'F186'.repeat(17)}`)).toBe('7F2213');
  });

  it('with a fingerprint takes 32 bytes, in the programming session', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    expect(await bench.ask(`2EF15A${'ab'.repeat(32)}`)).toBe('6EF15A');
    expect(await bench.ask('22F15A')).toBe(`62F15A${'AB'.repeat(32)}`);
    expect(await bench.ask(`2EF15A${'ab'.repeat(33)}`)).toBe('7F2E13');
  });
});

describe('a functional request', () => {
  it.each([
    ['1003', /^5003/],
    ['1101', /^5101/],
    ['14FFFFFF', /^54/],
    ['1901FF', /^5901/],
    ['22F186', /^62F186/],
    ['3E00', /^7E00/],
    ['280001', /^6800/],
  ])('%s is answered', async (request, answer) => {
    const bench = await EcuBench.start();
    await bench.expect('1003');
    expect(await bench.ask(request, { functional: true })).toMatch(answer);
  });

  it.each([
    '2344080000000000000010',
    '23440800000000000010',
    '35004408000000000003E8',
    '2701',
    '2EF15A01',
    '2EFD3128',
    '2FFD310028',
    '31010203',
    '3101FF00',
    '34004408000000000003E8',
    '360100',
    '37',
    '38010001410002000100FF',
    '840069010010000100',
  ])('%s is for one ECU alone', async (request) => {
    for (const benchKeys of [true, false]) {
      const bench = await EcuBench.start({ options: { benchKeys } });
      for (const session of ['1003', '1002']) {
        await bench.expect(session);
        expect(await bench.ask(request, { functional: true, limitMs: 100 })).toBe('silent');
      }
    }
  });
});

describe('what is remembered', () => {
  const content = {
    ...{ format: 1, serial: 'S', vin: null, fingerprint: '', failedAttempts: 0, dtcs: [] },
    ...{ values: {}, runs: {} },
  };
  const isKept = async (change: object): Promise<boolean> => {
    const storage = new FaultStorage();
    await storage.replace('nv', encodeSealed({ ...content, ...change }));
    const { damaged } = await NvData.open(storage, () => 'NEW', []);
    return damaged === undefined;
  };

  it.each<[object, boolean]>([
    [{}, true],
    [{ serial: '' }, false],
    [{ serial: 'x'.repeat(32) }, true],
    [{ serial: 'x'.repeat(33) }, false],
    [{ vin: 'x'.repeat(17) }, true],
    [{ vin: 'x'.repeat(16) }, false],
    [{ fingerprint: 'ab'.repeat(64) }, true],
    [{ fingerprint: 'ab'.repeat(65) }, false],
    [{ failedAttempts: 255 }, true],
    [{ failedAttempts: 256 }, false],
    [{ failedAttempts: -1 }, false],
    [{ dtcs: [{ code: 0xff_ffff, status: 0xff }] }, true],
    [{ dtcs: [{ code: 0x100_0000, status: 0xff }] }, false],
    [{ dtcs: [{ code: 0, status: 0x100 }] }, false],
    [{ dtcs: Array.from({ length: 64 }, (_, code) => ({ code, status: 1 })) }, true],
    [{ dtcs: Array.from({ length: 65 }, (_, code) => ({ code, status: 1 })) }, false],
    [{ values: { fd31: '28' }, runs: { fd31: 0 } }, true],
    [{ values: { fd3: '28' } }, false],
    [{ runs: { fd31: -1 } }, false],
  ])('%#: %o is taken from the disk: %s', async (change, isTaken) => {
    expect(await isKept(change)).toBe(isTaken);
  });

  it('after a damage is that all attempts are used up', async () => {
    const storage = new FaultStorage();
    const first = await NvData.open(storage, () => 'NEW', []);
    expect(first.nv.content).toMatchObject({ serial: 'NEW', failedAttempts: 0 });
    storage.corrupt('nv', 3);
    const { nv, damaged } = await NvData.open(storage, () => 'NEW', [{ code: 1, status: 8 }]);
    expect(damaged).toBeDefined();
    expect(nv.content).toMatchObject({ failedAttempts: 3, dtcs: [{ code: 1, status: 8 }] });
  });

  it('of trouble codes are the newest 64, each once', async () => {
    const storage = new FaultStorage();
    const { nv } = await NvData.open(storage, () => 'NEW', []);
    for (let code = 0; code < 65; code++) await storeTroubleCode(nv, code);
    expect(nv.content.dtcs.map(({ code }) => code)).toEqual(
      Array.from({ length: 64 }, (_, index) => index + 1),
    );
    expect(nv.content.dtcs[0]).toEqual({ code: 1, status: 0x09 });
    const { operations } = storage;
    await storeTroubleCode(nv, 7);
    expect(storage.operations).toBe(operations);
    await nv.store({ dtcs: [{ code: 7, status: 0x08 }] });
    await storeTroubleCode(nv, 7);
    expect(nv.content.dtcs).toEqual([{ code: 7, status: 0x09 }]);
  });
});
