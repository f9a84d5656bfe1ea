// The local bus: the contract, bit rates, loss and hand-over of the broker, readers that do not read.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { frameDurationMs } from '../../src/bus/bit-timing.ts';
import { type BusStateChange, exactFilter, type SendOutcome } from '../../src/bus/can-bus.ts';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { Control, controlRecord } from '../../src/bus/control-record.ts';
import { LocalBroker } from '../../src/bus/local-broker.ts';
import type { BrokerLimits } from '../../src/bus/local-broker-client.ts';
import { LocalBus, type LocalBusOptions } from '../../src/bus/local-bus.ts';
import { brokerPath, type Welcome } from '../../src/bus/local-handshake.ts';
import { type Clock, sleep, systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { busContract, send } from '../support/bus-contract.ts';

let names = 0;
const freshName = (): string => `test-${process.pid}-${names++}`;

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(name: string, options: Partial<LocalBusOptions> = {}): Promise<LocalBus> {
  const bus = await LocalBus.open({ name, clock: systemClock, logger: silentLogger, ...options });
  cleanups.push(() => bus.close());
  return bus;
}

async function listen(
  name: string,
  bitrate: number,
  limits: Partial<BrokerLimits> = {},
  clock: Clock = systemClock,
): Promise<LocalBroker> {
  const broker = await LocalBroker.listen(
    { path: brokerPath(name), bitrate, dataBitrate: 2_000_000, limits },
    clock,
  );
  cleanups.push(() => broker.retire());
  return broker;
}

/** Only what never comes ends this way, on whatever machine. */
const NEVER_MS = 120_000;

async function eventually(what: string, check: () => boolean): Promise<void> {
  const untilMs = systemClock.nowMs() + NEVER_MS;
  while (!check()) {
    if (systemClock.nowMs() > untilMs) throw new Error(`${what}: not within ${NEVER_MS} ms`);
    await sleep(systemClock, 'test', 2);
  }
}

for (const bitrate of [0, 1_000_000]) {
  busContract(`local, ${bitrate} bit/s`, async () => {
    const name = freshName();
    let broker = await listen(name, bitrate);
    const a = await open(name, { hostBroker: false });
    const b = await open(name, { hostBroker: false });
    return {
      a,
      b,
      until: (promise) => promise,
      takeDown: () => broker.retire(),
      bringUp: async () => {
        broker = await listen(name, bitrate);
      },
      close: async () => {
        await a.close();
        await b.close();
      },
    };
  });
}

describe('the first process', () => {
  it('runs the wire; of many that come at once exactly one does', async () => {
    const name = freshName();
    const buses = await Promise.all([open(name), open(name), open(name)]);
    expect(buses.filter((bus) => bus.hosting)).toHaveLength(1);
    expect(buses.map((bus) => [bus.bitrate, bus.dataBitrate])).toEqual(
      Array(3).fill([500_000, 2_000_000]),
    );
  });

  it('decides the bit rates; who names none takes them, who names others is refused', async () => {
    const name = freshName();
    await listen(name, 250_000);
    expect((await open(name)).bitrate).toBe(250_000);
    expect((await open(name, { bitrate: 250_000, dataBitrate: 2_000_000 })).hosting).toBe(false);
    await expect(open(name, { bitrate: 500_000 })).rejects.toMatchObject({
      code: 'CONFIG_MISMATCH',
      message: expect.stringMatching(/local:.*already runs with bitrate=250000/),
    });
    await expect(open(name, { dataBitrate: 5_000_000 })).rejects.toMatchObject({
      code: 'CONFIG_MISMATCH',
      message: expect.stringContaining('data-bitrate=2000000'),
    });
  });

  it('may be asked for elsewhere: without it the open fails with advice', async () => {
    await expect(open(freshName(), { hostBroker: false })).rejects.toMatchObject({
      code: 'BROKER',
      message: expect.stringContaining('start the process that does first'),
    });
  });

  it.each([0, 500_000])('knows at once whether it is alone, at %i bit/s', async (bitrate) => {
    const name = freshName();
    const first = await open(name, { bitrate });
    expect(await first.others()).toBe(0);
    const second = await open(name);
    expect(await second.others()).toBe(1);
    expect(await first.others()).toBe(1);
    await second.close();
    let left: number | undefined;
    for (let looks = 0; looks < 1000 && left !== 0; looks++) left = await first.others();
    expect(left).toBe(0);
    await first.close();
    expect(await first.others()).toBeUndefined();
  });

  it('has no bit rate on an unpaced wire', async () => {
    const bus = await open(freshName(), { bitrate: 0 });
    expect([bus.bitrate, bus.dataBitrate]).toEqual([undefined, undefined]);
  });
});

describe('pacing in real time', () => {
  it('gives each frame of a full queue exactly its bits', async () => {
    const name = freshName();
    const bus = await open(name, { bitrate: 500_000 });
    const frames = Array.from({ length: 200 }, (_, index) =>
      classicFrame(0x100 + index, Uint8Array.of(index, 0, 0xff, index)),
    );
    const startMs = systemClock.nowMs();
    const outcomes = await Promise.all(frames.map((frame) => send(bus, frame)));
    const ends = outcomes.map((outcome) => (outcome.kind === 'sent' ? outcome.atMs : Number.NaN));
    expect(ends[0]! - frameDurationMs(frames[0]!, 500_000, 1)).toBeGreaterThanOrEqual(startMs);
    for (let index = 1; index < frames.length; index++) {
      const tookMs = ends[index]! - ends[index - 1]!;
      expect(tookMs).toBeCloseTo(frameDurationMs(frames[index]!, 500_000, 1), 6);
    }
    // Nothing is told before it happened.
    expect(systemClock.nowMs()).toBeGreaterThanOrEqual(ends.at(-1)!);
  });
});

class Host {
  readonly child: ChildProcess;
  #lines: string[] = [];

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#lines.push(...text.trim().split('\n'));
    });
  }

  static async start(name: string, bitrate: number): Promise<Host> {
    const script = new URL('../support/local-host.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, name, String(bitrate)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    cleanups.push(() => child.kill('SIGKILL'));
    const host = new Host(child);
    await host.says('ready hosting');
    return host;
  }

  tell(command: string): void {
    this.child.stdin!.write(`${command}\n`);
  }

  says(line: string): Promise<void> {
    return eventually(`the host says "${line}"`, () => this.#lines.includes(line));
  }
}

/** Sends numbered frames as fast as they are confirmed, until stopped. */
function flood(bus: LocalBus): { outcomes: SendOutcome[]; stop(): void } {
  const outcomes: SendOutcome[] = [];
  let number = 0;
  let stopped = false;
  const next = (outcome?: SendOutcome): void => {
    if (outcome !== undefined) outcomes.push(outcome);
    if (stopped) return;
    const data = Uint8Array.of(number >>> 16, number >>> 8, number);
    number++;
    bus.send(classicFrame(0x200, data), next);
  };
  for (let index = 0; index < 32; index++) next();
  return { outcomes, stop: () => (stopped = true) };
}

function numbersSeen(bus: LocalBus): number[] {
  const numbers: number[] = [];
  bus.subscribe([exactFilter(0x200, false)], ({ frame: { data } }) => {
    numbers.push((data[0]! << 16) | (data[1]! << 8) | data[2]!);
  });
  return numbers;
}

/** True when each thread of the process is stopped. */
function standsStill(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
  });
}

