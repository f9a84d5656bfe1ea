// Two channels on one simulated wire under virtual time: what the frames of ISO 15765-2 look like from outside.

import { beforeEach, describe, expect, it } from 'vitest';
import { type CanFrame, frameText } from '../../src/bus/can-frame.ts';
import {
  extendedAddress,
  type IsoTpAddress,
  mixedAddress,
  mixedFixedAddress,
  normalAddress,
  normalFixedAddress,
  reverseAddress,
  testerAddresses,
} from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { type IsoTpConfig, transportConfig } from '../../src/isotp/config.ts';
import type { ConnectionListener, SendResult } from '../../src/isotp/connection.ts';
import { IsoTpSniffer, type SniffedEvent } from '../../src/isotp/sniffer.ts';
import { type SimulatedBus, SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

const normal = normalAddress({ id: 0x7e0, extended: false }, { id: 0x7e8, extended: false });

let clock: VirtualClock;
let wire: SimulatedWire;
let testerBus: SimulatedBus;
let ecuBus: SimulatedBus;
let seen: string[];
let seenAt: number[];

beforeEach(() => {
  clock = new VirtualClock();
  wire = new SimulatedWire({ clock, bitrate: 500_000, dataBitrate: 2_000_000 });
  testerBus = wire.attach('tester');
  ecuBus = wire.attach('ecu');
  seen = [];
  seenAt = [];
  wire.attach('observer').monitor(({ frame, atMs }) => {
    seen.push(frameText(frame));
    seenAt.push(atMs);
  });
});

interface End {
  readonly channel: IsoTpChannel;
  readonly messages: Uint8Array[];
  readonly errors: string[];
}

function end(
  bus: SimulatedBus,
  address: IsoTpAddress,
  config: Partial<IsoTpConfig> = {},
  more: Partial<ConstructorParameters<typeof IsoTpChannel>[0]> = {},
): End {
  const channel = new IsoTpChannel({ bus, clock, address, config, ...more });
  const messages: Uint8Array[] = [];
  const errors: string[] = [];
  const listener: ConnectionListener = {
    onMessage: (message) => messages.push(message),
    onReceiveError: (result) => errors.push(result),
  };
  channel.listen(listener);
  return { channel, messages, errors };
}

function send(from: End, message: Uint8Array): Promise<SendResult> {
  return new Promise((resolve) => from.channel.send(message, resolve));
}

const counting = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => index & 0xff);

describe('a message', () => {
  it('of one frame', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    const result = await clock.within(10, send(tester, Uint8Array.of(0x3e, 0x00)));
    expect(result.result).toBe('N_OK');
    expect(result.atMs).toBe(seenAt[0]); // the end of the frame on the wire, not the call
    expect(seen).toEqual(['7E0#023E00CCCCCCCCCC']);
    expect(ecu.messages).toEqual([Uint8Array.of(0x3e, 0x00)]);
  });

  it('of several frames, with block size and the other side asked in between', async () => {
    const tester = end(testerBus, normal, { padding: 0xaa });
    const ecu = end(ecuBus, reverseAddress(normal), { blockSize: 2, stMin: 1 });
    await clock.within(100, send(tester, counting(27)));
    expect(seen).toEqual([
      '7E0#101B000102030405',
      '7E8#300201CCCCCCCCCC',
      '7E0#21060708090A0B0C',
      '7E0#220D0E0F10111213',
      '7E8#300201CCCCCCCCCC',
      '7E0#231415161718191A',
    ]);
    expect(seenAt[3]! - seenAt[2]!).toBeGreaterThanOrEqual(1);
    expect(ecu.messages).toEqual([counting(27)]);
  });

  const wide = { id: 0x18daf140, extended: true };
  it.each<[string, IsoTpAddress, string]>([
    [
      'normal, 29 bit',
      normalAddress(wide, { id: 0x18da40f1, extended: true }),
      '18DAF140#100A000102030405',
    ],
    ['normal fixed', normalFixedAddress(0xf1, 0x40), '18DA40F1#100A000102030405'],
    ['extended', extendedAddress(normal.tx, normal.rx, 0x40, 0xf1), '7E0#40100A0001020304'],
    ['mixed, 11 bit', mixedAddress(normal.tx, normal.rx, 0x55), '7E0#55100A0001020304'],
    ['mixed, 29 bit', mixedFixedAddress(0xf1, 0x40, 0x55), '18CE40F1#55100A0001020304'],
  ])('with %s addressing', async (_, address, firstFrame) => {
    const tester = end(testerBus, address);
    const ecu = end(ecuBus, reverseAddress(address));
    await clock.within(100, send(tester, counting(10)));
    await clock.within(100, send(ecu, counting(9)));
    expect(seen[0]).toBe(firstFrame);
    expect(ecu.messages).toEqual([counting(10)]);
    expect(tester.messages).toEqual([counting(9)]);
  });

  it('of 65,536 bytes in CAN FD frames, with the 32 bit length', async () => {
    const fd = { fd: { txDl: 64, brs: true } } as const;
    const tester = end(testerBus, normal, fd);
    const ecu = end(ecuBus, reverseAddress(normal), fd);
    await clock.within(10_000, send(tester, counting(65_536)));
    expect(seen[0]!.slice(0, 22)).toBe('7E0##11000000100000001');
    expect(ecu.messages[0]).toEqual(counting(65_536));
  });

  it('is heard while another goes the other way (full duplex)', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    await clock.within(1000, Promise.all([send(tester, counting(300)), send(ecu, counting(200))]));
    expect(ecu.messages).toEqual([counting(300)]);
    expect(tester.messages).toEqual([counting(200)]);
  });

  it('waits for the one before it', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    const both = Promise.all([send(tester, counting(100)), send(tester, counting(3))]);
    await clock.within(1000, both);
    expect(ecu.messages.map((message) => message.length)).toEqual([100, 3]);
  });
});

