// What makers do differently: the requests that follow from each field of the vehicle file.

import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import { type Answer, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));

/** A one-bank ECU that takes blocks of 10 bytes, and tells nothing of its software. */
const TAKES_ALL: Record<string, Answer> = {
  '22F186': '62F18601',
  '10': '500200320 1F4'.replace(' ', ''),
  '31010203': '7101020300',
  '3101FF00': '7101FF0000',
  '31010202': '7101020200',
  '34': '7420000A',
  '37': '77',
  '2E': '6E',
  '1101': '5101',
};
for (let counter = 1; counter < 0x20; counter++) {
  const text = counter.toString(16).padStart(2, '0').toUpperCase();
  TAKES_ALL[`36${text}`] = `76${text}`;
}

const BARE = {
  ...{ identify: 'skip', controlDtcSetting: 'skip', communicationControl: 'skip' },
  ...{ preconditions: 'skip', fingerprint: 'skip', metadata: 'skip', dependencies: 'skip' },
  ...{ erase: 'required', checkMemory: 'skip', activation: 'reset', segments: 'each' },
};

interface Programmed {
  readonly ecu: ScriptedEcu;
  /** From the first request behind 10 02 to the reset, which is left out. */
  readonly sent: string[];
  readonly done: Awaited<ReturnType<UdsEcuDriver['activate']>>;
}

async function programmed(
  {
    programming = {},
    ...fields
  }: { programming?: Record<string, unknown> } & Record<string, unknown>,
  answers: Record<string, Answer | Answer[]> = {},
  source: ImageSource = image,
): Promise<Programmed> {
  const ecu = new ScriptedEcu({ ...TAKES_ALL, ...answers });
  const driver = new UdsEcuDriver({
    ecu: ecuOf({
      memory: { address: 5, bankSize: 0xffff_ffff, banks: 1 },
      ...fields,
      security: fields.security ?? { algorithm: 'none' },
      programming: { ...BARE, ...programming },
    }),
    requester: ecu,
    clock: ecu.clock,
  });
  const target: Target = { campaign: '00'.repeat(16), version: undefined, image: source };
  const done = await ecu.clock.within(1_000_000, driver.activate(target));
  const from = ecu.log.indexOf('1002') + 1;
  const to = ecu.log.indexOf('1101');
  return { ecu, done, sent: ecu.log.slice(from, to === -1 ? undefined : to) };
}

const reasonOf = ({ done }: Programmed): string => (done.ok ? '' : `${done.code} ${done.reason}`);

describe('arguments', () => {
  it('with block numbers in the place of addresses, and lengths of other widths', async () => {
    const { sent, done } = await programmed({
      programming: {
        ...{ addressBytes: 1, sizeBytes: 3, dataFormat: '0x11' },
        ...{ eraseArguments: '01 {address:1}', checkMemory: 'required' },
        ...{ checkMemoryArgument: '01 {address:1} 00 04 {crc32}' },
        ...{ fingerprint: 'required', fingerprintData: '{date} 00 00 00 {tester}' },
      },
    });
    expect(done.ok).toBe(true);
    expect(sent.filter((request) => !request.startsWith('36'))).toEqual([
      `2EF15A26013100000063616E2D6F7461`,
      '3101FF000105',
      '34113105000014',
      '37',
      '310102020105000 43BDDFFA4'.replace(' ', ''),
    ]);
  });

  it('of erase with widths of their own', async () => {
    const { sent } = await programmed({ programming: { addressBytes: 2, sizeBytes: 1 } });
    expect(sent.slice(0, 2)).toEqual(['3101FF0012000514', '340012000514']);
  });

  it('whose number has no room end the update before anything is erased', async () => {
    const run = await programmed(
      {
        programming: { eraseArguments: '{size:1}' },
        memory: { address: 0, bankSize: 1000, banks: 1 },
      },
      {},
      imageOf(new Uint8Array(300)),
    );
    expect(reasonOf(run)).toContain('{size:1} has no room for 0x12C');
    expect(run.sent.some((request) => request.startsWith('31'))).toBe(false);
  });
});