const increasing = (numbers: readonly number[]): boolean =>
  numbers.every((number, index) => index === 0 || number > numbers[index - 1]!);

describe('the end of the process that runs the wire', () => {
  it('killed: what had no outcome fails, nothing comes twice, another one takes over', async () => {
    const name = freshName();
    const host = await Host.start(name, 0);
    const a = await open(name);
    const b = await open(name, { hostBroker: false });
    const states: BusStateChange[] = [];
    a.onState((change) => states.push(change));
    const seen = numbersSeen(b);
    await send(b, classicFrame(1, new Uint8Array(0)));
    const { outcomes, stop } = flood(a);
    await eventually('frames flow', () => outcomes.length > 100);
    host.child.kill('SIGKILL');
    await eventually('the bus is back', () => states.at(-1)?.state === 'active');
    expect(a.hosting).toBe(true);
    const before = seen.length;
    await eventually('frames flow again', () => seen.length > before + 100);
    stop();
    await send(a, classicFrame(1, new Uint8Array(0)));
    await send(b, classicFrame(1, new Uint8Array(0)));
    expect(states.map(({ state }) => state)).toEqual(['down', 'active']);
    expect(increasing(seen)).toBe(true);
    const failed = outcomes.filter((outcome) => outcome.kind === 'failed');
    expect(failed.length).toBeLessThanOrEqual(32);
    for (const outcome of failed) expect(outcome).toMatchObject({ code: 'BUS_DOWN' });
    // Outcomes are in order, one each: the last number seen is the last one confirmed.
    expect(outcomes.length).toBe(seen.at(-1)! + 1);
  });

  it('closed: it hands over, and not one frame is lost, failed or doubled', async () => {
    const name = freshName();
    const host = await Host.start(name, 0);
    const a = await open(name);
    const b = await open(name);
    const states: BusStateChange[] = [];
    for (const bus of [a, b]) bus.onState((change) => states.push(change));
    const seen = numbersSeen(b);
    await send(b, classicFrame(1, new Uint8Array(0)));
    const { outcomes, stop } = flood(a);
    await eventually('frames flow', () => outcomes.length > 100);
    host.tell('close');
    await host.says('closed');
    const before = seen.length;
    await eventually('frames flow again', () => seen.length > before + 100);
    stop();
    await eventually('all have an outcome', () => outcomes.length === seen.length);
    expect(outcomes.every((outcome) => outcome.kind === 'sent')).toBe(true);
    expect(seen).toEqual(seen.map((_, index) => index));
    expect([a.hosting, b.hosting].filter(Boolean)).toHaveLength(1);
    // A slow machine may need longer than a quiet hand-over takes; then both are told.
    expect(states.filter(({ state }) => state === 'active').length).toBe(states.length / 2);
  });

  it('busy: the wire does not mind', async () => {
    const name = freshName();
    const host = await Host.start(name, 500_000);
    const a = await open(name);
    const b = await open(name);
    b.subscribe([exactFilter(0x7e0, false)], () => b.send(classicFrame(0x7e8, new Uint8Array(1))));
    let answers = 0;
    a.subscribe([exactFilter(0x7e8, false)], () => {
      answers++;
      a.send(classicFrame(0x7e0, new Uint8Array(1)));
    });
    await send(b, classicFrame(1, new Uint8Array(0)));
    const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-busy-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    const enough = path.join(folder, 'enough');
    host.tell(`busy ${enough}`);
    await host.says('busy');
    a.send(classicFrame(0x7e0, new Uint8Array(1)));
    // The host works until these have come.
    await eventually('answers come', () => answers > 50);
    await writeFile(enough, '');
    await host.says('idle');
  });

  it('is survived by one who was so slow to join that its time was over', async () => {
    const name = freshName();
    const broker = await listen(name, 0);
    let isSlow = true;
    const slow: Clock = {
      ...systemClock,
      // A busy machine: the answer of the broker and the end of the time for it come in one turn.
      after: (timer, delayMs, fire) => {
        if (timer !== 'reconnect' || !isSlow) return systemClock.after(timer, delayMs, fire);
        isSlow = false;
        fire();
        return { cancel: () => {} };
      },
    };
    const bus = await open(name, { clock: slow, bitrate: 0 });
    await broker.retire();
    await eventually('takes over', () => bus.hosting);
    const other = await open(name);
    expect(await send(bus, classicFrame(0x100, Uint8Array.of(1)))).toMatchObject({ kind: 'sent' });
    expect(other.hosting).toBe(false);
  });

  it('stopped: who wants to join is told', async () => {
    const name = freshName();
    const host = await Host.start(name, 0);
    host.child.kill('SIGSTOP');
    await eventually('the host stands still', () => standsStill(host.child.pid!));
    await expect(open(name)).rejects.toMatchObject({
      code: 'BROKER',
      message: expect.stringContaining('does not answer'),
    });
  });

  it('waits for sends while the bus is coming back, and fails them when it does not', async () => {
    const name = freshName();
    const broker = await listen(name, 0);
    const bus = await open(name, { hostBroker: false });
    await broker.retire();
    const waiting = send(bus, classicFrame(1, new Uint8Array(0)));
    await listen(name, 0);
    expect((await waiting).kind).toBe('sent');
  });
});

