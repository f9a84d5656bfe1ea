// The language of conditions: what it means, what it refuses with which words, and that it survives any text.

import { describe, expect, it } from 'vitest';
import { ExpressionError, MAX_EXPRESSION_LENGTH } from '../../src/vehicle/expression-tokens.ts';
import { check, holds, YES } from './expression-support.ts';

const NO = { ok: true, holds: false };

describe('a condition', () => {
  it.each([
    ['speed == 0', 'speed == 1'],
    ['speed < 5 km/h', 'speed > 0'],
    ['gear == park', 'gear != park'],
    ['park == gear', 'drive == gear'],
    ['ignition != off', 'not ignition == on'],
    ['doors == 0 and gear == park or speed > 100', 'doors == 0 and (gear == drive or speed > 100)'],
    ['not speed > 3 and gear == park', 'not (speed < 3 and gear == park)'],
    ['temperature in -20..60 degC', 'temperature in 0 degC..60'],
    ['temperature >= -5', 'temperature > -5'],
    ['battery - 0.6 V == 12', 'battery - 0.6 == 12.1 V'],
    ['2 + 3 * 4 - 6 / 2 == 11', '(2 + 3) * 4 == 14'],
    ['10 - 3 - 2 == 5', '100 / 10 / 2 == 20'],
    ['- - 3 == 3', '-3 * -3 == -9'],
    ['1 <= 1 and 1 >= 1', '1 < 1 or 1 > 1 or 1 != 1'],
  ])('%s holds, %s does not', (yes, no) => {
    expect(holds(yes)).toEqual(YES);
    expect(holds(no)).toEqual(NO);
  });

  it('converts units: of the same kind, and a plain number to what it stands beside', () => {
    expect(holds('speed == 10 m/s', { speed: 36 })).toEqual(YES);
    expect(holds('10 m/s == speed', { speed: 36 })).toEqual(YES);
    expect(
      holds('update == 30 min and update == 0.5 h and update == 1800 and 1800000 ms == update'),
    ).toEqual(YES);
    expect(holds('cell >= 3.7 V and cell >= 3700 and not cell > 3.7 V')).toEqual(YES);
    expect(holds('update + 15 min == 2700 s')).toEqual(YES);
    expect(holds('15 min + update == 45 min')).toEqual(YES);
    expect(holds('update / 1 min == 30')).toEqual(YES);
    expect(holds('cell in 3.6 V..3800')).toEqual(YES);
    expect(holds('update in 29 min..1801 s')).toEqual(YES);
  });

  it('keeps a reserve for the update and the way back, however it is written', () => {
    for (const text of [
      'battery >= 12.2 + 0.2 * (update + rollback) / 3600 s',
      'battery >= 12.2 V + 0.2 V * (update + rollback) / 1 h',
      'battery >= 12.2 V + 0.2 V / 1 h * (update + rollback)',
      'battery >= 12200 mV + (update + rollback) * 200 mV / 1 h',
    ]) {
      // 2700 s need 0.15 V.
      expect([text, holds(text, { battery: 12.35 })]).toEqual([text, YES]);
      expect([text, holds(text, { battery: 12.34 })]).toEqual([text, NO]);
      expect([text, holds(text, { battery: 12.35, rollback: 1200 })]).toEqual([text, NO]);
    }
  });

  it('knows the night: half open, over midnight', () => {
    const night = (minutes: number) => holds('time in 22:00..05:00', { time: minutes });
    expect([21 * 60 + 59, 22 * 60, 0, 4 * 60 + 59, 5 * 60].map(night)).toEqual([
      NO,
      YES,
      YES,
      YES,
      NO,
    ]);
    expect(holds('time in 5:00..24:00', { time: 1439 })).toEqual(YES);
    expect(holds('time in 08:00..17:30', { time: 17 * 60 + 30 })).toEqual(NO);
    expect(holds('time >= 22:30')).toEqual(YES);
  });

  it('forgives what a scale adds behind the measurement', () => {
    expect(holds('battery >= 12.1 and battery == 12.1', { battery: 121 * 0.1 })).toEqual(YES);
    expect(holds('battery > 12.1 or battery < 12.1', { battery: 121 * 0.1 })).toEqual(NO);
  });

  it('names what it needs', () => {
    expect(check('battery > 1 and gear == park or battery > update * 1 V / 1 s').names).toEqual([
      'battery',
      'gear',
      'update',
    ]);
  });

  it('that cannot be computed says so, also behind a "not" or an "or"', () => {
    for (const text of [
      'battery / (doors * 1) > 3',
      'not battery / doors > 3',
      'speed == 0 or battery / doors > 3',
    ]) {
      expect(holds(text)).toEqual({ ok: false, reason: 'division by zero' });
    }
    expect(check('speed == 0').evaluate(new Map())).toEqual({
      ok: false,
      reason: 'speed is not known',
    });
    expect(holds('speed == 0', { speed: Number.NaN })).toMatchObject({ ok: false });
    const huge = `${'9'.repeat(200)} * ${'9'.repeat(200)} > 1`;
    expect(holds(huge)).toEqual({ ok: false, reason: 'a number became too large' });
  });
});

