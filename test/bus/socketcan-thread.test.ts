// The thread behind a SocketCAN interface against a double of the package's channels: echoes, retry, state, loss.

import { describe, expect, it } from 'vitest';
import type { CanFilter } from '../../src/bus/can-bus.ts';
import { exactFilter } from '../../src/bus/can-bus.ts';
import { type CanFrame, classicFrame, fdFrame, frameText } from '../../src/bus/can-frame.ts';
import type { InterfaceStatus } from '../../src/bus/interface-status.ts';
import { encodeFrame, frameRecordLength } from '../../src/bus/linux-frame.ts';
import { RecordReader } from '../../src/bus/record-reader.ts';
import type { FromThread } from '../../src/bus/socketcan-protocol.ts';
import {
  type PackageMessage,
  type RawChannel,
  SocketCanThread,
} from '../../src/bus/socketcan-thread.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

class FakeChannel implements RawChannel {
  readonly sent: PackageMessage[] = [];
  filters: { id: number; mask: number; invert?: boolean }[] = [];
  errorMask: number | undefined;
  running = false;
  /** What `send` returns; a kernel whose queue is full says -1. */
  result = 16;
  onMessage: (message: PackageMessage) => void = () => {};
  onStopped: () => void = () => {};

  addListener(event: 'onMessage' | 'onStopped', listener: never): void {
    this[event] = listener;
  }
  start(): void {
    this.running = true;
  }
  stop(): void {
    if (!this.running) throw new Error('Channel not started');
    this.running = false;
  }
  send(message: PackageMessage): number {
    if (this.result > 0) this.sent.push(message);
    return this.result;
  }
  sendFD(message: PackageMessage): number {
    return this.send(message);
  }
  setRxFilters(filters: { id: number; mask: number; invert?: boolean }[]): void {
    this.filters = filters;
  }
  setErrorFilters(mask: number): void {
    this.errorMask = mask;
  }
}

const UP: InterfaceStatus = { index: '7', isCan: true, up: true, mtu: 72 };

function makeThread(
  options: { virtual?: boolean; shortFramesAreFd?: boolean; maxWaitingBytes?: number } = {},
) {
  const clock = new VirtualClock();
  const channels: FakeChannel[] = [];
  const said: FromThread[] = [];
  const log: string[] = [];
  const link: { status: InterfaceStatus | undefined; packets: number } = { status: UP, packets: 0 };
  const reader = new RecordReader({
    onEcho: () => log.push('echo'),
    onFrame: (frame) => log.push(frameText(frame)),
    onControl: () => {},
    onFault: (fault) => log.push(fault),
  });
  const thread = new SocketCanThread({
    interfaceName: 'vcan0',
    virtual: options.virtual ?? false,
    shortFramesAreFd: options.shortFramesAreFd ?? false,
    maxWaitingBytes: options.maxWaitingBytes ?? 1 << 20,
    stopped: new Int32Array(1),
    clock,
    open: () => {
      const channel = new FakeChannel();
      channels.push(channel);
      return channel;
    },
    interfaceStatus: () => link.status,
    packets: () => link.packets,
    say: (message) => {
      if (message.kind === 'records') reader.push(message.records);
      else if (message.kind === 'failed') log.push(`failed ${message.count}: ${message.reason}`);
      else if (message.kind === 'state') log.push(`${message.state}: ${message.reason}`);
      else if (message.kind === 'lost') log.push(`lost ${message.frames}: ${message.reason}`);
      said.push(message);
    },
  });
  const [transmitter, receiver] = channels as [FakeChannel, FakeChannel];
  const send = (...frames: CanFrame[]): void => {
    const records = new Uint8Array(
      frames.reduce((sum, frame) => sum + frameRecordLength(frame), 0),
    );
    let at = 0;
    for (const frame of frames) at += encodeFrame(frame, records, at);
    thread.take({ kind: 'send', records });
  };
  const listen = (filters: readonly CanFilter[] | undefined): void =>
    thread.take({ kind: 'listen', filters });
  const hear = (frame: CanFrame): void =>
    channels.at(-1)!.onMessage({
      id: frame.id,
      data: Buffer.from(frame.data),
      ...(frame.extended && { ext: true }),
      ...(frame.remote && { rtr: true }),
    });
  return { clock, channels, transmitter, receiver, said, log, link, thread, send, listen, hear };
}

const one = classicFrame(0x7e0, Uint8Array.of(1));
const two = classicFrame(0x7e0, Uint8Array.of(2));
const three = classicFrame(0x7e1, Uint8Array.of(3));