/** A client that speaks the protocol by hand. */
class RawClient {
  readonly socket: Socket;
  readonly #welcome: Promise<Welcome>;
  bytes = 0;
  closed = false;

  constructor(name: string, firstLine: string) {
    this.socket = connect({ path: brokerPath(name) });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.write(firstLine);
    this.#welcome = new Promise((resolve) => {
      this.socket.on('data', (chunk) => {
        if (this.bytes === 0) resolve(JSON.parse(chunk.subarray(0, chunk.indexOf(10)).toString()));
        this.bytes += chunk.length;
      });
    });
    cleanups.push(() => this.socket.destroy());
  }

  static async join(name: string): Promise<RawClient> {
    const client = new RawClient(name, `{"canOta":1,"client":"raw","pid":1}\n`);
    await client.#welcome;
    return client;
  }

  get welcome(): Promise<Welcome> {
    return this.#welcome;
  }

  hearAll(): void {
    this.socket.write(controlRecord(Control.filterBegin));
    this.socket.write(controlRecord(Control.filterAdd, 0, 0));
    this.socket.write(controlRecord(Control.filterCommit));
  }
}

/** A reader that heard a frame and then reads no more. */
async function stalledReader(name: string, bus: LocalBus): Promise<RawClient> {
  const slow = await RawClient.join(name);
  const before = slow.bytes;
  slow.hearAll();
  await eventually('it hears', () => {
    bus.send(classicFrame(1, new Uint8Array(0)));
    return slow.bytes > before;
  });
  slow.socket.pause();
  return slow;
}

