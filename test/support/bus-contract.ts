// What every bus has to do, whatever carries its frames: run for the simulated bus, the local bus and vcan.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type BusFrame,
  type BusStateChange,
  type CanBus,
  exactFilter,
  type SendOutcome,
} from '../../src/bus/can-bus.ts';
import { type CanFrame, classicFrame, fdFrame, frameText } from '../../src/bus/can-frame.ts';

/** Two open ends of one bus. */
export interface BusWorld {
  readonly a: CanBus;
  readonly b: CanBus;
  /** Lets time pass until the promise settles. */
  until<T>(promise: Promise<T>): Promise<T>;
  /** Breaks the bus under both ends; `bringUp` repairs it. */
  takeDown(): Promise<void>;
  bringUp(): Promise<void>;
  close(): Promise<void>;
}

export function send(bus: CanBus, frame: CanFrame): Promise<SendOutcome> {
  return new Promise((resolve) => bus.send(frame, resolve));
}

/** An identifier that no test listens to. */
const NOBODY = 0x7ff;

/** What a subscriber or monitor has seen, as text. */
export function collector(): {
  texts: string[];
  onFrame: (seen: BusFrame) => void;
  reached(count: number): Promise<void>;
} {
  const texts: string[] = [];
  let wanted = Number.POSITIVE_INFINITY;
  let resolveReached: () => void = () => {};
  return {
    texts,
    onFrame: ({ frame, direction }) => {
      if (frame.id === NOBODY && frame.data[0] === 0xff) return; // only there to let filters settle
      texts.push(`${direction} ${frameText(frame)}`);
      if (texts.length >= wanted) resolveReached();
    },
    reached: (count) =>
      new Promise((resolve) => {
        wanted = count;
        resolveReached = resolve;
        if (texts.length >= count) resolve();
      }),
  };
}

