// Errors on the simulated wire: error frames and repetitions in wire time, fault confinement, babbling, power cuts.

import { beforeEach, describe, expect, it } from 'vitest';
import { frameDurationMs } from '../../src/bus/bit-timing.ts';
import type { BusStateChange, SendOutcome } from '../../src/bus/can-bus.ts';
import { classicFrame, frameText } from '../../src/bus/can-frame.ts';
import { sleep } from '../../src/core/clock.ts';
import { startBabbling } from '../../src/sim/babbling-node.ts';
import { FrameDigest } from '../../src/sim/frame-digest.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { type SimulatedBus, SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { collector, send } from '../support/bus-contract.ts';

const BITRATE = 500_000;
const BIT_MS = 1000 / BITRATE;
const FRAME = classicFrame(0x123, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
const FRAME_MS = frameDurationMs(FRAME, BITRATE, BITRATE);
/** A bit of the end of frame and the intermission are missing; flag, delimiter and intermission follow. */
const SPOILED_MS = FRAME_MS + (6 + 8 + 3 - 1 - 3) * BIT_MS;
/** Errors of the transmitter until it is error passive, and until it is bus-off. */
const UNTIL_PASSIVE = 16;
const UNTIL_OFF = 32;

let clock: VirtualClock;
let wire: SimulatedWire;
let a: SimulatedBus;
let b: SimulatedBus;
beforeEach(() => {
  clock = new VirtualClock();
  wire = new SimulatedWire({ clock, bitrate: BITRATE });
  a = wire.attach('a');
  b = wire.attach('b');
});

const at = (outcome: SendOutcome): number => {
  if (outcome.kind !== 'sent') throw new Error(`${outcome.code}: ${outcome.reason}`);
  return outcome.atMs;
};
/** Corrupts the first `times` frames that reach their end (only those of `from`, where given). */
const spoil = (times: number, from?: string): void => {
  let left = times;
  wire.filter = (_frame, sender) =>
    (from === undefined || sender === from) && left-- > 0 ? 'corrupt' : 'pass';
};
const statesOf = (bus: SimulatedBus): BusStateChange[] => {
  const states: BusStateChange[] = [];
  bus.onState((change) => states.push(change));
  return states;
};
const wait = (ms: number): Promise<unknown> => clock.run(sleep(clock, 'test', ms), ms);

describe('a spoiled frame', () => {
  it('reaches nobody, and is sent again by the controller after the error frame', async () => {
    const seen = collector();
    b.subscribe([], seen.onFrame);
    spoil(3);
    const outcome = await clock.run(send(a, FRAME), 10);
    expect(at(outcome)).toBeCloseTo(3 * SPOILED_MS + FRAME_MS, 9);
    expect(seen.texts).toEqual([`rx ${frameText(FRAME)}`]);
    expect(wire.frames).toBe(4);
    expect(wire.errorFrames).toBe(3);
    expect(wire.busyMs).toBeCloseTo(3 * SPOILED_MS + FRAME_MS, 9);
    expect(a.statistics().sent).toBe(1);
  });

  it('keeps the order of its node, and arbitrates anew with the others', async () => {
    const seen = collector();
    wire.attach('c').subscribe([], seen.onFrame);
    spoil(1);
    a.send(classicFrame(0x200, Uint8Array.of(1)));
    a.send(classicFrame(0x100, Uint8Array.of(2)));
    await wait(0.05); // it is on the wire
    b.send(classicFrame(0x180, Uint8Array.of(3)));
    b.send(classicFrame(0x300, Uint8Array.of(4)));
    await wait(5);
    expect(seen.texts).toEqual(['rx 180#03', 'rx 200#01', 'rx 100#02', 'rx 300#04']);
  });

  it('counts 8 for its sender and 1 for every other node, and each good frame takes 1 back', async () => {
    const c = wire.attach('c');
    spoil(2);
    await clock.run(send(a, FRAME), 10);
    expect(a.errorCounters).toEqual({ transmit: 15, receive: 0 });
    expect(b.errorCounters).toEqual({ transmit: 0, receive: 1 });
    expect(c.errorCounters).toEqual({ transmit: 0, receive: 1 });
    await clock.run(send(b, FRAME), 10);
    expect(a.errorCounters).toEqual({ transmit: 15, receive: 0 });
    expect(b.errorCounters).toEqual({ transmit: 0, receive: 1 });
    expect(c.errorCounters).toEqual({ transmit: 0, receive: 0 });
    for (let index = 0; index < 20; index++) await clock.run(send(a, FRAME), 10);
    expect(a.errorCounters).toEqual({ transmit: 0, receive: 0 });
    expect(b.errorCounters).toEqual({ transmit: 0, receive: 0 });
  });

  it('takes no time where frames take none, and comes through all the same', async () => {
    wire = new SimulatedWire({ clock });
    a = wire.attach('a');
    const seen = collector();
    wire.attach('b').subscribe([], seen.onFrame);
    spoil(5);
    expect(at(await clock.run(send(a, FRAME), 10))).toBe(0);
    expect(seen.texts).toHaveLength(1);
  });
});

describe('an error passive node', () => {
  it('says so, waits 8 bits after each own frame, and recovers', async () => {
    const states = statesOf(a);
    spoil(UNTIL_PASSIVE);
    const spoiled = await clock.run(send(a, FRAME), 100);
    // 16 errors make it error passive; it suspends transmission before the 17th try.
    const firstMs = UNTIL_PASSIVE * SPOILED_MS + 8 * BIT_MS + FRAME_MS;
    expect(at(spoiled)).toBeCloseTo(firstMs, 9);
    expect(states.map(({ state }) => state)).toEqual(['warning', 'passive', 'warning']);
    expect(states.map(({ reason }) => reason)).toEqual([
      'error counter above 96; error counters tx 96, rx 0',
      'error counter above 127; error counters tx 128, rx 0',
      'error counter above 96; error counters tx 127, rx 0',
    ]);
    for (let index = 0; index < 40; index++) await clock.run(send(a, FRAME), 10);
    expect(a.state).toBe('active');
    expect(states.at(-1)?.reason).toMatch(/^error active again/);
  });

  it('lets a lower priority go first while it suspends', async () => {
    const seen = collector();
    wire.attach('c').subscribe([], seen.onFrame);
    spoil(UNTIL_PASSIVE + 3, 'a');
    a.onState(({ state }) => {
      if (state === 'passive') b.send(classicFrame(0x7ff, Uint8Array.of(2)));
    });
    a.send(classicFrame(0x001, Uint8Array.of(1)));
    await wait(20);
    expect(seen.texts).toEqual(['rx 7FF#02', 'rx 001#01']);
  });
});

describe('bus-off', () => {
  const outcomes: SendOutcome[] = [];
  const fill = (): void => {
    outcomes.length = 0;
    for (let index = 0; index < 3; index++) a.send(FRAME, (outcome) => outcomes.push(outcome));
  };

  it('comes after 32 errors in a row: what waits fails, the others go on', async () => {
    const states = statesOf(a);
    spoil(1000, 'a');
    fill();
    await wait(50);
    expect(wire.errorFrames).toBe(UNTIL_OFF);
    expect(states.map(({ state }) => state)).toEqual(['warning', 'passive', 'bus-off']);
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(['failed', 'failed', 'failed']);
    expect(outcomes[0]).toMatchObject({ code: 'BUS_DOWN', reason: /^bus-off/ });
    expect(await clock.run(send(a, FRAME), 10)).toMatchObject({ code: 'BUS_DOWN' });
    wire.filter = undefined;
    const seen = collector();
    a.subscribe([], seen.onFrame);
    expect((await clock.run(send(b, FRAME), 10)).kind).toBe('sent');
    expect(seen.texts).toEqual([]);
    expect(outcomes).toHaveLength(3);
    await wait(10_000);
    expect(a.state).toBe('bus-off');
  });

  it('ends, when asked, after 128 times 11 recessive bits of an idle wire', async () => {
    spoil(1000, 'a');
    fill();
    await wait(50);
    wire.filter = undefined;
    const states = statesOf(a);
    const askedMs = clock.nowMs();
    a.restart();
    await wait(128 * 11 * BIT_MS - 0.001);
    expect(a.state).toBe('bus-off');
    await wait(0.002);
    expect(states).toMatchObject([{ state: 'active', reason: 'controller restarted' }]);
    expect(states[0]!.atMs - askedMs).toBeCloseTo(128 * 11 * BIT_MS, 6);
    expect(a.errorCounters).toEqual({ transmit: 0, receive: 0 });
    expect((await clock.run(send(a, FRAME), 10)).kind).toBe('sent');
  });

  it('ends later on a busy wire, which offers 11 recessive bits once a frame', async () => {
    spoil(1000, 'a');
    fill();
    await wait(50);
    wire.filter = undefined;
    let sent = 0;
    const next = (): void =>
      b.send(FRAME, () => {
        sent++;
        next();
      });
    next();
    const states = statesOf(a);
    a.restart();
    await wait(200 * FRAME_MS);
    expect(states).toHaveLength(1);
    expect(sent).toBeGreaterThan(150);
    const recoveredAfter = (states[0]!.atMs - 50) / FRAME_MS;
    expect(recoveredAfter).toBeGreaterThan(124);
    expect(recoveredAfter).toBeLessThan(130);
  });

  it('ends by itself with restart-ms, as a CAN interface that is set so', async () => {
    const c = wire.attach('c', { restartMs: 100 });
    const states = statesOf(c);
    spoil(UNTIL_OFF, 'c');
    expect(await clock.run(send(c, FRAME), 50)).toMatchObject({ kind: 'failed' });
    await wait(200);
    const [, , off, active] = states;
    expect(off?.state).toBe('bus-off');
    expect(active?.state).toBe('active');
    expect(active!.atMs - off!.atMs).toBeCloseTo(100 + 128 * 11 * BIT_MS, 6);
    expect((await clock.run(send(c, FRAME), 10)).kind).toBe('sent');
  });

  it('that came while a frame was on the wire ends its repetitions, too', async () => {
    spoil(1000, 'a');
    fill();
    await wait(FRAME_MS / 2);
    a.setState('bus-off');
    a.setState('active');
    await wait(50);
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(['failed', 'failed', 'failed']);
    expect(wire.frames).toBe(1);
    wire.filter = undefined;
    expect((await clock.run(send(a, FRAME), 10)).kind).toBe('sent');
  });

  it('is not left by a restart that was asked for in another state', async () => {
    a.setState('down', 'cable cut');
    a.restart();
    await wait(100);
    expect(a.state).toBe('down');
  });
});

describe('a node without power', () => {
  it('sends nothing more and is told nothing; its frame on the wire is broken', async () => {
    const seen = collector();
    b.subscribe([], seen.onFrame);
    const heard = collector();
    a.subscribe([], heard.onFrame);
    const states = statesOf(a);
    const told: SendOutcome[] = [];
    for (let index = 0; index < 3; index++) a.send(FRAME, (outcome) => told.push(outcome));
    await wait(1.5 * FRAME_MS);
    a.vanish();
    a.vanish();
    const sentMs = at(await clock.run(send(b, FRAME), 10));
    a.setState('active');
    a.send(FRAME, (outcome) => told.push(outcome));
    await a.close();
    await wait(10);
    expect(seen.texts).toEqual([`rx ${frameText(FRAME)}`]);
    expect(told.map(({ kind }) => kind)).toEqual(['sent']);
    expect(heard.texts).toEqual([]);
    expect(states).toEqual([]);
    // The broken frame and its error frame come first.
    expect(sentMs).toBeCloseTo(FRAME_MS + SPOILED_MS + FRAME_MS, 9);
    expect(wire.errorFrames).toBe(1);
    expect(b.errorCounters).toEqual({ transmit: 0, receive: 1 });
  });

  it('does not come back from bus-off', async () => {
    const c = wire.attach('c', { restartMs: 10 });
    const states = statesOf(c);
    spoil(UNTIL_OFF, 'c');
    c.send(FRAME);
    await wait(15);
    expect(c.state).toBe('bus-off');
    expect(clock.pending()).toEqual(['restart-ms']);
    c.vanish();
    expect(clock.pending()).toEqual([]);
    await wait(100);
    expect(states.map(({ state }) => state)).toEqual(['warning', 'passive', 'bus-off']);
  });
});

describe('a babbling node', () => {
  it('lets nobody else send for as long as it lasts', async () => {
    const seen = collector();
    a.subscribe([{ id: 0x123, mask: 0x7ff, extended: false }], seen.onFrame);
    const babbling = startBabbling({ wire, clock, forMs: 50 });
    await wait(1);
    const outcome = send(b, classicFrame(0x123, Uint8Array.of(1)));
    await wait(48);
    expect(seen.texts).toEqual([]);
    expect(wire.busyMs).toBeGreaterThan(48);
    expect(at(await clock.run(outcome, 10))).toBeGreaterThan(50);
    expect(seen.texts).toEqual(['rx 123#01']);
    expect(babbling.frames).toBeGreaterThan(150);
    const { frames } = babbling;
    await wait(50);
    expect(babbling.frames).toBe(frames);
  });

  it('leaves room with gaps, and stops when told', async () => {
    const babbling = startBabbling({ wire, clock, forMs: 1e6, gapMs: 2 });
    await wait(1);
    expect(at(await clock.run(send(b, FRAME), 2))).toBeLessThan(2);
    babbling.stop();
    const { frames } = wire;
    await wait(100);
    expect(wire.frames).toBe(frames);
  });

  it('is not possible where frames take no time', () => {
    const unpaced = new SimulatedWire({ clock });
    expect(() => startBabbling({ wire: unpaced, clock, forMs: 1 })).toThrow(/no bit rate/);
  });
});

describe('the digest and the trace', () => {
  /** Two ECUs and a tester that send at random, with faults from the same seed. */
  async function talk(seed: number): Promise<{ digest: string; log: string[] }> {
    const ownClock = new VirtualClock();
    const ownWire = new SimulatedWire({ clock: ownClock, bitrate: BITRATE });
    const random = seededRandom(seed);
    const log: string[] = [];
    ownWire.trace = ({ frame, from, atMs, fate }) =>
      log.push(`${atMs} ${from} ${frameText(frame)} ${JSON.stringify(fate)}`);
    ownWire.filter = () => {
      const dice = random.fraction();
      return dice < 0.1 ? 'corrupt' : dice < 0.12 ? 'drop' : dice < 0.14 ? 'duplicate' : 'pass';
    };
    for (const name of ['x', 'y', 'z']) {
      const own = random.fork(name);
      const bus = ownWire.attach(name);
      void (async () => {
        for (;;) {
          await sleep(ownClock, 'pause', own.fraction() * 2);
          await send(bus, classicFrame(Math.floor(own.fraction() * 0x700), own.bytes(8)));
        }
      })();
    }
    await ownClock.run(sleep(ownClock, 'end', 500), 500, { strict: true });
    return { digest: ownWire.digest(), log };
  }

  it('are the same for the same seed, frame by frame, and different for another one', async () => {
    const [one, again, other] = [await talk(1), await talk(1), await talk(2)];
    expect(one.log.length).toBeGreaterThan(500);
    expect(again.log).toEqual(one.log);
    expect(again.digest).toBe(one.digest);
    expect(other.digest).not.toBe(one.digest);
    for (const fate of ['"pass"', '"corrupt"', '"drop"', '"duplicate"']) {
      expect(one.log.some((line) => line.endsWith(fate))).toBe(true);
    }
  });

  it('the digest takes in the whole of an instant', () => {
    // 1 and 2 differ only in the upper half of the number, the last two only in the lowest bit.
    const digests = [1, 2, 1 + Number.EPSILON].map((atMs) => {
      const digest = new FrameDigest();
      digest.add(FRAME, atMs, 0);
      return digest.text();
    });
    expect(new Set(digests).size).toBe(3);
  });

  it('the digest depends on every bit, the order, the time and the fate of a frame', async () => {
    const digestOf = async (
      ...steps: (Parameters<typeof classicFrame> | 'pause' | 'drop')[]
    ): Promise<string> => {
      const own = new SimulatedWire({ clock, bitrate: BITRATE });
      const bus = own.attach('n');
      own.filter = () => (steps.includes('drop') ? 'drop' : 'pass');
      for (const step of steps) {
        if (step === 'pause') await wait(1);
        else if (step !== 'drop') await clock.run(send(bus, classicFrame(...step)), 10);
      }
      return own.digest();
    };
    // All start from the same instant, each with its own clock.
    const fresh = async (...steps: Parameters<typeof digestOf>): Promise<string> => {
      clock = new VirtualClock();
      return digestOf(...steps);
    };
    const all = [
      await fresh(),
      await fresh([1, Uint8Array.of(1)]),
      await fresh([1, Uint8Array.of(2)]),
      await fresh([2, Uint8Array.of(1)]),
      await fresh([1, Uint8Array.of(1), true]),
      await fresh([1, Uint8Array.of(1, 0)]),
      await fresh([1, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0x80)]),
      await fresh([1, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)]),
      await fresh('pause', [1, Uint8Array.of(1)]),
      await fresh('drop', [1, Uint8Array.of(1)]),
      await fresh([1, Uint8Array.of(1)], [2, Uint8Array.of(1)]),
      await fresh([2, Uint8Array.of(1)], [1, Uint8Array.of(1)]),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(all.every((digest) => /^[0-9a-f]{16}$/.test(digest))).toBe(true);
    expect(await fresh([1, Uint8Array.of(1)])).toBe(all[1]);
  });
});

