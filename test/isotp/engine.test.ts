// Sender and receiver without a bus: literal frames, then any message through any configuration.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { defaultIsoTpConfig, type IsoTpConfig } from '../../src/isotp/config.ts';
import { decodePci, type Pci } from '../../src/isotp/pci.ts';
import { IsoTpReceiver, type ReceiverConfig } from '../../src/isotp/receiver.ts';
import { IsoTpSender } from '../../src/isotp/sender.ts';

type FlowControl = Extract<Pci, { kind: 'flow-control' }>;
const flowControl = (status: number, blockSize = 0, stMin = 0): FlowControl => ({
  kind: 'flow-control',
  status,
  blockSize,
  stMin,
});

function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index & 0xff);
}

/** All frames that may go out at this instant, each confirmed at once. */
function drain(sender: IsoTpSender, nowMs: number): string[] {
  const frames: string[] = [];
  for (let data = sender.pull(nowMs); data !== undefined; data = sender.pull(nowMs)) {
    frames.push(toHex(data));
    sender.confirmed(nowMs);
  }
  return frames;
}

describe('sender', () => {
  it('sends a short message as one padded single frame', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    sender.begin(fromHex('22F195'));
    expect(toHex(sender.pull(0)!)).toBe('0322f195cccccccc');
    expect(sender.confirmed(1)).toBe('N_OK');
    expect(sender.idle).toBe(true);
  });

  it('waits for flow control after the first frame and after each block', () => {
    const sender = new IsoTpSender({ ...defaultIsoTpConfig, padding: null }, undefined, 8);
    sender.begin(counting(30));
    expect(drain(sender, 0)).toEqual(['101e000102030405']);
    sender.flowControl(flowControl(0, 2), 1);
    expect(drain(sender, 1)).toEqual(['21060708090a0b0c', '220d0e0f10111213']);
    expect(sender.deadline()).toEqual({ name: 'N_Bs', atMs: 1001 });
    sender.flowControl(flowControl(0, 0), 2);
    expect(drain(sender, 2)).toEqual(['231415161718191a', '241b1c1d']);
    expect(sender.idle).toBe(true);
  });

  it('uses the 32 bit length above 4,095 bytes', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    sender.begin(counting(4096));
    expect(toHex(sender.pull(0)!)).toBe('1000000010000001');
  });

  it('counts sequence numbers from 1 over 15 to 0', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 99);
    sender.begin(counting(6 + 7 * 17));
    drain(sender, 0);
    sender.flowControl(flowControl(0), 1);
    const numbers = drain(sender, 1).map((frame) => Number.parseInt(frame[1]!, 16));
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1]);
  });

  it('puts the address byte of extended addressing first', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, 0x40, 8);
    sender.begin(counting(8));
    expect(toHex(sender.pull(0)!)).toBe('4010080001020304');
    sender.confirmed(0);
    sender.flowControl(flowControl(0), 0);
    expect(toHex(sender.pull(0)!)).toBe('4021050607cccccc');
  });

  it('fills CAN FD frames to TX_DL and the last one to the next length', () => {
    const sender = new IsoTpSender(
      { ...defaultIsoTpConfig, fd: { txDl: 64, brs: true } },
      undefined,
      8,
    );
    sender.begin(counting(62 + 63 + 9));
    const first = sender.pull(0)!;
    expect(first.length).toBe(64);
    expect(toHex(first.subarray(0, 4))).toBe('10860001');
    sender.confirmed(0);
    sender.flowControl(flowControl(0), 0);
    expect(drain(sender, 0).map((frame) => frame.length / 2)).toEqual([64, 12]);
  });

  it('keeps STmin from the confirmation of the frame before, in steps of 100 microseconds', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    sender.begin(counting(20));
    drain(sender, 0);
    sender.flowControl(flowControl(0, 0, 0xf3), 1);
    expect(sender.pull(1)).toBeDefined();
    expect(sender.pull(1)).toBeUndefined(); // not confirmed yet
    sender.confirmed(1.2);
    expect(sender.pull(1.45)).toBeUndefined();
    expect(sender.deadline()).toEqual({ name: 'N_Cs', atMs: 1.5 });
    expect(sender.pull(1.5)).toBeDefined();
  });

  it('keeps no more frames with the bus than it may', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 3);
    sender.begin(counting(100));
    drain(sender, 0);
    sender.flowControl(flowControl(0), 0);
    const pulled = [sender.pull(0), sender.pull(0), sender.pull(0), sender.pull(0)];
    expect(pulled.map((frame) => frame !== undefined)).toEqual([true, true, true, false]);
    sender.confirmed(0);
    expect(sender.pull(0)).toBeDefined();
  });

  it.each([
    ['overflow', flowControl(2), 'N_BUFFER_OVFLW'],
    ['a reserved flow status', flowControl(3), 'N_INVALID_FS'],
  ])('ends on %s', (_, fc_, result) => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    sender.begin(counting(20));
    drain(sender, 0);
    expect(sender.flowControl(fc_, 1)).toBe(result);
    expect(sender.idle).toBe(true);
  });

  describe('FC.WAIT', () => {
    const start = (waitLimitMs: number): IsoTpSender => {
      const sender = new IsoTpSender({ ...defaultIsoTpConfig, waitLimitMs }, undefined, 8);
      sender.begin(counting(40));
      drain(sender, 0);
      return sender;
    };

    it('is accepted any number of times; each starts N_Bs again', () => {
      const sender = start(25_000);
      for (let nowMs = 900; nowMs < 25_000; nowMs += 900) {
        expect(sender.tick(nowMs)).toBeUndefined();
        expect(sender.flowControl(flowControl(1), nowMs)).toBeUndefined();
        expect(sender.deadline()).toEqual({ name: 'N_Bs', atMs: Math.min(nowMs + 1000, 25_900) });
      }
      expect(sender.flowControl(flowControl(0), 25_000)).toBeUndefined();
      expect(drain(sender, 25_000).length).toBe(5);
    });

    it('without another flow control ends with N_Bs', () => {
      const sender = start(25_000);
      sender.flowControl(flowControl(1), 500);
      expect(sender.tick(1499)).toBeUndefined();
      expect(sender.tick(1500)).toBe('N_TIMEOUT_Bs');
    });

    it('is bounded by the total time of one message, over all its blocks', () => {
      const sender = start(1500);
      sender.flowControl(flowControl(1), 100); // waits for 900 ms
      sender.flowControl(flowControl(0, 1), 1000);
      drain(sender, 2000);
      sender.flowControl(flowControl(1), 2100);
      sender.flowControl(flowControl(1), 2600);
      expect(sender.dueMs()).toBe(2700);
      expect(sender.tick(2699)).toBeUndefined();
      expect(sender.tick(2700)).toBe('N_WFT_OVRN');
      expect(sender.idle).toBe(true);
    });

    it('that held up one message does not count for the next', () => {
      const sender = start(1500);
      sender.flowControl(flowControl(1), 100);
      sender.flowControl(flowControl(0), 1000);
      drain(sender, 1000);
      sender.begin(counting(40));
      drain(sender, 2000);
      sender.flowControl(flowControl(1), 2100);
      sender.flowControl(flowControl(1), 3000);
      expect(sender.dueMs()).toBe(3600);
    });
  });

  it('ends with N_TIMEOUT_Bs and N_TIMEOUT_A', () => {
    const waiting = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    waiting.begin(counting(20));
    drain(waiting, 5);
    expect(waiting.tick(1004.9)).toBeUndefined();
    expect(waiting.tick(1005)).toBe('N_TIMEOUT_Bs');
    const unheard = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    unheard.begin(counting(3));
    unheard.pull(5);
    expect(unheard.tick(1005)).toBe('N_TIMEOUT_A');
  });

  it('ignores flow control that nobody waits for', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    expect(sender.flowControl(flowControl(2), 0)).toBeUndefined();
    sender.begin(counting(3));
    expect(sender.flowControl(flowControl(2), 0)).toBeUndefined();
  });

  it('refuses 4 GiB by the configured limit before it reads a byte', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 8);
    const monster = { length: 0xffff_ffff } as Uint8Array;
    expect(() => sender.begin(monster)).toThrow(/above the configured limit of 1048576/);
  });
});

