// A connection on a bus that takes frames, refuses them, or answers late: what is under way ends, and the next message begins.

import { describe, expect, it } from 'vitest';
import type { BusFrame, CanBus, SendOutcome } from '../../src/bus/can-bus.ts';
import type { CanFrame } from '../../src/bus/can-frame.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import type { IsoTpConfig } from '../../src/isotp/config.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const address = normalAddress({ id: 0x7e0, extended: false }, { id: 0x7e8, extended: false });
const LOST: SendOutcome = { kind: 'failed', code: 'BUS_DOWN', reason: 'vcan0 is down' };

function bench(config: Partial<IsoTpConfig> = {}, transmitQueue = 8) {
  const clock = new VirtualClock();
  const frames: string[] = [];
  const outcomes: ((outcome: SendOutcome) => void)[] = [];
  let listener: ((frame: BusFrame) => void) | undefined;
  const bus = {
    transmitQueue,
    subscribe: (_filters: unknown, hear: (frame: BusFrame) => void) => {
      listener = hear;
      return { close: () => (listener = undefined) };
    },
    send: (frame: CanFrame, done: (outcome: SendOutcome) => void) => {
      frames.push(toHex(frame.data));
      outcomes.push(done);
    },
  } as unknown as CanBus;
  const channel = new IsoTpChannel({
    ...{ bus, clock, address },
    config: { padding: null, blockSize: 0, ...config },
  });
  const told: string[] = [];
  channel.listen({
    onMessage: (message) => told.push(`message ${toHex(message)}`),
    onReceiveError: (result, reason) => told.push(`${result} ${reason}`),
    onFirstFrame: (length) => told.push(`first frame of ${length}`),
  });
  const hear = (hex: string): void =>
    listener?.({
      frame: {
        ...{ id: 0x7e8, extended: false, data: fromHex(hex) },
        ...{ fd: false, brs: false, remote: false },
      },
      atMs: clock.nowMs(),
      direction: 'rx',
    });
  const send = (hex: string): void =>
    channel.send(fromHex(hex), ({ result, reason }) => told.push(`${hex}: ${result} ${reason}`));
  const sent = (): SendOutcome => ({ kind: 'sent', atMs: clock.nowMs() });
  const answer = (outcome: SendOutcome = sent()): void => outcomes.shift()?.(outcome);
  return { clock, frames, channel, told, hear, send, answer };
}

const LONG = '0102030405060708090a';

describe('a message that is sent', () => {
  it('ends when the bus is lost, and the next one begins', () => {
    const { frames, told, send, answer } = bench();
    send(LONG);
    send('3e00');
    expect(frames).toEqual(['100a010203040506']);
    answer(LOST);
    expect(told).toEqual([`${LONG}: BUS vcan0 is down`]);
    expect(frames.at(-1)).toBe('023e00');
    answer();
    expect(told.at(-1)).toBe('3e00: N_OK sent');
  });

  it('that was lost is not ended once more by what comes later', () => {
    const { frames, told, hear, send, answer } = bench();
    send(LONG);
    answer(LOST);
    hear('300000');
    send('3e00');
    expect(frames).toEqual(['100a010203040506', '023e00']);
    answer();
    answer();
    expect(told).toEqual([`${LONG}: BUS vcan0 is down`, '3e00: N_OK sent']);
  });

  it('has 1 byte at least and as many as are configured at most', () => {
    const { channel, frames } = bench({ maxMessageLength: 5 });
    channel.send(new Uint8Array(1));
    channel.send(new Uint8Array(5));
    expect(frames).toHaveLength(1);
    expect(() => channel.send(new Uint8Array(6))).toThrow('1 to 5 bytes, not 6');
    expect(() => channel.send(new Uint8Array(0))).toThrow('1 to 5 bytes, not 0');
  });

  it('is told that the connection was closed, with all that wait behind it', () => {
    const { channel, told, frames, hear, send, answer } = bench();
    send(LONG);
    send('3e00');
    channel.close();
    channel.close();
    const closed = 'CLOSED the connection was closed';
    expect(told).toEqual([`${LONG}: ${closed}`, `3e00: ${closed}`]);
    answer();
    hear('300000');
    send('3e01');
    expect(told.at(-1)).toBe('3e01: CLOSED the connection is closed');
    expect(frames).toHaveLength(1);
  });

  it.each([
    ['32', 'N_BUFFER_OVFLW the receiver has no room for a message of this length'],
    ['33', 'N_INVALID_FS the receiver sent a reserved flow status'],
  ])('ends by a flow control of status %s', (status, reason) => {
    const { told, hear, send, answer } = bench();
    send(LONG);
    answer();
    hear(`${status}0000`);
    expect(told).toEqual([`${LONG}: ${reason}`]);
  });

  it('ends when nobody acknowledges its frame', async () => {
    const { clock, told, send } = bench({ nAsMs: 70 });
    send(LONG);
    await clock.advance(69);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told[0]).toMatch(
      /^0102030405060708090a: N_TIMEOUT_A a frame was not on the bus in time/,
    );
  });
});

describe('a message that is received', () => {
  it('ends when its flow control is lost with the bus, and the next one begins', () => {
    const { told, frames, hear, answer } = bench();
    hear('100a010203040506');
    expect(frames).toEqual(['300000']);
    answer(LOST);
    expect(told).toEqual(['first frame of 10', 'BUS vcan0 is down']);
    hear('2107080910');
    expect(told).toHaveLength(2);
    hear('100a010203040506');
    answer();
    hear('210708090a');
    expect(told.slice(2)).toEqual(['first frame of 10', `message ${LONG}`]);
  });

  it('is nobody’s when the connection is closed', () => {
    const { told, frames, channel, hear, answer } = bench();
    hear('100a010203040506');
    channel.close();
    answer(LOST);
    hear('210708090a');
    expect(told).toEqual(['first frame of 10']);
    expect(frames).toEqual(['300000']);
  });

  it('of as many bytes as are configured is taken, one more is answered with overflow', () => {
    const { told, frames, hear } = bench({ maxMessageLength: 10 });
    hear('100b010203040506');
    expect(frames).toEqual(['320000']);
    expect(told[0]).toMatch(/^N_BUFFER_OVFLW a message of 11 bytes is above the configured limit/);
    hear('100a010203040506');
    expect(frames.at(-1)).toBe('300000');
  });

  it('comes out while another one is sent', () => {
    const { told, frames, hear, send, answer } = bench();
    send(LONG);
    answer();
    hear('027e00');
    hear('300000');
    expect(frames.at(-1)).toBe('210708090a');
    answer();
    expect(told).toEqual(['message 7e00', `${LONG}: N_OK sent`]);
  });
});

describe('frames ahead of the wire', () => {
  const ahead = (transmitQueue: number): number => {
    const { frames, hear, send, answer } = bench({}, transmitQueue);
    send('00'.repeat(4000));
    answer();
    hear('300000');
    return frames.length - 1;
  };

  it('are as many as the bus queues, at least one and at most 64', () => {
    expect([0, 1, 8, 64, 65, Number.POSITIVE_INFINITY].map(ahead)).toEqual([1, 1, 8, 64, 64, 64]);
  });

  it('are one where the receiver wants a pause between them', () => {
    const { frames, hear, send, answer } = bench();
    send('00'.repeat(100));
    answer();
    hear('300005');
    expect(frames).toHaveLength(2);
  });
});
