// An XCP master and an XCP slave on one simulated bus: frames, the lock, a lost answer, a blocked process, a stopped command.

import { describe, expect, it } from 'vitest';
import { exactFilter } from '../../src/bus/can-bus.ts';
import { classicFrame, frameText } from '../../src/bus/can-frame.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { XcpMaster } from '../../src/xcp/master.ts';
import type { XcpTiming } from '../../src/xcp/master-engine.ts';
import { type XcpDevice, type XcpLock, XcpSlave } from '../../src/xcp/slave.ts';

const TIMING: XcpTiming = {
  ...{ t1Ms: 1000, t3Ms: 2000, t4Ms: 10_000, t5Ms: 1000, t6Ms: 50, t7Ms: 2000 },
  busyLimitMs: 25_000,
};
const ADDRESS = { request: 0x667, response: 0x7e1, extended: false };

function bench({ lock, padding }: { lock?: XcpLock; padding?: number } = {}) {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  const sent: string[] = [];
  const written: string[] = [];
  const device: XcpDevice = {
    read: (address, count) => Uint8Array.from({ length: count }, (_, index) => address + index),
    erase: async () => undefined,
    write: async (address, data) => {
      written.push(`${address} ${toHex(data)}`);
      return undefined;
    },
    finish: async () => undefined,
    restart: () => written.push('restart'),
  };
  const slave = new XcpSlave({ byteOrder: 'intel', device, lock });
  const board = wire.attach('board');
  board.subscribe([exactFilter(ADDRESS.request, false)], async ({ frame }) => {
    sent.push(frameText(frame));
    const answer = await slave.answer(frame.data);
    if (answer !== undefined) board.send(classicFrame(ADDRESS.response, answer));
  });
  const master = new XcpMaster({
    ...{ bus: wire.attach('tester'), address: ADDRESS, clock, timing: TIMING, padding },
  });
  const ask = (hex: string, before: string[] = []) =>
    clock.within(
      100_000,
      master.request({
        bytes: fromHex(hex),
        timer: 'T1',
        tries: 3,
        before: before.map((each) => fromHex(each)),
      }),
    );
  return { clock, wire, slave, master, ask, sent, written };
}

const dataOf = (reply: Awaited<ReturnType<XcpMaster['request']>>): string =>
  reply.kind === 'positive'
    ? toHex(reply.data)
    : reply.kind === 'error'
      ? `error ${reply.code}`
      : reply.kind;

describe('an XCP master', () => {
  it('programs and reads back', async () => {
    const { ask, written, sent } = bench();
    expect(dataOf(await ask('FF00'))).toBe('ff10000808000101');
    expect(dataOf(await ask('FD'))).toBe('ff0000000000');
    expect(dataOf(await ask('D2'))).toBe('ff000008000000');
    await ask('F600000000010000');
    await ask('D10000000A000000');
    expect(dataOf(await ask('D003AABBCC'))).toBe('ff');
    expect(dataOf(await ask('C901020304050607'))).toBe('ff');
    expect(written).toEqual(['256 aabbcc', '259 01020304050607']);
    await ask('F600000010000000');
    expect(dataOf(await ask('F503'))).toBe('ff101112');
    expect(dataOf(await ask('F503'))).toBe('ff131415');
    expect(dataOf(await ask('F508'))).toBe('error 34');
    expect(sent[0]).toBe('667#FF00');
  });

  it('fills its frames up where the slave wants it', async () => {
    const { ask, sent } = bench({ padding: 0 });
    await ask('FF00');
    expect(sent).toEqual(['667#FF00000000000000']);
  });

  it('unlocks with a seed and a key of several parts; a wrong key ends the connection', async () => {
    const lock: XcpLock = {
      seed: () => fromHex('0102030405060708'),
      keyFor: async (seed) => seed.map((byte) => byte + 1),
    };
    const { ask } = bench({ lock });
    expect(dataOf(await ask('FF00'))).toBe('ff10000808000101');
    expect(dataOf(await ask('FD'))).toBe('ff0010000000');
    expect(dataOf(await ask('D2'))).toBe('error 37');
    expect(dataOf(await ask('F80010'))).toBe('ff08010203040506');
    expect(dataOf(await ask('F80110'))).toBe('ff020708');
    expect(dataOf(await ask('F708020304050607'))).toBe('ff10');
    expect(dataOf(await ask('F7020809'))).toBe('ff00');
    expect(dataOf(await ask('D2'))).toBe('ff000008000000');
    await ask('FF00');
    expect(dataOf(await ask('D2'))).toBe('error 37');
    await ask('F80010');
    await ask('F80110');
    expect(dataOf(await ask('F702AABB'))).toBe('error 37');
    expect(dataOf(await ask('FD'))).toBe('silent');
  });

  it('does not write bytes twice when an answer is lost', async () => {
    const { ask, wire, written } = bench();
    await ask('FF00');
    await ask('F600000000010000');
    let lost = 0;
    wire.filter = (frame) =>
      frame.id === ADDRESS.response && frame.data.length === 1 && lost++ === 0 ? 'drop' : 'pass';
    expect(dataOf(await ask('C901020304050607', ['F600000000010000']))).toBe('ff');
    expect(written).toEqual(['256 01020304050607', '256 01020304050607']);
  });

  it('is not answered before CONNECT', async () => {
    const { ask } = bench();
    expect(dataOf(await ask('FD'))).toBe('silent');
  });

  it('ends a command that is stopped, and every one when it is closed', async () => {
    const { clock, master, wire } = bench();
    wire.filter = () => 'drop';
    const stop = new AbortController();
    const request = { bytes: fromHex('FD'), timer: 'T1', tries: 1 } as const;
    const stopped = master.request(request, stop.signal);
    await clock.advance(10);
    stop.abort();
    expect(await stopped).toMatchObject({ kind: 'transport', closed: true });
    const closed = master.request(request);
    await expect(master.request(request)).rejects.toThrow('one command at a time');
    master.close();
    expect(await closed).toMatchObject({ kind: 'transport', closed: true });
    expect(await master.request(request)).toMatchObject({ kind: 'transport', closed: true });
  });
});