describe('receiver', () => {
  const config: ReceiverConfig = { ...defaultIsoTpConfig, blockSize: 0 };
  const feed = (receiver: IsoTpReceiver, hex: string, nowMs = 0): void => {
    const data = fromHex(hex);
    receiver.frame(decodePci(data, 0), data, nowMs);
  };
  const confirm = (receiver: IsoTpReceiver, nowMs = 0): string | undefined => {
    const data = receiver.pull(nowMs);
    receiver.confirmed(nowMs);
    return data && toHex(data);
  };

  it('answers a first frame and puts the message together', () => {
    const receiver = new IsoTpReceiver({ ...config, stMin: 0x05 }, undefined);
    feed(receiver, '100A000102030405');
    expect(receiver.take()).toEqual({ kind: 'first-frame', length: 10 });
    expect(confirm(receiver)).toBe('300005cccccccccc');
    feed(receiver, '2106070809CCCCCC');
    expect(receiver.take()).toEqual({ kind: 'message', message: counting(10) });
    expect(receiver.deadline()).toBeUndefined();
  });

  it('asks again after each block', () => {
    const receiver = new IsoTpReceiver({ ...config, blockSize: 1 }, undefined);
    feed(receiver, '1012000102030405');
    expect(confirm(receiver)).toBe('300100cccccccccc');
    feed(receiver, '21060708090A0B0C');
    expect(confirm(receiver)).toBe('300100cccccccccc');
    feed(receiver, '220D0E0F1011CCCC');
    expect(confirm(receiver)).toBeUndefined();
    receiver.take();
    expect(receiver.take()).toEqual({ kind: 'message', message: counting(18) });
  });

  it('answers overflow and takes no memory for a message of 4 GiB', () => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '1000FFFFFFFF0102');
    expect(confirm(receiver)).toBe('320000cccccccccc');
    expect(receiver.take()).toMatchObject({ kind: 'error', result: 'N_BUFFER_OVFLW' });
    expect(receiver.idle).toBe(true);
  });

  it('ends on a wrong sequence number and says where', () => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '1020000102030405');
    confirm(receiver);
    feed(receiver, '22060708090A0B0C');
    receiver.take();
    const event = receiver.take();
    expect(event).toMatchObject({ kind: 'error', result: 'N_WRONG_SN' });
    expect(JSON.stringify(event)).toContain('2 came where 1 was expected at byte 6 of 32');
  });

  it('ends with N_TIMEOUT_Cr', () => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '1020000102030405');
    confirm(receiver, 5);
    receiver.take();
    receiver.tick(1004.9);
    expect(receiver.take()).toBeUndefined();
    expect(receiver.deadline()).toEqual({ name: 'N_Cr', atMs: 1005 });
    receiver.tick(1005);
    expect(receiver.take()).toMatchObject({ result: 'N_TIMEOUT_Cr' });
  });

  it('ends with N_TIMEOUT_A when its flow control does not get onto the bus', () => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '1020000102030405');
    receiver.take();
    receiver.pull(0);
    expect(receiver.deadline()).toEqual({ name: 'N_Ar', atMs: 1000 });
    receiver.tick(1000);
    expect(receiver.take()).toMatchObject({ result: 'N_TIMEOUT_A' });
  });

  it.each([
    ['0110', 'message'],
    ['1009000102030405', 'first-frame'],
  ])('a new message (%s) ends the one under way', (hex, kind) => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '1020000102030405');
    receiver.take();
    feed(receiver, hex);
    expect(receiver.take()).toMatchObject({ kind: 'error', result: 'N_UNEXP_PDU' });
    expect(receiver.take()).toMatchObject({ kind });
  });

  it('ignores consecutive frames that belong to nothing, and short ones in the middle', () => {
    const receiver = new IsoTpReceiver(config, undefined);
    feed(receiver, '2100000000000000');
    expect(receiver.take()).toBeUndefined();
    feed(receiver, '1020000102030405');
    confirm(receiver);
    receiver.take();
    feed(receiver, '21060708');
    feed(receiver, '21060708090A0B0C');
    expect(receiver.take()).toBeUndefined();
    expect(receiver.idle).toBe(false);
  });

  it('sends WAIT every N_Br while it is not ready, and goes on when it is', () => {
    let ready: 'wait' | 'continue' = 'wait';
    const receiver = new IsoTpReceiver({ ...config, readiness: () => ready }, undefined);
    feed(receiver, '1020000102030405');
    expect(confirm(receiver)).toBe('310000cccccccccc');
    expect(receiver.deadline()).toEqual({ name: 'N_Br', atMs: 400 });
    receiver.tick(400);
    expect(confirm(receiver, 400)).toBe('310000cccccccccc');
    ready = 'continue';
    receiver.tick(800);
    expect(confirm(receiver, 800)).toBe('300000cccccccccc');
  });

  describe('with a screen', () => {
    const screened = (): IsoTpReceiver => {
      const receiver = new IsoTpReceiver(config, undefined);
      receiver.screen((start) => start[0] === 0x62);
      return receiver;
    };

    it('leaves an unwanted first frame and its consecutive frames alone', () => {
      const receiver = screened();
      feed(receiver, '100A590203040506');
      expect(receiver.pull(0)).toBeUndefined();
      expect(receiver.take()).toEqual({
        kind: 'unwanted',
        start: fromHex('590203040506'),
        length: 10,
      });
      feed(receiver, '2107080910');
      expect([receiver.idle, receiver.take()]).toEqual([true, undefined]);
    });

    it('does not let an unwanted message end the wanted one under way', () => {
      const receiver = screened();
      feed(receiver, '100A62F190010203');
      confirm(receiver);
      feed(receiver, '037F3131CCCCCCCC');
      feed(receiver, '100A590203040506');
      expect(receiver.pull(0)).toBeUndefined();
      feed(receiver, '2104050607CCCCCC');
      const events = [1, 2, 3, 4].map(() => receiver.take());
      expect(events).toEqual([
        { kind: 'first-frame', length: 10 },
        { kind: 'message', message: fromHex('7F3131') },
        { kind: 'unwanted', start: fromHex('590203040506'), length: 10 },
        { kind: 'message', message: fromHex('62F19001020304050607') },
      ]);
    });

    it('lets a wanted message end the one under way (table 23)', () => {
      const receiver = screened();
      feed(receiver, '100A62F190010203');
      feed(receiver, '0362F18ACCCCCCCC');
      const events = [1, 2, 3].map(() => receiver.take());
      expect(events[1]).toMatchObject({ kind: 'error', result: 'N_UNEXP_PDU' });
      expect(events[2]).toEqual({ kind: 'message', message: fromHex('62F18A') });
      feed(receiver, '100A62F190010203');
      feed(receiver, '100B62F190010203');
      expect(receiver.take()).toEqual({ kind: 'first-frame', length: 10 });
      expect(receiver.take()).toMatchObject({ kind: 'error', result: 'N_UNEXP_PDU' });
      expect(receiver.take()).toEqual({ kind: 'first-frame', length: 11 });
    });
  });

  it('gives up after N_WFTmax waits', () => {
    const receiver = new IsoTpReceiver(
      { ...config, wftMax: 1, readiness: () => 'wait' },
      undefined,
    );
    feed(receiver, '1020000102030405');
    confirm(receiver);
    receiver.take();
    receiver.tick(400);
    expect(receiver.take()).toMatchObject({ result: 'N_WFT_OVRN' });
  });
});

