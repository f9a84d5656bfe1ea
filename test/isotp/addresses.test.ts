// ISO 15765-2:2016 10.3: identifiers and address bytes of each addressing, as literals.

import { describe, expect, it } from 'vitest';
import {
  extendedAddress,
  mixedAddress,
  mixedFixedAddress,
  normalAddress,
  normalFixedAddress,
  reverseAddress,
} from '../../src/isotp/address.ts';
import { maxSingleFrameLength, minFirstFrameLength, msToStMin } from '../../src/isotp/pci.ts';

const [tester, ecu] = [
  { id: 0x7e0, extended: false },
  { id: 0x7e8, extended: false },
];
const wide = (id: number) => ({ id, extended: true });

describe('an address', () => {
  it.each([
    [
      'normal',
      normalAddress(tester, ecu),
      { mode: 'normal', tx: tester, rx: ecu, txAddressByte: undefined, rxAddressByte: undefined },
    ],
    [
      'normal fixed',
      normalFixedAddress(0xf1, 0x10),
      { mode: 'normal-fixed', tx: wide(0x18da10f1), rx: wide(0x18daf110) },
    ],
    [
      'normal fixed, functional, of another priority',
      normalFixedAddress(0xf1, 0x33, 'functional', 3),
      { mode: 'normal-fixed', tx: wide(0x0cdb33f1), rx: wide(0x0cdbf133) },
    ],
    [
      'extended',
      extendedAddress(tester, ecu, 0x40, 0xf1),
      { mode: 'extended', tx: tester, rx: ecu, txAddressByte: 0x40, rxAddressByte: 0xf1 },
    ],
    [
      'mixed',
      mixedAddress(tester, ecu, 0x55),
      { mode: 'mixed', tx: tester, rx: ecu, txAddressByte: 0x55, rxAddressByte: 0x55 },
    ],
    [
      'mixed, 29 bit',
      mixedFixedAddress(0xf1, 0x10, 0x55),
      {
        ...{ mode: 'mixed', tx: wide(0x18ce10f1), rx: wide(0x18cef110) },
        ...{ txAddressByte: 0x55, rxAddressByte: 0x55 },
      },
    ],
    [
      'mixed, 29 bit, functional',
      mixedFixedAddress(0xf1, 0x33, 0x55, 'functional'),
      { mode: 'mixed', tx: wide(0x18cd33f1), rx: wide(0x18cdf133) },
    ],
  ])('%s', (_name, address, expected) => {
    expect(address).toMatchObject(expected);
    const there = reverseAddress(address);
    expect([there.tx, there.rx]).toEqual([address.rx, address.tx]);
    expect([there.txAddressByte, there.rxAddressByte]).toEqual([
      address.rxAddressByte,
      address.txAddressByte,
    ]);
  });
});

describe('lengths', () => {
  it.each([
    [8, 0, 7],
    [8, 1, 6],
    [12, 0, 10],
    [12, 1, 9],
    [64, 0, 62],
    [64, 1, 61],
  ])('frames of %i bytes with %i of address carry %i in a single frame', (dl, address, most) => {
    expect(maxSingleFrameLength(dl, address)).toBe(most);
    expect(minFirstFrameLength(dl, address)).toBe(most + 1);
  });
});

describe('the smallest STmin', () => {
  it.each([
    [0, 0x00],
    [0.05, 0xf1],
    [0.1, 0xf1],
    [0.25, 0xf3],
    [0.3, 0xf3],
    [0.9, 0xf9],
    [0.91, 0x01],
    [1, 0x01],
    [1.1, 0x02],
    [126.5, 0x7f],
    [127, 0x7f],
  ])('for %d ms is %i', (ms, byte) => {
    expect(msToStMin(ms)).toBe(byte);
  });

  it('does not exist above 127 ms or below 0', () => {
    for (const ms of [127.1, -1, Number.NaN]) expect(() => msToStMin(ms)).toThrow(RangeError);
  });
});