describe('a mistake is named with its column and what was expected', () => {
  it.each([
    ['', 'column 1: found the end, expected a number, a time of day, a name or "("'],
    ['speed == 0 and', 'column 15: found the end, expected a number, a time of day, a name or "("'],
    ['(speed == 0', 'column 12: found the end, expected ")"'],
    ['speed == 0)', 'column 11: found ")", expected an operator, and, or, or the end'],
    ['speed 0', 'column 7: found "0", expected an operator, and, or, or the end'],
    ['speed = 0', 'column 7: found "=", expected "=="'],
    ['speed == 0 && gear == park', 'column 12: found "&&", expected "and"'],
    ['! speed == 0', 'column 1: found "!", expected "not"'],
    ['speed == 0 ; 1', 'column 12: ";" means nothing here'],
    ['0 < speed < 5', 'a comparison has two sides, join two of them with "and"'],
    ['speed in 3', 'column 11: found the end, expected ".." and the other end of the range'],
    ['speed == and', 'column 10: found "and", expected a number'],
    ['time > 25:00', 'column 8: found 25:00, expected a time of day from 00:00 to 24:00'],
    ['time > 12:60', 'column 8: found 12:60'],
    ['speed == 3 kph', 'column 12: "kph" is no unit, expected one of V mV A km/h m/s'],
    ['speed == 3 km/hour', 'column 15: "hour" is not known'],
    ['temperature < 3 °C', 'column 17: "°C" is no unit'],
    [
      '1 == 1 '.repeat(80),
      `column ${MAX_EXPRESSION_LENGTH + 1}: the expression has 560 characters`,
    ],
    ['sped == 0', 'column 1: "sped" is not known; did you mean "speed"?'],
    ['Speed == 0', 'did you mean "speed"?'],
    ['seat == 0', 'column 1: "seat" is not known, expected one of speed, battery, cell'],
    ['gear == prak', 'column 9: "prak" is no value of gear; did you mean "park"?'],
    [
      'gear == speed',
      'column 9: gear has named values: found a quantity in km/h, expected one of park',
    ],
    ['gear == 3', 'column 9: gear has named values: found a number, expected one of park, reverse'],
    [
      'gear < drive',
      'column 6: gear has named values (park, reverse, neutral, drive), which have no',
    ],
    ['gear', 'column 1: this is gear, which is one of park, reverse, neutral, drive, expected'],
    ['park', 'column 1: "park" is a value of gear and stands alone here'],
    ['speed', 'column 1: this is a quantity in km/h, expected something that holds or does not'],
    ['1 + 2', 'column 1: this is a number, expected something that holds'],
    ['22:00', 'column 1: this is a time of day, expected something that holds'],
    ['speed > 3 V', 'column 7: ">" cannot join km/h and V: both sides need the same kind of unit'],
    ['battery >= 12 V + 3 s', 'column 17: "+" cannot join V and s'],
    ['battery in 11 V..3 s', 'column 9: "in" cannot join V and s'],
    ['time in 22:00..5', 'column 6: "in" cannot join a time of day and a number'],
    ['time > 3', 'column 6: ">" cannot join a time of day and a number'],
    ['time + 3 == 2', 'column 1: this is a time of day, expected a number or a quantity'],
    ['(speed == 0) + 1 == 2', 'column 2: this is a condition, expected a number or a quantity'],
    ['speed and gear == park', 'column 1: this is a quantity in km/h, but "and" joins conditions'],
    ['not speed', 'column 5: this is a quantity in km/h, but "not" joins conditions'],
    ['(speed == 0) == (gear == park)', '"==" cannot join two of a condition'],
    ['battery * battery > 3 s', 'column 19: ">" cannot join V*V and s'],
  ])('%s', (text, message) => {
    const failed = (): unknown => check(text);
    expect(failed).toThrow(ExpressionError);
    expect(failed).toThrow(message);
  });
});