describe('receivers', () => {
  it('have bytes of their own: what one does with them reaches nobody else', async () => {
    const got: Uint8Array[] = [];
    for (const name of ['c', 'd']) {
      wire.attach(name).subscribe([], ({ frame }) => {
        got.push(Uint8Array.from(frame.data));
        frame.data.fill(0);
      });
    }
    const fates = ['pass', 'duplicate', { missedBy: ['b'] }, { replaceBy: FRAME }] as const;
    for (const fate of fates) {
      wire.filter = () => fate;
      const data = Uint8Array.of(7, 8);
      a.send(classicFrame(1, data));
      data.fill(9);
      await wait(5);
    }
    const sent = Array.from({ length: 8 }, () => Uint8Array.of(7, 8));
    expect(got).toEqual([...sent, FRAME.data, FRAME.data]);
    expect(FRAME.data[0]).toBe(1);
  });

  it('that begin or cease to listen to an identifier that was on the wire before are found', async () => {
    const seen = collector();
    const other = collector();
    await clock.run(send(a, FRAME), 10);
    const subscription = b.subscribe([{ id: 0x123, mask: 0x7ff, extended: false }], seen.onFrame);
    await clock.run(send(a, FRAME), 10);
    subscription.close();
    await clock.run(send(a, FRAME), 10);
    wire.attach('late').monitor(other.onFrame);
    await clock.run(send(a, FRAME), 10);
    expect(seen.texts).toHaveLength(1);
    expect(other.texts).toHaveLength(1);
  });
});
