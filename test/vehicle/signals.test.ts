// A signal as bytes: literal records, both ways, and what does not fit.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { VehicleSignal } from '../../src/vehicle/condition-schema.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { decodeSignal, encodeSignal, signalText } from '../../src/vehicle/signals.ts';

const signal = (described: object): VehicleSignal =>
  vehicleSchema.shape.signals.parse({ x: { ecu: 'CGW', did: '0xFD40', ...described } }).x!;

describe('a record', () => {
  it.each([
    [{ length: 2, scale: 0.01, unit: 'km/h' }, '138a', 50.02],
    [{ offset: 1, length: 2, scale: 0.1, unit: 'V' }, 'ff0079ff', 12.1],
    [{ signed: true, unit: 'degC' }, 'ec', -20],
    [{ length: 2, signed: true, scale: 0.5, add: 3 }, 'fffe', 2],
    [{ add: -40, unit: 'degC' }, '00', -40],
    [{ length: 4 }, 'ffffffff', 0xffff_ffff],
    [{ values: { 0: 'off', 2: 'on' } }, '02', 'on'],
    [{ signed: true, values: { 3: 'on' } }, '03', 'on'],
  ])('%o of %s is %s', (described, bytes, value) => {
    const known = signal(described);
    expect(decodeSignal(known, fromHex(bytes))).toEqual({ ok: true, value });
    const data = fromHex(bytes);
    data.fill(0, known.offset, known.offset + known.length);
    encodeSignal(known, value, data);
    expect(toHex(data)).toBe(bytes);
  });

  it.each([
    [{ length: 2 }, '00', 'DID 0xFD40 has 1 bytes, the vehicle file says that it needs 2'],
    [{ offset: 3 }, '000000', 'needs 4'],
    [{ length: 2, notAvailable: 0xffff }, 'ffff', 'not available'],
    [{ signed: true, notAvailable: -128 }, '80', 'not available'],
    [{ values: { 0: 'off' } }, '01', '1 is none of the values in the vehicle file'],
  ])('%o of %s has no value', (described, bytes, reason) => {
    expect(decodeSignal(signal(described), fromHex(bytes))).toEqual({
      ok: false,
      reason: expect.stringContaining(reason),
    });
  });
});

describe('a value', () => {
  it.each([
    [{ length: 1 }, 256, '256 does not fit into 1 bytes'],
    [{ length: 1 }, -1, 'does not fit'],
    [{ signed: true }, 128, 'does not fit'],
    [{ values: { 0: 'off' } }, 'on', 'on is none of off'],
    [{ values: { 0: 'off' } }, 0, '0 is none of off'],
    [{}, 'on', 'on is no number'],
    [{}, Number.NaN, 'NaN is no number'],
    [{}, undefined, 'no "not available"'],
  ])('%o cannot be %s', (described, value, message) => {
    const known = signal(described);
    expect(() => encodeSignal(known, value, new Uint8Array(4))).toThrow(RangeError);
    expect(() => encodeSignal(known, value, new Uint8Array(4))).toThrow(message);
  });

  it('is shown with its unit', () => {
    expect(signalText(signal({ unit: 'V' }), 12.6)).toBe('12.6 V');
    expect(signalText(signal({}), 3)).toBe('3');
  });

  it('of any layout comes back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.nat(5),
        fc.boolean(),
        fc.constantFrom(1, 0.5, 0.01, -2),
        fc.constantFrom(0, -40, 7),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (length, offset, signed, scale, add, share) => {
          const known = signal({ length, offset, signed, scale, add });
          const raw = Math.floor(share * 256 ** length) - (signed ? 256 ** length / 2 : 0);
          const value = Number((raw * scale + add).toPrecision(12));
          const data = new Uint8Array(10).fill(0xa5);
          encodeSignal(known, value, data);
          expect(decodeSignal(known, data)).toEqual({ ok: true, value });
          const around = [...data.subarray(0, offset), ...data.subarray(offset + length)];
          expect(around.every((byte) => byte === 0xa5)).toBe(true);
        },
      ),
    );
  });
});