const TX_DLS = [8, 12, 16, 20, 24, 32, 48, 64] as const;

it('carries any message through any configuration', () => {
  const scenario = fc.record({
    message: fc.uint8Array({ minLength: 1, maxLength: 9000 }),
    txDl: fc.constantFrom(...TX_DLS),
    padding: fc.constantFrom(null, 0x00, 0xcc),
    blockSize: fc.constantFrom(0, 1, 2, 15, 255),
    stMin: fc.constantFrom(0, 1, 0xf1, 0xf9, 0x7f),
    addressByte: fc.constantFrom(undefined, 0x40),
    sendAhead: fc.constantFrom(1, 2, 64),
  });
  fc.assert(
    fc.property(
      scenario,
      ({ message, txDl, padding, blockSize, stMin, addressByte, sendAhead }) => {
        const config: IsoTpConfig = {
          ...defaultIsoTpConfig,
          fd: txDl === 8 ? false : { txDl, brs: true },
          padding,
          stMin,
        };
        const sender = new IsoTpSender(config, addressByte, sendAhead);
        const receiver = new IsoTpReceiver({ ...config, blockSize }, addressByte);
        const at = addressByte === undefined ? 0 : 1;
        sender.begin(message);
        let nowMs = 0;
        let received: Uint8Array | undefined;
        for (let step = 0; step < 60_000 && received === undefined; step++) {
          const data = sender.pull(nowMs);
          if (data === undefined) {
            nowMs = sender.deadline()!.atMs;
            if (sender.deadline()!.name !== 'N_Cs') throw new Error('stuck');
            continue;
          }
          receiver.frame(decodePci(data, at), data, nowMs);
          sender.confirmed(nowMs);
          const answer = receiver.pull(nowMs);
          if (answer !== undefined) {
            receiver.confirmed(nowMs);
            sender.flowControl(decodePci(answer, at) as FlowControl, nowMs);
          }
          for (let event = receiver.take(); event !== undefined; event = receiver.take()) {
            if (event.kind === 'error') throw new Error(event.reason);
            if (event.kind === 'message') received = event.message;
          }
        }
        expect(received).toEqual(message);
        expect(sender.idle).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});
