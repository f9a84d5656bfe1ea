// The simulated bus: the contract, wire time under a virtual clock, and the faults that tests ask for.

import { describe, expect, it } from 'vitest';
import { frameDurationMs } from '../../src/bus/bit-timing.ts';
import type { SendOutcome } from '../../src/bus/can-bus.ts';
import { classicFrame, fdFrame } from '../../src/bus/can-frame.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { busContract, collector, send } from '../support/bus-contract.ts';

for (const bitrate of [0, 500_000]) {
  busContract(`simulated, ${bitrate} bit/s`, async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate, dataBitrate: 2_000_000 });
    const a = wire.attach('a');
    const b = wire.attach('b');
    return {
      a,
      b,
      until: (promise) => clock.within(60_000, promise),
      takeDown: async () => wire.setState('down', 'cable cut'),
      bringUp: async () => wire.setState('active', 'cable repaired'),
      close: async () => {
        await a.close();
        await b.close();
      },
    };
  });
}

const BITRATE = 500_000;

describe('wire time', () => {
  it('takes the exact bits of each frame, back to back', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: BITRATE, dataBitrate: 2_000_000 });
    const a = wire.attach('a');
    const frames = [
      classicFrame(0x7e0, new Uint8Array(8)),
      classicFrame(0x18da10f1, Uint8Array.of(1, 2), true),
      fdFrame(0x7e0, new Uint8Array(64).fill(0x55)),
    ];
    const outcomes = Promise.all(frames.map((frame) => send(a, frame)));
    let endMs = 0;
    for (const outcome of await clock.within(10, outcomes)) {
      endMs += frameDurationMs(frames.shift()!, BITRATE, 2_000_000);
      expect(outcome).toMatchObject({ kind: 'sent' });
      expect((outcome as { atMs: number }).atMs).toBeCloseTo(endMs, 9);
    }
    expect(wire.busyMs).toBeCloseTo(endMs, 9);
  });

  it('lets the lowest identifier win among those that wait, each node in its own order', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: BITRATE });
    const [low, middle, high] = ['low', 'middle', 'high'].map((name) => wire.attach(name));
    const seen = collector();
    wire.attach('listener').subscribe([], seen.onFrame);
    middle!.send(classicFrame(0x300, Uint8Array.of(1)));
    high!.send(classicFrame(0x100, Uint8Array.of(2)));
    low!.send(classicFrame(0x7ff, Uint8Array.of(3)));
    // Comes after the node's own frame of lower priority, because the node's queue keeps its order.
    low!.send(classicFrame(0x001, Uint8Array.of(4)));
    await clock.advance(10);
    expect(seen.texts).toEqual(['rx 100#02', 'rx 300#01', 'rx 7FF#03', 'rx 001#04']);
  });

  it('does not interrupt a frame on the wire', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: BITRATE });
    const a = wire.attach('a');
    const b = wire.attach('b');
    const seen = collector();
    wire.attach('listener').subscribe([], seen.onFrame);
    a.send(classicFrame(0x700, new Uint8Array(8)));
    await clock.advance(0.1);
    b.send(classicFrame(0x001, new Uint8Array(0)));
    await clock.advance(10);
    expect(seen.texts).toEqual(['rx 700#0000000000000000', 'rx 001#']);
  });
});

describe('faults', () => {
  const world = (): { clock: VirtualClock; wire: SimulatedWire } => {
    const clock = new VirtualClock();
    return { clock, wire: new SimulatedWire({ clock }) };
  };

  it('drops, duplicates, replaces, or lets single nodes miss a frame; the sender never knows', async () => {
    const { clock, wire } = world();
    const a = wire.attach('a');
    const b = collector();
    const c = collector();
    wire.attach('b').subscribe([], b.onFrame);
    wire.attach('c').subscribe([], c.onFrame);
    wire.filter = (frame, from) => {
      expect(from).toBe('a');
      if (frame.id === 1) return 'drop';
      if (frame.id === 2) return 'duplicate';
      if (frame.id === 3) return { replaceBy: classicFrame(3, Uint8Array.of(0xee)) };
      return frame.id === 4 ? { missedBy: ['b'] } : 'pass';
    };
    for (let id = 1; id <= 5; id++) {
      const outcome = await clock.within(1, send(a, classicFrame(id, Uint8Array.of(id))));
      expect(outcome.kind).toBe('sent');
    }
    expect(b.texts).toEqual(['rx 002#02', 'rx 002#02', 'rx 003#EE', 'rx 005#05']);
    expect(c.texts).toEqual(['rx 002#02', 'rx 002#02', 'rx 003#EE', 'rx 004#04', 'rx 005#05']);
  });

  it('puts one node bus-off: its frames fail, the others go on', async () => {
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: BITRATE });
    const a = wire.attach('a');
    const b = wire.attach('b');
    const c = collector();
    wire.attach('c').subscribe([], c.onFrame);
    const outcomes: SendOutcome[] = [];
    for (let id = 1; id <= 3; id++) {
      a.send(classicFrame(id, new Uint8Array(8)), (outcome) => outcomes.push(outcome));
    }
    await clock.advance(0.3);
    a.setState('bus-off');
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(['sent', 'failed', 'failed']);
    await clock.advance(1);
    expect((await clock.within(1, send(a, classicFrame(5, new Uint8Array(0))))).kind).toBe(
      'failed',
    );
    expect((await clock.within(1, send(b, classicFrame(6, new Uint8Array(0))))).kind).toBe('sent');
    a.setState('active');
    expect((await clock.within(1, send(a, classicFrame(7, new Uint8Array(0))))).kind).toBe('sent');
    expect(outcomes).toHaveLength(3);
  });
});