describe('a routine that runs on behind its answer', () => {
  it('is asked for its results until it is done', async () => {
    const { sent, done, ecu } = await programmed(
      {},
      { '3101FF00': '7101FF0001', '3103FF00': ['7103FF0001', '7103FF0001', '7103FF0002'] },
    );
    expect(done.ok).toBe(true);
    expect(sent.slice(0, 5)).toEqual([
      '3101FF004400000005 00000014'.replace(' ', ''),
      ...['3103FF00', '3103FF00', '3103FF00'],
      '34004400000005 00000014'.replace(' ', ''),
    ]);
    expect(ecu.log).toContain('1101');
  });

  it('may be asked by the same request', async () => {
    const { sent, done } = await programmed(
      { programming: { eraseStatus: { askBy: 'start' }, eraseArguments: 'none' } },
      { '3101FF00': ['7101FF0001', '7101FF0001', '7101FF0000'] },
    );
    expect(done.ok).toBe(true);
    expect(sent.slice(0, 4)).toEqual([
      '3101FF00',
      '3101FF00',
      '3101FF00',
      expect.stringMatching(/^34/),
    ]);
  });

  it('has failed where it cannot be asked', async () => {
    const run = await programmed({}, { '3101FF00': '7101FF0001', '3103FF00': '7F3112' });
    expect(reasonOf(run)).toContain('status 1 from routine 0xFF00');
    expect(run.sent.some((request) => request.startsWith('34'))).toBe(false);
  });

  it('has failed with another status', async () => {
    const run = await programmed(
      {},
      { '3101FF00': '7101FF0001', '3103FF00': ['7103FF0001', '7103FF0005'] },
    );
    expect(reasonOf(run)).toContain('REFUSED EDT (0x7E1 -> 0x7E9): status 5 from routine 0xFF00');
  });

  it('has a limit', async () => {
    const run = await programmed(
      { timing: { routineLimitMs: 1000 } },
      { '3101FF00': '7101FF0001', '3103FF00': '7103FF0001' },
    );
    expect(reasonOf(run)).toMatch(
      /^BUSY .*still has status 1 .* after 1000 ms \(timing.routineLimitMs/,
    );
    expect(run.sent.filter((request) => request === '3103FF00')).toHaveLength(4);
  });

  it('says so by the values of the vehicle file', async () => {
    const { done, sent } = await programmed(
      {
        programming: {
          checkMemory: 'required',
          checkMemoryArgument: 'none',
          checkMemoryStatus: { offset: 1, done: ['0x10'], running: ['0x20'], finished: ['0x30'] },
        },
      },
      { '31010202': '71010202FF20', '31030202': '71030202FF30' },
    );
    expect(done.ok).toBe(true);
    expect(sent.slice(-2)).toEqual(['31010202', '31030202']);
  });

  it('is not what a wrong digest says', async () => {
    const run = await programmed(
      { programming: { checkMemory: 'required' } },
      { '31010202': '7101020201' },
    );
    expect(reasonOf(run)).toContain('DIGEST_MISMATCH');
  });
});

describe('the sequence', () => {
  it('is the one of the vehicle file, with requests that only this make knows', async () => {
    const { ecu, done } = await programmed(
      {
        programming: {
          sequence: [
            { send: '22 F1 9E' },
            'preconditions',
            'programmingSession',
            { send: '2E 01 23 {date}', policy: 'try' },
            'security',
            'transfer',
          ],
          ...{ preconditions: 'required', preconditionsArguments: '07', eraseArguments: 'none' },
        },
        security: { algorithm: 'xor', level: 3, constant: 'ff', dataRecord: 'A1B2' },
      },
      {
        ...{ '22F19E': '62F19E00', '2E0123': '7F2E31' },
        ...{ '2703A1B2': '67031122', '2704': '6704' },
      },
    );
    expect(done.ok).toBe(true);
    expect(ecu.log.slice(ecu.log.indexOf('22F19E'), ecu.log.indexOf('1101'))).toEqual([
      ...['22F19E', '3101020307', '1002', '2E0123260131', '2703A1B2', '2704EEDD'],
      ...['3101FF00', '3400440000000500000014'],
      ...['36010001020304050607', '360208090A0B0C0D0E0F', '360310111213', '37'],
    ]);
    expect(done.ok && done.warnings[0]).toContain('2E012326 skipped');
  });

  it.each([
    [['transfer'], 'expected programmingSession, without which nothing is programmed'],
    [['programmingSession', 'transfer', 'transfer'], 'transfer stands there twice'],
    [['transfer', 'programmingSession'], 'expected programmingSession before transfer'],
    [['programmingSession', 'checkMemory', 'transfer'], 'expected transfer before checkMemory'],
  ])('%j is refused', (sequence, sentence) => {
    expect(() => ecuOf({ programming: { ...BARE, sequence } })).toThrow(sentence);
  });
});

describe('NRC 13', () => {
  it('to a step that may be left out leaves it out', async () => {
    const { done, sent } = await programmed(
      { programming: { fingerprint: 'try' } },
      { '2EF15A': '7F2E13' },
    );
    expect(done.ok && done.warnings[0]).toContain('fingerprint skipped');
    expect(sent.some((request) => request.startsWith('37'))).toBe(true);
  });

  it('to a required step ends the update', async () => {
    const run = await programmed(
      { programming: { fingerprint: 'required' } },
      { '2EF15A': '7F2E13' },
    );
    expect(run.done.ok).toBe(false);
  });
});

describe('an image of two segments', () => {
  const data = Uint8Array.of(0xee, 1, 2, 3, 4, 5);
  const two: ImageSource = {
    ...imageOf(data),
    map: {
      segments: [
        { address: 0x1000, length: 3 },
        { address: 0x2000, length: 2 },
      ],
      dataOffset: 1,
    },
  };
  const programming = { checkMemory: 'required', checkMemoryArgument: 'crc32' };

  it('is erased, and then downloaded segment by segment', async () => {
    const { sent, done, ecu } = await programmed({ programming }, {}, two);
    expect(done).toMatchObject({ ok: true, value: { bytes: 5 } });
    expect(ecu.log.slice(ecu.log.indexOf('1002') + 1, ecu.log.indexOf('1101'))).toEqual(sent);
    expect(sent).toEqual([
      ...['3101FF00440000100000000003', '3101FF00440000200000000002'],
      ...['3400440000100000000003', '3601010203', '37'],
      ...['3400440000200000000002', '36010405', '37'],
      // CRC-32 of 01 02 03 04 05.
      '31010202470B99F4',
    ]);
  });

  it('is checked segment by segment where the ECU wants that', async () => {
    const { sent } = await programmed(
      { programming: { ...programming, checkMemoryWhen: 'each-range', eraseArguments: 'none' } },
      {},
      two,
    );
    expect(sent).toEqual([
      '3101FF00',
      // CRC-32 of 01 02 03, and of 04 05.
      ...['3400440000100000000003', '3601010203', '37', '3101020255BC801D'],
      ...['3400440000200000000002', '36010405', '37', '3101020255DF2374'],
    ]);
  });

  it('is erased range by range behind each 34 where the ECU wants that', async () => {
    const { sent } = await programmed(
      { programming: { eraseWhen: 'after-request-download' } },
      {},
      two,
    );
    expect(sent).toEqual([
      ...['3400440000100000000003', '3101FF00440000100000000003', '3601010203', '37'],
      ...['3400440000200000000002', '3101FF00440000200000000002', '36010405', '37'],
    ]);
  });

  it('is no image for an ECU whose memory ends before', async () => {
    const run = await programmed(
      { memory: { address: 0x1000, bankSize: 0x1000, banks: 1 } },
      {},
      two,
    );
    expect(reasonOf(run)).toContain('has bytes at 0x00002000 to 0x00002001, outside of its memory');
    expect(run.ecu.log).toEqual([]);
  });
});

describe('blocks', () => {
  const lengths = (sent: readonly string[]) =>
    sent.filter((request) => request.startsWith('36')).map((request) => request.length / 2 - 2);
  const long = imageOf(new Uint8Array(8192));
  const blocks = async (offered: string, fields: Record<string, unknown> = {}) =>
    lengths((await programmed(fields, { '34': `7420${offered}` }, long)).sent);

  it('that a limit of ours shortens stay multiples of the write unit', async () => {
    // 4096 bytes of data are offered, 4093 are allowed.
    expect(await blocks('1002')).toEqual([3072, 3072, 2048]);
    // 520 is 65 times 8.
    const limit = { programming: { maxBlockLength: 300 } };
    expect((await blocks('020A', limit)).slice(0, 2)).toEqual([296, 296]);
  });

  it('are as long as the ECU offers where no limit holds', async () => {
    expect((await blocks('0805')).slice(0, 2)).toEqual([2051, 2051]);
  });

  it('are multiples of the write unit of the vehicle file, whatever the ECU offers', async () => {
    const memory = { address: 0, bankSize: 0x10000, banks: 1, writeUnit: 64 };
    expect((await blocks('0805', { memory })).slice(0, 2)).toEqual([2048, 2048]);
    expect((await blocks('0022', { memory })).slice(0, 2)).toEqual([32, 32]);
  });
});

it('a second boot loader that cannot be loaded ends the update before it begins', async () => {
  const run = await programmed({ programming: { secondBootLoader: { file: 'sbl.vbf' } } });
  expect(reasonOf(run)).toBe(
    'IMAGE_INVALID EDT is programmed by a second boot loader (sbl.vbf), and this process cannot load it',
  );
  expect(run.ecu.log).not.toContain('1003');
});