describe('readers that do not read', () => {
  const limits = { holdBytes: 64 * 1024, holdMs: 150, cutOffBytes: 512 * 1024 };

  it('hold an unpaced wire back, but not for ever', async () => {
    const name = freshName();
    const holds: (() => void)[] = [];
    const clock: Clock = {
      ...systemClock,
      after: (timer, delayMs, fire) => {
        if (timer !== 'hold') return systemClock.after(timer, delayMs, fire);
        holds.push(fire);
        return { cancel: () => holds.splice(holds.indexOf(fire), 1) };
      },
    };
    await listen(name, 0, limits, clock);
    const bus = await open(name, { hostBroker: false });
    await stalledReader(name, bus);
    const { outcomes, stop } = flood(bus);
    // The wire stops when the reader's buffers are full, goes on without him after holdMs.
    await eventually('the wire waits', () => holds.length > 0);
    for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve));
    const held = outcomes.length;
    expect(held).toBeGreaterThan(1000);
    holds[0]!();
    await eventually('the wire goes on', () => outcomes.length > held + 1000);
    stop();
    expect(outcomes.every((outcome) => outcome.kind === 'sent')).toBe(true);
  });

  it('are cut off when too much waits for them, and told so when they come back', async () => {
    const name = freshName();
    await listen(name, 0, limits);
    const bus = await open(name, { hostBroker: false });
    const slow = await stalledReader(name, bus);
    const { outcomes, stop } = flood(bus);
    await eventually('much more than fits was sent', () => outcomes.length > 60_000);
    stop();
    slow.socket.destroy();
    const back = new RawClient(name, `{"canOta":1,"client":"raw","pid":1}\n`);
    const welcome = await back.welcome;
    expect(welcome).toMatchObject({
      bitrate: 0,
      cutOff: { reason: expect.stringContaining('took nothing') },
    });
    expect((welcome as { cutOff: { frames: number } }).cutOff.frames).toBeGreaterThan(1000);
  });

  it('lose nothing when they were only slow', async () => {
    const name = freshName();
    await listen(name, 0, { ...limits, holdMs: NEVER_MS });
    const a = await open(name, { hostBroker: false });
    const b = await open(name, { hostBroker: false });
    const seen = numbersSeen(b);
    const { outcomes, stop } = flood(a);
    for (let pauses = 0; pauses < 3; pauses++) {
      const before = seen.length;
      await eventually('frames flow', () => seen.length > before + 100);
      const untilMs = systemClock.nowMs() + 60;
      while (systemClock.nowMs() < untilMs); // both ends are in this thread: all stands still
    }
    stop();
    await send(a, classicFrame(1, new Uint8Array(0)));
    await eventually('all came', () => seen.length === outcomes.length);
    expect(seen).toEqual(seen.map((_, index) => index));
  });
});

describe('clients that speak nonsense', () => {
  it('are refused or cut off, and disturb nobody', async () => {
    const name = freshName();
    await listen(name, 0);
    const bus = await open(name, { hostBroker: false });
    const greeter = new RawClient(name, 'GET / HTTP/1.1\r\n\r\n');
    expect(await greeter.welcome).toMatchObject({ refused: 'BROKER' });
    const old = new RawClient(name, '{"canOta":99,"client":"x","pid":1}\n');
    expect(await old.welcome).toMatchObject({
      refused: 'BROKER',
      reason: expect.stringContaining('version'),
    });
    const long = new RawClient(name, 'x'.repeat(10_000));
    await eventually('the long one is cut off', () => long.closed);
    const wild = await RawClient.join(name);
    wild.socket.write(new Uint8Array(144).fill(0xdd));
    await eventually('the wild one is cut off', () => wild.closed);
    expect((await send(bus, classicFrame(1, new Uint8Array(0)))).kind).toBe('sent');
  });
});
