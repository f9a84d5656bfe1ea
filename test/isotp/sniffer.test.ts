// A passive listener: which frames belong to a route, what it tells of them and when.

import { expect, it } from 'vitest';
import type { BusFrame } from '../../src/bus/can-bus.ts';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { extendedAddress, normalAddress } from '../../src/isotp/address.ts';
import { IsoTpSniffer } from '../../src/isotp/sniffer.ts';

const tester = { id: 0x7e0, extended: false };
const ecu = { id: 0x7e8, extended: false };

function sniffing(...addresses: readonly (readonly [string, ReturnType<typeof normalAddress>])[]) {
  const told: string[] = [];
  const routes = addresses.map(([name, address]) => ({ name, address }));
  const sniffer = new IsoTpSniffer(routes, (event) => {
    const { kind, route, atMs } = event;
    const rest =
      kind === 'message'
        ? `${toHex(event.message)} in ${event.frames} from ${event.startMs}`
        : kind === 'error'
          ? event.reason
          : event.status;
    told.push(`${atMs} ${route} ${kind} ${rest}`);
  });
  const hear = (atMs: number, id: number, hex: string, more: object = {}): void => {
    const frame = { ...classicFrame(id, fromHex(hex)), ...more };
    sniffer.frame({ frame, atMs, direction: 'rx' } as BusFrame);
  };
  return { told, hear, sniffer };
}

it('tells a message with its frames, its begin and its end', () => {
  const { told, hear } = sniffing(['A', normalAddress(tester, ecu)]);
  hear(1, 0x7e0, '023e00');
  hear(2, 0x7e0, '100a000102030405');
  hear(3, 0x7e8, '300000'); // of the other direction, which nobody watches
  hear(9, 0x7e0, '2106070809');
  hear(11, 0x7e0, '023e80');
  expect(told).toEqual([
    '1 A message 3e00 in 1 from 1',
    '9 A message 00010203040506070809 in 2 from 2',
    '11 A message 3e80 in 1 from 11',
  ]);
});

it('waits a whole N_Cr for the next frame, counted from the frame before', () => {
  const { told, hear } = sniffing(['A', normalAddress(tester, ecu)]);
  hear(0, 0x7e0, '1010000102030405');
  hear(900, 0x7e0, '21060708090a0b0c');
  hear(1800, 0x7e0, '220d0e0f');
  expect(told).toEqual(['1800 A message 000102030405060708090a0b0c0d0e0f in 3 from 0']);
  hear(2000, 0x7e0, '1010000102030405');
  hear(3100, 0x7e0, '21060708090a0b0c');
  expect(told.slice(1)).toEqual([expect.stringMatching(/^3100 A error /)]);
});

it('tells a missing frame as N_Cr, although it sends no flow control itself', () => {
  const { told, hear } = sniffing(['A', normalAddress(tester, ecu)]);
  hear(0, 0x7e0, '1010000102030405');
  hear(1000, 0x7e0, '023e00');
  expect(told).toEqual([
    '1000 A error no consecutive frame for 1000 ms (N_Cr) after 6 of 16 bytes',
    '1000 A message 3e00 in 1 from 1000',
  ]);
});

it('tells wait and overflow, and nothing of a plain flow control', () => {
  const { told, hear } = sniffing(['B', normalAddress(ecu, tester)]);
  hear(1, 0x7e8, '300000');
  hear(2, 0x7e8, '310000');
  hear(3, 0x7e8, '320000');
  expect(told).toEqual(['2 B flow-control wait', '3 B flow-control overflow']);
});

it('leaves remote frames, other identifiers and the same one in 29 bit alone', () => {
  const { told, hear, sniffer } = sniffing(['A', normalAddress(tester, ecu)]);
  hear(1, 0x7e0, '', { remote: true });
  hear(2, 0x7e1, '023e00');
  hear(3, 0x7e0, '023e00', { extended: true });
  expect(told).toEqual([]);
  expect([
    sniffer.knows(0x7e0, false),
    sniffer.knows(0x7e0, true),
    sniffer.knows(0x7e8, false),
  ]).toEqual([true, false, false]);
});

it('tells routes of one identifier apart by the address byte', () => {
  const { told, hear } = sniffing(
    ['40', extendedAddress(tester, ecu, 0x40, 0xf1)],
    ['41', extendedAddress(tester, ecu, 0x41, 0xf1)],
  );
  hear(1, 0x7e0, '40023e00');
  hear(2, 0x7e0, '41023e80');
  hear(3, 0x7e0, '42023e00');
  expect(told).toEqual(['1 40 message 3e00 in 1 from 1', '2 41 message 3e80 in 1 from 2']);
});