it('tells ECUs behind one identifier apart by the address byte', async () => {
  const first = extendedAddress(normal.tx, normal.rx, 0x40, 0xf1);
  const second = extendedAddress(normal.tx, normal.rx, 0x41, 0xf1);
  const tester = end(testerBus, first);
  const ecus = [
    end(ecuBus, reverseAddress(first)),
    end(wire.attach('other'), reverseAddress(second)),
  ];
  await clock.within(100, send(tester, counting(5)));
  expect(ecus.map((ecu) => ecu.messages.length)).toEqual([1, 0]);
});

it('functional requests are single frames, are not answered with flow control, and longer ones are refused', async () => {
  const { functional } = testerAddresses({
    mode: 'normal',
    request: 0x7e0,
    response: 0x7e8,
    functional: 0x7df,
    extended: false,
  });
  const tester = end(testerBus, functional!, {}, { kind: 'functional' });
  const ecu = end(ecuBus, reverseAddress(functional!), {}, { kind: 'functional' });
  expect(() => tester.channel.send(counting(8))).toThrow(/single frame/);
  await clock.within(100, send(tester, counting(7)));
  testerBus.send({
    id: 0x7df,
    extended: false,
    fd: false,
    brs: false,
    remote: false,
    data: Uint8Array.of(0x10, 9, 1, 2, 3, 4, 5, 6),
  });
  await clock.advance(50);
  expect(ecu.messages).toHaveLength(1);
  expect(seen).toHaveLength(2);
});

