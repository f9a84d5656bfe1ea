// Logs of Vector's tools, line by line: classic, CAN FD, remote and error frames, bases, times, and events that are no frames.

import { describe, expect, it } from 'vitest';
import { AscReader } from '../../src/bus/asc-reader.ts';
import { frameText } from '../../src/bus/can-frame.ts';

/** `SECONDS CHANNEL FRAME`, `other` or `damaged`. */
function read(...lines: string[]): string[] {
  const reader = new AscReader();
  return lines.map((line) => {
    const entry = reader.line(line);
    if (entry === undefined) return 'damaged';
    if (entry === 'other') return entry;
    const what = 'frame' in entry ? frameText(entry.frame) : `error ${entry.error.errorClass}`;
    return `${Math.round(entry.wallMs * 1000) / 1e6} ${entry.interfaceName} ${what}`;
  });
}

const HEX = 'base hex  timestamps absolute';
const one = (line: string, base = HEX): string | undefined => read(base, line).at(-1);

describe('a classic frame', () => {
  it.each([
    [
      '   0.015991 1  7E0             Rx   d 8 03 22 F1 90 CC CC CC CC',
      '0.015991 1 7E0#0322F190CCCCCCCC',
    ],
    [
      '   1.5 2  18DA10F1x       Tx   d 2 10 03  Length = 230000 BitCount = 119 ID = 416944369x',
      '1.5 2 18DA10F1#1003',
    ],
    ['0.1 1 7e8 Rx d 0', '0.1 1 7E8#'],
    ['0.1 1 7E0 Rx d f 1 2 3 4 5 6 7 8', '0.1 1 7E0#0102030405060708'],
    ['0.1 1 300 Rx r', '0.1 1 300#R'],
    ['0.1 1 300 Rx r 8 Length = 0', '0.1 1 300#R'],
    ['0.1 1 7E0 TxRq d 1 3', 'other'],
    ['0.1 1 7E0 Rx d 8 03 22', 'damaged'],
    ['0.1 1 7E0 Rx d 2 03 XX', 'damaged'],
    ['0.1 1 FFF Rx d 1 03', 'damaged'],
    ['0.1 1 7E0 Rx d', 'damaged'],
  ])('%j', (line, entry) => {
    expect(one(line)).toBe(entry);
  });

  it('may have decimal numbers', () => {
    const base = 'base dec  timestamps absolute';
    expect(one('0.1 1 2016 Rx d 3 2 62 0', base)).toBe('0.1 1 7E0#023E00');
    expect(one('0.1 1 2016 Rx d 1 256', base)).toBe('damaged');
  });
});

describe('a CANFD event', () => {
  const data = Array.from({ length: 12 }, (_, index) => `0${index.toString(16)}`).join(' ');
  it.each([
    [
      `30.005 CANFD   3 Rx        300                                   1 0 8  8 01 02 03 04 05 06 07 08   102203  133   303000 e0006659 46500250`,
      '30.005 3 300##10102030405060708',
    ],
    [
      `1.0 CANFD 1 Tx 18DAF110x 0 0 9 12 ${data} 0 0 1000 0`,
      '1 1 18DAF110##0000102030405060708090A0B',
    ],
    [`1.0 CANFD 1 Rx 7E8 Engine_Answer 1 0 2 2 10 03 0 0 3000`, '1 1 7E8##11003'],
    ['1.0 CANFD 1 Rx 7E8 1 0 1 1 AA', '1 1 7E8##1AA'],
    ['1.0 CANFD 4 Tx 50005x 0 1 5 0 140000 73 200050 7b60', '1 4 00050005#R'],
    ['1.0 CANFD 4 Rx 123 0 0 2 2 01 02 100 50 0 0', '1 4 123#0102'],
    ['1.0 CANFD 4 TxRq 123 0 0 2 2 01 02', 'other'],
    ['1.0 CANFD 4 Rx 123 0 0 2 2 01', 'damaged'],
    ['1.0 CANFD 4 Rx 123 0 0 9 9 01 02 03 04 05 06 07 08 09', 'damaged'],
    ['1.0 CANFD 4 Rx', 'damaged'],
    ['1.0 CANFD 1 Rx ErrorFrame Not Acknowledge error, dominant error flag fffe', '1 1 error 128'],
  ])('%j', (line, entry) => {
    expect(one(line)).toBe(entry);
  });
});

it('other events are no frames, and no damage', () => {
  const lines = [
    'date Wed Apr 16 09:21:13.713 am 2014',
    HEX,
    'internal events logged',
    '// version 8.0.0',
    'Begin Triggerblock Wed Apr 16 09:21:13.713 am 2014',
    '   0.000000 Start of measurement',
    '   0.010000 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.00%',
    '   0.020000 CAN 1 Status:chip status error active',
    '   0.030000 log trigger event',
    '   0.040000 J1939TP FEE3p 6 0 0 - Rx d 23 A0 0F',
    'End TriggerBlock',
  ];
  expect(read(...lines)).toEqual(lines.map(() => 'other'));
  expect(one('   2.5  1  ErrorFrame')).toBe('2.5 1 error 128');
});

it('lines without a header are none of such a log', () => {
  expect(read('   0.015991 1  7E0   Rx   d 1 03')).toEqual(['damaged']);
  expect(read(HEX, 'anything')).toEqual(['other', 'damaged']);
});

describe('times', () => {
  const frame = (seconds: string): string => `${seconds} 1 7E0 Rx d 1 03`;
  const seconds = (...lines: string[]): number[] =>
    read(...lines)
      .filter((line) => line !== 'other')
      .map((line) => Number(line.split(' ')[0]));

  it('may be distances', () => {
    const relative = 'base hex  timestamps relative';
    expect(seconds(relative, frame('1.0'), '0.25 1 Statistic: D 0', frame('0.5'))).toEqual([
      1, 1.75,
    ]);
  });

  it.each([
    ['date Wed Apr 16 09:21:13.713 am 2014', '2014-04-16T09:21:13.713Z'],
    ['date Wed Apr 16 12:00:00 am 2014', '2014-04-16T00:00:00Z'],
    ['date Fri Dec 5 12:30:00.5 pm 2025', '2025-12-05T12:30:00.500Z'],
    ['date Fri Dec 5 23:30:00 2025', '2025-12-05T23:30:00Z'],
    ['\uFEFFdate Fri Dec 5 11:30:00 PM 2025', '2025-12-05T23:30:00Z'],
    ['date Fre Dez 5 11:30:00 2025', '1970-01-01T00:00:00Z'],
  ])('count from the date: %j', (date, iso) => {
    expect(seconds(date, HEX, frame('1.0'))).toEqual([Date.parse(iso) / 1000 + 1]);
  });
});