describe('filters', () => {
  it('let nothing through before something is wanted, nor ever on the sending socket', () => {
    const { transmitter, receiver } = makeThread();
    const nothing = [{ id: 0, mask: 0, invert: true }];
    expect(transmitter.filters).toEqual(nothing);
    expect(transmitter.errorMask).toBe(0);
    expect(receiver.filters).toEqual(nothing);
    expect([transmitter.running, receiver.running]).toEqual([false, true]);
  });

  it('are narrow, and open for the echo of an identifier before its first frame is sent', () => {
    const { receiver, transmitter, listen, send } = makeThread();
    listen([exactFilter(0x7e8, false)]);
    expect(receiver.filters).toEqual([{ id: 0x7e8, mask: 0xc00007ff }]);
    send(one, classicFrame(0x18da10f1, new Uint8Array(0), true));
    expect(transmitter.sent).toHaveLength(2);
    expect(receiver.filters).toEqual([
      { id: 0x7e8, mask: 0xc00007ff },
      { id: 0x7e0, mask: 0x800007ff },
      { id: 0x98da10f1, mask: 0x9fffffff },
    ]);
  });

  it('are wide open for a monitor, and where the kernel would refuse that many', () => {
    const { receiver, listen } = makeThread();
    listen(undefined);
    expect(receiver.filters).toEqual([{ id: 0, mask: 0 }]);
    listen([exactFilter(1, false)]);
    expect(receiver.filters).toHaveLength(1);
    listen(Array.from({ length: 600 }, (_, id) => exactFilter(id, false)));
    expect(receiver.filters).toEqual([{ id: 0, mask: 0 }]);
  });
});

describe('echoes', () => {
  it('confirm; anything else is from others', async () => {
    const { clock, send, hear, log } = makeThread();
    send(one, two);
    hear(one);
    hear(three);
    hear(two);
    hear(two);
    await clock.advance(1);
    expect(log).toEqual(['echo', '7E1#03', 'echo', '7E0#02']);
  });

  it('are told in order when the controller sent out of order', async () => {
    const { clock, send, hear, log } = makeThread();
    send(one, two, three);
    hear(three);
    await clock.advance(1);
    expect(log).toEqual([]);
    hear(one);
    hear(two);
    await clock.advance(1);
    expect(log).toEqual(['echo', 'echo', 'echo']);
  });

  it('of a virtual wire that are missing were lost in the receive buffer, and are counted', async () => {
    const { clock, send, hear, log } = makeThread({ virtual: true });
    send(one, two, three);
    hear(two);
    await clock.advance(1);
    expect(log).toEqual([expect.stringMatching(/^lost 1: echoes/), 'echo', 'echo']);
    await clock.advance(1000);
    expect(log.slice(3)).toEqual([expect.stringMatching(/^lost 1: echoes/), 'echo']);
  });

  it('keep 64 frames at most under way', async () => {
    const { clock, send, hear, transmitter } = makeThread();
    const frames = Array.from({ length: 100 }, (_, n) => classicFrame(1, Uint8Array.of(n)));
    send(...frames);
    expect(transmitter.sent).toHaveLength(64);
    for (const frame of frames.slice(0, 10)) hear(frame);
    await clock.advance(1);
    expect(transmitter.sent).toHaveLength(74);
  });

  it('that do not come within N_As fail everything; coming late they are nobody’s frames', async () => {
    const { clock, send, hear, log, listen } = makeThread();
    listen(undefined);
    send(one, two);
    await clock.advance(1300);
    expect(log).toEqual([
      expect.stringMatching(/^failed 2: no frame was on the wire within 1000 ms/),
    ]);
    hear(one);
    hear(two);
    hear(three);
    await clock.advance(1);
    expect(log.slice(1)).toEqual(['7E1#03']);
  });
});

describe('a kernel that takes no frame', () => {
  it('is asked again until it does', async () => {
    const { clock, send, transmitter, log, hear } = makeThread();
    transmitter.result = -1;
    send(one, two);
    await clock.advance(50);
    expect(transmitter.sent).toHaveLength(0);
    transmitter.result = 16;
    await clock.advance(2);
    expect(transmitter.sent.map((message) => message.data[0])).toEqual([1, 2]);
    hear(one);
    hear(two);
    await clock.advance(1);
    expect(log).toEqual(['echo', 'echo']);
  });

  it('for N_As fails what waits, and is asked again for later frames', async () => {
    const { clock, send, transmitter, log } = makeThread();
    transmitter.result = -1;
    send(one, two);
    await clock.advance(1100);
    expect(log).toEqual([expect.stringMatching(/^failed 2: the kernel took no frame for 1000 ms/)]);
    transmitter.result = 16;
    send(three);
    expect(transmitter.sent).toHaveLength(1);
  });

  it('is not asked for long when the interface is down', () => {
    const { send, transmitter, log, link } = makeThread();
    transmitter.result = -1;
    link.status = { ...UP, up: false };
    send(one);
    expect(log).toEqual([
      expect.stringMatching(/^down: interface vcan0 is down: sudo ip link set vcan0 up/),
      expect.stringMatching(/^failed 1: /),
    ]);
  });
});