describe('a fault', () => {
  const drop = (matches: (frame: CanFrame) => boolean): void => {
    wire.filter = (frame) => (matches(frame) ? 'drop' : 'pass');
  };

  it('no flow control: N_TIMEOUT_Bs after 1,000 ms from the first frame', async () => {
    const tester = end(testerBus, normal);
    const result = await clock.within(1100, send(tester, counting(20)));
    expect(result.result).toBe('N_TIMEOUT_Bs');
    expect(result.atMs - seenAt[0]!).toBeCloseTo(1000, 6);
  });

  it('a lost consecutive frame: N_WRONG_SN at the receiver', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    drop((frame) => frame.data[0] === 0x22);
    await clock.within(2000, send(tester, counting(40)));
    expect(ecu.errors).toEqual(['N_WRONG_SN']);
    wire.filter = undefined;
    await clock.within(2000, send(tester, counting(40)));
    expect(ecu.messages).toEqual([counting(40)]);
  });

  it('the last frame lost: N_TIMEOUT_Cr', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    drop((frame) => frame.data[0] === 0x22);
    await clock.within(2000, send(tester, counting(20)));
    await clock.advance(1100);
    expect(ecu.errors).toEqual(['N_TIMEOUT_Cr']);
  });

  it('a repeated frame is a wrong sequence number, not twice the data', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal));
    wire.filter = (frame) => (frame.data[0] === 0x21 ? 'duplicate' : 'pass');
    await clock.within(2000, send(tester, counting(40)));
    expect(ecu.errors).toEqual(['N_WRONG_SN']);
    expect(ecu.messages).toEqual([]);
  });

  it('a message above the limit: overflow, which the sender learns', async () => {
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal), { maxMessageLength: 100 });
    const result = await clock.within(100, send(tester, counting(101)));
    expect(result).toMatchObject({ result: 'N_BUFFER_OVFLW' });
    expect(ecu.errors).toEqual(['N_BUFFER_OVFLW']);
    expect(seen[1]).toBe('7E8#320000CCCCCCCCCC');
  });

  it('a receiver that is never ready ends the message when the total time is over', async () => {
    const { waitLimitMs } = transportConfig({
      ...{ fd: false, transport: { blockSize: 'auto', stMin: 0, sendStMin: 0, padding: 0xcc } },
      timing: { waitLimitMs: 3100 },
    });
    const tester = end(testerBus, normal, { waitLimitMs: waitLimitMs! });
    const never = { readiness: () => 'wait' as const };
    end(ecuBus, reverseAddress(normal), { wftMax: Number.POSITIVE_INFINITY }, never);
    const result = await clock.within(10_000, send(tester, counting(20)));
    expect(result).toMatchObject({
      result: 'N_WFT_OVRN',
      reason: expect.stringMatching(/timing\.waitLimitMs/),
    });
    expect(clock.nowMs() - seenAt[1]!).toBeCloseTo(3100, 6);
  });

  it('a receiver that is not ready holds the sender with WAIT', async () => {
    let ready: 'wait' | 'continue' = 'wait';
    const tester = end(testerBus, normal);
    const ecu = end(ecuBus, reverseAddress(normal), {}, { readiness: () => ready });
    const sent = send(tester, counting(20));
    await clock.advance(1000);
    ready = 'continue';
    expect((await clock.within(1000, sent)).result).toBe('N_OK');
    expect(seen.filter((frame) => frame.startsWith('7E8#31')).length).toBe(3);
    expect(ecu.messages).toEqual([counting(20)]);
  });

  it('a bus that goes down ends the message and the reception at once', async () => {
    const tester = end(testerBus, normal);
    end(ecuBus, reverseAddress(normal));
    const sent = send(tester, counting(4000));
    await clock.advance(20);
    testerBus.setState('down', 'unplugged');
    expect(await clock.within(1, sent)).toMatchObject({ result: 'BUS', reason: 'unplugged' });
  });

  it('closing ends what is under way and what waits', async () => {
    const tester = end(testerBus, normal);
    const sent = Promise.all([send(tester, counting(20)), send(tester, counting(3))]);
    await clock.advance(5);
    tester.channel.close();
    expect((await sent).map(({ result }) => result)).toEqual(['CLOSED', 'CLOSED']);
    expect((await send(tester, counting(3))).result).toBe('CLOSED');
    expect(clock.pending()).toEqual([]);
  });
});

it('keeps the wire full: a message of 4,095 bytes takes less than 1 % longer than its frames', async () => {
  const tester = end(testerBus, normal);
  end(ecuBus, reverseAddress(normal));
  const startMs = clock.nowMs();
  await clock.within(1000, send(tester, counting(4095)));
  expect(wire.busyMs / (clock.nowMs() - startMs)).toBeGreaterThan(0.99);
});

it('refuses CAN FD on a classic bus and lengths that nobody can send', () => {
  const classic = {
    ...testerBus,
    fd: false,
    name: 'old0',
    subscribe: testerBus.subscribe.bind(testerBus),
  };
  expect(() =>
    end(classic as unknown as SimulatedBus, normal, { fd: { txDl: 64, brs: true } }),
  ).toThrow(/old0 carries classic frames only/);
  const tester = end(testerBus, normal);
  expect(() => tester.channel.send(new Uint8Array(0))).toThrow(RangeError);
  expect(() => tester.channel.send({ length: 0xffff_ffff } as Uint8Array)).toThrow(RangeError);
});

it('a sniffer puts both directions together without a word on the bus', async () => {
  const tester = end(testerBus, normal);
  const ecu = end(ecuBus, reverseAddress(normal), { blockSize: 3 });
  const events: SniffedEvent[] = [];
  const routes = [
    { name: 'tester -> ECU', address: normal },
    { name: 'ECU -> tester', address: reverseAddress(normal) },
  ];
  const sniffer = new IsoTpSniffer(routes, (event) => events.push(event));
  const listening = wire.attach('sniffer');
  listening.monitor((frame) => sniffer.frame(frame));
  await clock.within(1000, send(tester, counting(50)));
  await clock.within(1000, send(ecu, counting(5)));
  expect(events).toMatchObject([
    { kind: 'message', route: 'tester -> ECU', message: counting(50), frames: 8 },
    { kind: 'message', route: 'ECU -> tester', message: counting(5), frames: 1 },
  ]);
  expect(listening.statistics().sent).toBe(0);
});
