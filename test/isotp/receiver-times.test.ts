// The receiver's timers to the millisecond: N_Ar, N_Br, N_Cr, and which of them runs in which phase.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { defaultIsoTpConfig } from '../../src/isotp/config.ts';
import { decodePci } from '../../src/isotp/pci.ts';
import { IsoTpReceiver, type ReceiverConfig } from '../../src/isotp/receiver.ts';

const TIMES = { nArMs: 100, nBrMs: 40, nCrMs: 150 };

function receiverOf(config: Partial<ReceiverConfig> = {}) {
  const receiver = new IsoTpReceiver(
    { ...defaultIsoTpConfig, padding: null, blockSize: 2, ...TIMES, ...config },
    undefined,
  );
  const hear = (hex: string, nowMs: number): void => {
    const data = fromHex(hex);
    receiver.frame(decodePci(data, 0), data, nowMs);
  };
  const due = (): string => {
    const { name, atMs } = receiver.deadline() ?? { name: 'none', atMs: Number.POSITIVE_INFINITY };
    expect(receiver.dueMs()).toBe(atMs);
    return `${name} ${atMs}`;
  };
  const pull = (nowMs: number): string => {
    const frame = receiver.pull(nowMs);
    return frame === undefined ? 'nothing' : toHex(frame);
  };
  const events = (): string[] => {
    const told: string[] = [];
    for (let event = receiver.take(); event !== undefined; event = receiver.take()) {
      if (event.kind === 'message') told.push(`message of ${event.message.length}`);
      else if (event.kind === 'error') told.push(event.result);
      else told.push(`first frame of ${event.length}`);
    }
    return told;
  };
  return { receiver, hear, due, pull, events };
}

const FIRST = '101e000102030405';
const next = (sequence: number): string => `2${sequence.toString(16)}06070809101112`;

describe('a message of several blocks', () => {
  it('has N_Ar until each flow control is on the wire, and N_Cr from each frame', () => {
    const { receiver, hear, due, pull, events } = receiverOf();
    expect(due()).toBe('none Infinity');
    hear(FIRST, 10);
    expect(due()).toBe('N_Ar 110');
    expect(pull(20)).toBe('300200');
    expect(pull(20)).toBe('nothing');
    expect(due()).toBe('N_Ar 120');
    receiver.confirmed(30);
    expect(due()).toBe('N_Cr 180');
    hear(next(1), 50);
    expect(due()).toBe('N_Cr 200');
    hear(next(2), 60);
    expect(due()).toBe('N_Ar 160');
    expect(pull(61)).toBe('300200');
    receiver.confirmed(62);
    receiver.confirmed(99); // there is none to confirm any more
    expect(due()).toBe('N_Cr 212');
    hear(next(3), 70);
    hear('2406070809', 80);
    expect(due()).toBe('none Infinity');
    expect(events()).toEqual(['first frame of 30', 'message of 30']);
  });

  it('ends at N_Cr, not a moment before', () => {
    const { receiver, hear, pull, events } = receiverOf();
    hear(FIRST, 0);
    pull(0);
    receiver.confirmed(0);
    receiver.tick(149.9);
    expect(receiver.idle).toBe(false);
    receiver.tick(150);
    expect(events()).toEqual(['first frame of 30', 'N_TIMEOUT_Cr']);
    hear(next(1), 151);
    expect(events()).toEqual([]);
  });

  it('ends at N_Ar when its flow control does not get onto the bus', () => {
    const { receiver, hear, pull, events } = receiverOf();
    hear(FIRST, 0);
    pull(50);
    receiver.tick(149);
    expect(receiver.idle).toBe(false);
    receiver.tick(150);
    expect(events().at(-1)).toBe('N_TIMEOUT_A');
  });

  it('takes a frame that comes before the confirmation of its flow control, and waits on with N_Cr', () => {
    const { receiver, hear, due, pull } = receiverOf();
    hear(FIRST, 0);
    pull(1);
    hear(next(1), 5);
    expect(due()).toBe('N_Cr 155');
    receiver.confirmed(9);
    expect(due()).toBe('N_Cr 155');
  });
});

describe('a receiver that is not ready', () => {
  it('sends WAIT each N_Br, and goes on when it is ready, with its waits forgotten', () => {
    let readiness: 'wait' | 'continue' = 'wait';
    const { receiver, hear, due, pull, events } = receiverOf({
      readiness: () => readiness,
      wftMax: 2,
    });
    hear(FIRST, 0);
    expect(pull(0)).toBe('310000');
    expect(due()).toBe('N_Br 40');
    receiver.tick(39);
    expect(pull(39)).toBe('nothing');
    receiver.tick(40);
    expect(pull(40)).toBe('310000');
    readiness = 'continue';
    receiver.tick(80);
    expect(pull(80)).toBe('300200');
    receiver.confirmed(80);
    hear(next(1), 81);
    readiness = 'wait';
    hear(next(2), 82);
    for (const atMs of [82, 122]) {
      expect(pull(atMs)).toBe('310000');
      receiver.tick(atMs + 40);
    }
    expect(pull(162)).toBe('nothing');
    expect(events()).toEqual(['first frame of 30', 'N_WFT_OVRN']);
  });
});

describe('a first frame', () => {
  it('above the limit is answered with overflow, at the limit with flow control', () => {
    const { hear, pull, events } = receiverOf({ maxMessageLength: 30 });
    hear(FIRST, 0);
    expect(pull(0)).toBe('300200');
    hear('101f000102030405', 1);
    expect(pull(1)).toBe('320000');
    expect(events()).toEqual(['first frame of 30', 'N_UNEXP_PDU', 'N_BUFFER_OVFLW']);
  });
});
