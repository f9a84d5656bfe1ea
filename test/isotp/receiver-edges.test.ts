// Frames of the wrong length in the middle of a message, and the block size that fits the bus.

import { describe, expect, it } from 'vitest';
import type { CanBus } from '../../src/bus/can-bus.ts';
import type { CanFrame } from '../../src/bus/can-frame.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { normalAddress } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { defaultIsoTpConfig } from '../../src/isotp/config.ts';
import { decodePci } from '../../src/isotp/pci.ts';
import { IsoTpReceiver } from '../../src/isotp/receiver.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

function received(...frames: readonly string[]): string[] {
  const receiver = new IsoTpReceiver({ ...defaultIsoTpConfig, blockSize: 0 }, undefined);
  for (const hex of frames) {
    const data = fromHex(hex);
    receiver.frame(decodePci(data, 0), data, 0);
    receiver.pull(0);
    receiver.confirmed(0);
  }
  const told: string[] = [];
  for (let event = receiver.take(); event !== undefined; event = receiver.take()) {
    if (event.kind === 'message') told.push(toHex(event.message));
    if (event.kind === 'error') told.push(event.result);
  }
  return told;
}

describe('a consecutive frame', () => {
  const FIRST = '100d010203040506';
  const WHOLE = '0102030405060708090a0b0c0d';

  it('that is too short for what is left is no part of the message', () => {
    const right = '210708090a0b0c0d';
    expect(received(FIRST, right)).toEqual([WHOLE]);
    for (const short of ['210708090a0b0c', '2107', '21']) {
      expect(received(FIRST, short), short).toEqual([]);
      expect(received(FIRST, short, right), short).toEqual([WHOLE]);
    }
  });

  it('that is the last one may be as short as it needs', () => {
    expect(received('100a010203040506', '210708090a')).toEqual(['0102030405060708090a']);
    expect(received('100a010203040506', '210708090acccc')).toEqual(['0102030405060708090a']);
    expect(received('100a010203040506', '2107080910')).toEqual(['01020304050607080910']);
  });

  it('that is longer than the first frame is no part of it', () => {
    expect(received(FIRST, '210708090a0b0c0d0e0f1011')).toEqual([]);
  });
});

describe('the block size', () => {
  const blockSizeOf = (receiveBurst: number, blockSize: number | 'auto' = 'auto'): number => {
    const frames: string[] = [];
    let hear: ((frame: object) => void) | undefined;
    const bus = {
      ...{ receiveBurst, transmitQueue: 8 },
      subscribe: (_filters: unknown, listener: (frame: object) => void) => {
        hear = listener;
        return { close: () => {} };
      },
      send: (frame: CanFrame) => frames.push(toHex(frame.data)),
    } as unknown as CanBus;
    const channel = new IsoTpChannel({
      ...{ bus, clock: new VirtualClock(), config: { padding: null, blockSize } },
      address: normalAddress({ id: 1, extended: false }, { id: 2, extended: false }),
    });
    channel.listen({ onMessage: () => {} });
    hear?.({ frame: { data: fromHex('100d010203040506'), remote: false }, atMs: 0 });
    return Number.parseInt(frames[0]!.slice(2, 4), 16);
  };

  it.each([
    [Number.POSITIVE_INFINITY, 0],
    [2, 1],
    [100, 50],
    [508, 254],
    [510, 255],
    [512, 255],
    [10_000, 255],
  ])('for a burst of %i frames is %i', (burst, expected) => {
    expect(blockSizeOf(burst)).toBe(expected);
  });

  it('that is configured counts', () => {
    expect(blockSizeOf(100, 7)).toBe(7);
    expect(blockSizeOf(100, 0)).toBe(0);
  });
});