/** `make` opens both ends with CAN FD asked for. */
export function busContract(name: string, make: () => Promise<BusWorld>): void {
  describe(`the bus contract: ${name}`, () => {
    let world: BusWorld;
    let a: CanBus;
    let b: CanBus;

    beforeEach(async () => {
      world = await make();
      ({ a, b } = world);
    });
    afterEach(() => world.close());

    /** What was asked for before holds afterwards: filters travel the same way as frames. */
    const settled = async (): Promise<void> => {
      for (const bus of [a, b]) {
        const outcome = await world.until(send(bus, classicFrame(NOBODY, Uint8Array.of(0xff))));
        expect(outcome.kind).toBe('sent');
      }
    };

    it('keeps the order and the content of a burst, and confirms each frame once', async () => {
      const frames = Array.from({ length: 150 }, (_, index) =>
        classicFrame(0x100 + (index % 3), Uint8Array.of(index, index ^ 0xff)),
      );
      const seen = collector();
      b.subscribe([{ id: 0x100, mask: 0x7f0, extended: false }], seen.onFrame);
      await settled();
      const outcomes: SendOutcome[] = [];
      const confirmed = new Promise<void>((resolve) => {
        for (const frame of frames) {
          a.send(frame, (outcome) => {
            outcomes.push(outcome);
            if (outcomes.length === frames.length) resolve();
          });
        }
      });
      await world.until(Promise.all([confirmed, seen.reached(frames.length)]));
      await settled();
      expect(seen.texts).toEqual(frames.map((frame) => `rx ${frameText(frame)}`));
      expect(outcomes).toHaveLength(frames.length);
      let lastMs = Number.NEGATIVE_INFINITY;
      for (const outcome of outcomes) {
        expect(outcome.kind).toBe('sent');
        if (outcome.kind !== 'sent') continue;
        expect(outcome.atMs).toBeGreaterThanOrEqual(lastMs);
        lastMs = outcome.atMs;
      }
    });

    it('hands own frames to no subscription, those of others to every one that wants them', async () => {
      const own = collector();
      const everything = collector();
      const one = collector();
      a.subscribe([], own.onFrame);
      b.subscribe([], everything.onFrame);
      b.subscribe([exactFilter(0x7e0, false)], one.onFrame);
      await settled();
      await world.until(send(a, classicFrame(0x7e0, Uint8Array.of(1))));
      await world.until(send(a, classicFrame(0x7e1, Uint8Array.of(2))));
      await world.until(Promise.all([everything.reached(2), one.reached(1)]));
      expect(own.texts).toEqual([]);
      expect(everything.texts).toEqual(['rx 7E0#01', 'rx 7E1#02']);
      expect(one.texts).toEqual(['rx 7E0#01']);
    });

    it('filters by width, mask and kind of frame', async () => {
      const eleven = collector();
      const twentyNine = collector();
      b.subscribe([{ id: 0x7e8, mask: 0x7f8, extended: false }], eleven.onFrame);
      b.subscribe([exactFilter(0x18daf110, true)], twentyNine.onFrame);
      await settled();
      for (const frame of [
        classicFrame(0x7e8, Uint8Array.of(1)),
        classicFrame(0x7ef, Uint8Array.of(2)),
        classicFrame(0x7e7, Uint8Array.of(3)),
        classicFrame(0x7e8, Uint8Array.of(4), true),
        classicFrame(0x18daf110, Uint8Array.of(5), true),
        classicFrame(0x110, Uint8Array.of(6)),
        { ...classicFrame(0x7e8, new Uint8Array(0)), remote: true },
        classicFrame(0x7e9, Uint8Array.of(7)),
      ]) {
        await world.until(send(a, frame));
      }
      await world.until(Promise.all([eleven.reached(3), twentyNine.reached(1)]));
      expect(eleven.texts).toEqual(['rx 7E8#01', 'rx 7EF#02', 'rx 7E9#07']);
      expect(twentyNine.texts).toEqual(['rx 18DAF110#05']);
    });

    it('shows a monitor every frame with its direction, also beside a narrow subscription', async () => {
      const monitor = collector();
      const narrow = collector();
      a.subscribe([exactFilter(0x7e8, false)], narrow.onFrame);
      await settled();
      const subscription = a.monitor(monitor.onFrame);
      await settled();
      await world.until(send(a, classicFrame(0x7e0, Uint8Array.of(1))));
      await world.until(send(b, classicFrame(0x7e8, Uint8Array.of(2))));
      await world.until(send(b, classicFrame(0x123, Uint8Array.of(3))));
      await world.until(send(b, { ...classicFrame(0x321, new Uint8Array(0)), remote: true }));
      await world.until(monitor.reached(4));
      expect(monitor.texts).toEqual(['tx 7E0#01', 'rx 7E8#02', 'rx 123#03', 'rx 321#R']);
      expect(narrow.texts).toEqual(['rx 7E8#02']);
      subscription.close();
      await settled();
      await world.until(send(b, classicFrame(0x123, Uint8Array.of(4))));
      await settled();
      expect(monitor.texts).toHaveLength(4);
    });

    it('carries CAN FD with 64 bytes', async () => {
      const frame = fdFrame(
        0x18da10f1,
        Uint8Array.from({ length: 64 }, (_, i) => i * 3),
        true,
      );
      const seen = collector();
      b.subscribe([exactFilter(0x18da10f1, true)], seen.onFrame);
      await settled();
      expect(a.fd).toBe(true);
      expect((await world.until(send(a, frame))).kind).toBe('sent');
      await world.until(seen.reached(1));
      expect(seen.texts).toEqual([`rx ${frameText(frame)}`]);
    });

    it('refuses a malformed frame and carries on', async () => {
      const seen = collector();
      b.subscribe([{ id: 0x100, mask: 0x700, extended: false }], seen.onFrame);
      await settled();
      const outcomes = await world.until(
        Promise.all([
          send(a, classicFrame(0x101, Uint8Array.of(1))),
          send(a, classicFrame(0x800, Uint8Array.of(1))),
          send(a, classicFrame(0x102, new Uint8Array(9))),
          send(a, fdFrame(0x103, new Uint8Array(9))),
          send(a, { ...fdFrame(0x104, new Uint8Array(0)), remote: true }),
          send(a, { ...classicFrame(0x105, new Uint8Array(0)), id: Number.NaN }),
          send(a, classicFrame(0x106, Uint8Array.of(6))),
        ]),
      );
      expect(outcomes.map((o) => (o.kind === 'sent' ? 'sent' : o.code))).toEqual([
        'sent',
        'REFUSED',
        'REFUSED',
        'REFUSED',
        'REFUSED',
        'REFUSED',
        'sent',
      ]);
      await world.until(seen.reached(2));
      expect(seen.texts).toEqual(['rx 101#01', 'rx 106#06']);
    });

    it('sends what was handed over, even if the array is used again', async () => {
      const seen = collector();
      b.subscribe([exactFilter(0x200, false)], seen.onFrame);
      await settled();
      const data = Uint8Array.of(1, 2, 3);
      const outcome = send(a, classicFrame(0x200, data));
      data.fill(9);
      await world.until(Promise.all([outcome, seen.reached(1)]));
      expect(seen.texts).toEqual(['rx 200#010203']);
    });

    it('counts', async () => {
      b.subscribe([exactFilter(0x300, false)], () => {});
      await settled();
      const before = [a.statistics(), b.statistics()] as const;
      await world.until(send(a, classicFrame(0x300, Uint8Array.of(1))));
      await settled();
      expect(a.statistics().sent - before[0].sent).toBe(2);
      expect(b.statistics().received - before[1].received).toBeGreaterThanOrEqual(1);
      expect(a.statistics().lost).toBe(0);
    });

    it('tells how long its wire was in use, or nothing about it', async () => {
      const before = await world.until(a.wireFacts());
      for (const data of [1, 2]) {
        await world.until(send(b, classicFrame(0x300, Uint8Array.of(data, 0, 0, 0, 0, 0, 0, 0))));
      }
      const after = await world.until(a.wireFacts());
      expect(after?.era).toBe(before!.era);
      // Where frames take no time there is nothing to tell.
      expect(typeof after?.busyMs).toBe(a.bitrate === undefined ? 'undefined' : 'number');
      if (a.bitrate === undefined) return;
      const busyMs = after!.busyMs! - before!.busyMs!;
      // Two frames of 111 bits and at most 24 stuff bits each; the end of the second is a few bits away.
      expect(busyMs * a.bitrate).toBeGreaterThanOrEqual(1000 * 2 * 108);
      expect(busyMs * a.bitrate).toBeLessThanOrEqual(1000 * 2 * 135);
    });

    it('has nothing to tell of its wire when it is closed', async () => {
      await world.until(a.close());
      expect(await world.until(a.wireFacts())).toBeUndefined();
    });

    it('stays usable when a peer sends from inside its callbacks', async () => {
      const pong = collector();
      let rounds = 0;
      b.subscribe([exactFilter(0x7e0, false)], ({ frame }) => {
        b.send(classicFrame(0x7e8, frame.data));
      });
      a.subscribe([exactFilter(0x7e8, false)], (seen) => {
        pong.onFrame(seen);
        if (++rounds < 20) a.send(classicFrame(0x7e0, Uint8Array.of(rounds)));
      });
      await settled();
      a.send(classicFrame(0x7e0, Uint8Array.of(0)));
      await world.until(pong.reached(20));
      expect(pong.texts.at(-1)).toBe('rx 7E8#13');
    });

    it('fails what is sent while the bus is down, and works again afterwards', async () => {
      const seen = collector();
      const states: BusStateChange[] = [];
      let changed: () => void = () => {};
      const state = (wanted: string): Promise<void> =>
        new Promise((resolve) => {
          changed = () => {
            if (a.state === wanted && b.state === wanted) resolve();
          };
          changed();
        });
      b.subscribe([exactFilter(0x400, false)], seen.onFrame);
      a.onState((change) => {
        states.push(change);
        changed();
      });
      b.onState(() => changed());
      await settled();
      await world.takeDown();
      await world.until(state('down'));
      const outcome = await world.until(send(a, classicFrame(0x400, Uint8Array.of(1))));
      expect(outcome).toMatchObject({ kind: 'failed', code: 'BUS_DOWN' });
      await world.bringUp();
      await world.until(state('active'));
      await settled();
      expect((await world.until(send(a, classicFrame(0x400, Uint8Array.of(2))))).kind).toBe('sent');
      await world.until(seen.reached(1));
      expect(seen.texts).toEqual(['rx 400#02']);
      expect(states.map((change) => change.state)).toEqual(['down', 'active']);
      expect(states[0]!.reason).not.toBe('');
    });

    it('gives every frame an outcome when it is closed, and refuses what comes later', async () => {
      await settled();
      const outcomes = Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          send(a, classicFrame(0x500, Uint8Array.of(index))),
        ),
      );
      await world.until(Promise.all([a.close(), a.close()]));
      for (const outcome of await world.until(outcomes)) {
        if (outcome.kind === 'failed') expect(outcome.code).toBe('CLOSED');
      }
      const late = await world.until(send(a, classicFrame(0x500, Uint8Array.of(1))));
      expect(late).toMatchObject({ kind: 'failed', code: 'CLOSED' });
      expect((await world.until(send(b, classicFrame(0x501, Uint8Array.of(1))))).kind).toBe('sent');
    });
  });
}