describe('the interface', () => {
  it('going down fails what is under way; coming up again it works with the same sockets', async () => {
    const { clock, channels, send, hear, log, link } = makeThread();
    send(one);
    link.status = { ...UP, up: false };
    await clock.advance(250);
    send(two);
    expect(log).toEqual([
      expect.stringMatching(/^down/),
      expect.stringMatching(/^failed 1/),
      expect.stringMatching(/^failed 1/),
    ]);
    link.status = UP;
    await clock.advance(250);
    send(three);
    hear(three);
    await clock.advance(1);
    expect(log.slice(3)).toEqual([expect.stringMatching(/^active/), 'echo']);
    expect(channels).toHaveLength(2);
  });

  it('removed and made again gets new sockets with the old filters', async () => {
    const { clock, channels, receiver, send, hear, log, link, listen } = makeThread();
    listen([exactFilter(0x7e8, false)]);
    link.status = undefined;
    receiver.running = false;
    receiver.onStopped();
    await clock.advance(250);
    expect(log).toEqual(['down: interface vcan0 is gone']);
    link.status = { ...UP, index: '8' };
    await clock.advance(250);
    expect(channels).toHaveLength(4);
    expect(channels[3]!.filters).toEqual([{ id: 0x7e8, mask: 0xc00007ff }]);
    send(one);
    expect(channels[2]!.sent).toHaveLength(1);
    hear(one);
    await clock.advance(1);
    expect(log.slice(1)).toEqual([expect.stringMatching(/^active/), 'echo']);
  });
});

describe('error frames', () => {
  const error = (id: number, detail: string): PackageMessage => ({
    id,
    err: true,
    data: Buffer.from(fromHex(detail)),
  });

  it('change the state; bus-off fails what is under way until the controller is back', async () => {
    const { clock, receiver, send, log } = makeThread();
    receiver.onMessage(error(0x004, '0008000000000000'));
    receiver.onMessage(error(0x088, '0000040000000000'));
    send(one);
    receiver.onMessage(error(0x040, '0000000000000000'));
    send(two);
    receiver.onMessage(error(0x100, '0000000000000000'));
    await clock.advance(1);
    expect(log.map((line) => line.split(':')[0])).toEqual([
      'warning',
      'bus-off',
      'failed 1',
      'failed 1',
      'active',
    ]);
  });

  it('tell of frames that the controller lost', () => {
    const { receiver, log } = makeThread();
    receiver.onMessage(error(0x004, '0001000000000000'));
    expect(log).toEqual([expect.stringMatching(/^lost 1/)]);
  });
});

describe('received frames', () => {
  const short = classicFrame(0x7e8, Uint8Array.of(1));
  const long = fdFrame(0x7e8, new Uint8Array(12));
  const remote = { ...classicFrame(0x7e8, new Uint8Array(0)), remote: true };

  it('are CAN FD when they are long', async () => {
    const { clock, hear, log } = makeThread();
    for (const frame of [short, long, remote]) hear(frame);
    await clock.advance(1);
    expect(log).toEqual(['7E8#01', `7E8##1${'00'.repeat(12)}`, '7E8#R']);
  });

  it('are CAN FD when they are short too, where the bus was opened for it', async () => {
    const { clock, hear, log } = makeThread({ shortFramesAreFd: true });
    for (const frame of [short, long, remote]) hear(frame);
    await clock.advance(1);
    expect(log).toEqual(['7E8##101', `7E8##1${'00'.repeat(12)}`, '7E8#R']);
  });

  it('wait in one batch while the main thread is busy, up to a limit, and are counted beyond it', async () => {
    const { clock, hear, log, said, thread } = makeThread({ maxWaitingBytes: 3200 });
    for (let n = 0; n < 500; n++) {
      hear(classicFrame(0x100, Uint8Array.of(n >> 8, n)));
      if (n < 2) await clock.advance(0);
    }
    await clock.advance(1);
    expect(said.filter(({ kind }) => kind === 'records')).toHaveLength(2);
    thread.take({ kind: 'ack' });
    await clock.advance(1);
    const frames = log.filter((line) => line.startsWith('100#')).length;
    const lost = Number(/^lost (\d+)/.exec(log.at(-1)!)?.[1]);
    expect(frames).toBeGreaterThan(50);
    expect(frames + lost).toBe(500);
  });

  it('are counted against the kernel while everything is heard', async () => {
    const { clock, hear, log, link, listen } = makeThread({ virtual: true });
    link.packets = 1000;
    listen(undefined);
    for (let n = 0; n < 10; n++) hear(short);
    link.packets = 1013;
    await clock.advance(2500);
    expect(log.filter((line) => line.startsWith('lost'))).toEqual([
      expect.stringMatching(/^lost 3: frames did not come through the receive buffer/),
    ]);
  });
});

describe('closing', () => {
  it('stops the reader of the package', () => {
    const { thread, receiver } = makeThread();
    thread.take({ kind: 'close' });
    expect(receiver.running).toBe(false);
  });
});
