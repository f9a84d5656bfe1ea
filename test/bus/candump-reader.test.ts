// All that candump prints, line by line: its log and its view with each kind of time stamp.

import { describe, expect, it } from 'vitest';
import { frameText } from '../../src/bus/can-frame.ts';
import { CandumpReader } from '../../src/bus/candump-reader.ts';

/** `MILLISECONDS INTERFACE FRAME`, or `damaged`. */
function read(...lines: string[]): string[] {
  const reader = new CandumpReader();
  return lines.map((line) => {
    const entry = reader.line(line);
    if (entry === undefined) return 'damaged';
    const what = 'frame' in entry ? frameText(entry.frame) : `error ${entry.error.errorClass}`;
    return `${Math.round(entry.wallMs * 1000) / 1000} ${entry.interfaceName} ${what}`;
  });
}

describe('a line of the log', () => {
  it.each([
    ['(1700000000.1) can0 7E0#0322F181', '1700000000100 can0 7E0#0322F181'],
    ['(1700000001.12345678) can0 7E0#03', '1700000001123.457 can0 7E0#03'],
    ['(1700000001.123456789) can0 7E0#03', '1700000001123.457 can0 7E0#03'],
    ['(000.010000) can0 7e8#05', '10 can0 7E8#05'],
    ['(1.000000) slcan-usb0.1 7e0#0322f188', '1000 slcan-usb0.1 7E0#0322F188'],
    ['(1.000000) can0 7E0#0322F18600000000_E', '1000 can0 7E0#0322F18600000000'],
    ['(1.000000) can0 7E0##50322F187', '1000 can0 7E0##10322F187'],
    ['\uFEFF(1.000000) can0 7E0#03', '1000 can0 7E0#03'],
    ['(1.000000) can0 20000080#0000000000000000', '1000 can0 error 128'],
    ['(1.000000) can0 7E0#03 T\r', '1000 can0 7E0#03'],
  ])('%j', (line, entry) => {
    expect(read(line)).toEqual([entry]);
  });
});

describe('a line of the view', () => {
  it.each([
    ['  can0  7E0   [8]  03 22 F1 90 00 00 00 00', '0 can0 7E0#0322F19000000000'],
    ['  vcan0  18DA10F1   [3]  02 10 03', '0 vcan0 18DA10F1#021003'],
    ['  vcan0       321   [8]  remote request', '0 vcan0 321#R'],
    ['  vcan0       7E0  [04]  03 22 F1 90', '0 vcan0 7E0##00322F190'],
    [' (1.5)  can0  RX B -  7E0  [04]  03 22 F1 90', '1500 can0 7E0##10322F190'],
    [' (1.5)  can0  TX - -  7E0   [2]  03 22', '1500 can0 7E0#0322'],
    ["  can0  7E0   [3]  41 42 43   'ABC'", '0 can0 7E0#414243'],
    ['  can0  7E0   [0]', '0 can0 7E0#'],
    ['  can0  20000004   [8]  00 0C 00 00 00 00 00 00   ERRORFRAME', '0 can0 error 4'],
    [' (2023-11-14 22:13:20.572475)  can0  7E0   [1]  03', '1700000000572.475 can0 7E0#03'],
    [' (1700000000.572475)  can0  7E0   [1]  03\r', '1700000000572.475 can0 7E0#03'],
  ])('%j', (line, entry) => {
    expect(read(line)).toEqual([entry]);
  });

  it.each([
    '  can0  7E0   [8]  03 22 F1 90 00 00 00',
    '  can0  7E0   [9]  03 22 F1 90 00 00 00 00 00',
    '  can0  FFF   [1]  03',
    '  can0  7E0  [09]  03 22 F1 90 00 00 00 00 00',
    ' (yesterday)  can0  7E0   [1]  03',
    '  can0  7E0   [2]  3 22',
    '  can0',
    '',
  ])('%j is none', (line) => {
    expect(read(line)).toEqual(['damaged']);
  });
});

describe('time', () => {
  it('without stamps stands still', () => {
    expect(read('  can0  7E0   [1]  03', '(2.0) can0 7E0#03', '  can0  7E0   [1]  03')).toEqual([
      '0 can0 7E0#03',
      '2000 can0 7E0#03',
      '2000 can0 7E0#03',
    ]);
  });

  it('from the first line (-tz) is taken as it is', () => {
    const at = (seconds: string) => ` (${seconds})  can0  7E0   [1]  03`;
    expect(
      read(at('000.000000'), at('000.500000'), at('001.000000')).map((line) => line.split(' ')[0]),
    ).toEqual(['0', '500', '1000']);
  });

  it('from the line before (-td) is added up as soon as it goes back', () => {
    const at = (seconds: string) => ` (${seconds})  can0  7E0   [1]  03`;
    const times = read(at('000.000000'), at('000.500000'), at('000.100000'), at('000.200000'));
    expect(times.map((line) => line.split(' ')[0])).toEqual(['0', '500', '600', '800']);
  });
});
