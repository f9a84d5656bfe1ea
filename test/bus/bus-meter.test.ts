// What is told of a bus: shares of real time, nothing where the bus cannot tell, nothing across two countings.

import { expect, it } from 'vitest';
import { BusMeter } from '../../src/bus/bus-meter.ts';
import type { CanBus, WireFacts } from '../../src/bus/can-bus.ts';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { leastBusyMs } from '../../src/bus/interface-load.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

function meter(...facts: (WireFacts | undefined)[]): { read: BusMeter; clock: VirtualClock } {
  const clock = new VirtualClock();
  const bus = {
    name: 'can0',
    state: 'active',
    statistics: () => ({ sent: 3, received: 4, lost: 0 }),
    wireFacts: async () => facts.shift(),
  } as Partial<CanBus> as CanBus;
  return { read: new BusMeter(bus, clock), clock };
}

it('tells the share of time in which the wire was in use since the last look', async () => {
  const { read, clock } = meter(
    { era: 'a', busyMs: 100 },
    { era: 'a', busyMs: 350, errors: 2, dropped: 1, errorCounters: { transmit: 8, receive: 0 } },
    { era: 'a', busyMs: 350, isLeast: true },
  );
  await clock.advance(1000);
  expect(await read.read()).toEqual({
    name: 'can0',
    state: 'active',
    load: { permille: 250, overS: 1, isLeast: false },
    frames: { sent: 3, received: 4, lost: 0 },
    errors: 2,
    dropped: 1,
    errorCounters: { transmit: 8, receive: 0 },
  });
  await clock.advance(60_000);
  expect((await read.read()).load).toEqual({ permille: 0, overS: 60, isLeast: true });
});

it.each([
  ['the bus cannot tell', { era: 'a' }, { era: 'a' }],
  ['it was down', undefined, { era: 'a', busyMs: 5 }],
  ['it is down', { era: 'a', busyMs: 5 }, undefined],
  ['another broker counts', { era: 'a', busyMs: 5 }, { era: 'b', busyMs: 900 }],
  ['the counters were set back', { era: 'a', busyMs: 500 }, { era: 'a', busyMs: 5 }],
] as const)('tells no load when %s', async (_why, before, after) => {
  const { read, clock } = meter(before, after);
  await clock.advance(1000);
  expect(await read.read()).not.toHaveProperty('load');
});

it('tells no load of an instant, in which one frame is everything', async () => {
  const { read, clock } = meter({ era: 'a', busyMs: 0 }, { era: 'a', busyMs: 1 });
  await clock.advance(2);
  expect(await read.read()).not.toHaveProperty('load');
});

it('measures the simulated wire', async () => {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate: 500_000 });
  const [a, b] = [wire.attach('a'), wire.attach('b')];
  const read = new BusMeter(a, clock);
  let spoiled = 1;
  wire.filter = () => (spoiled-- > 0 ? 'corrupt' : 'pass');
  for (let at = 0; at < 100; at++) b.send(classicFrame(0x123, new Uint8Array(8).fill(0x55)));
  await clock.advance(1000);
  const { load, errors, errorCounters, frames } = await read.read();
  expect(load!.permille).toBe(Math.round(wire.busyMs));
  expect(load!.permille).toBeGreaterThan(20);
  expect(errors).toBe(1);
  expect(errorCounters).toEqual({ transmit: 0, receive: 0 });
  expect(frames.received).toBe(0);
});

it('counts for frames the least time that they can have taken', () => {
  // 47 bits around the data of a CAN 2.0 frame with 11 bit identifier.
  expect(leastBusyMs({ frames: 1, bytes: 8 }, { bitrate: 500_000 })).toBeCloseTo(111 / 500);
  expect(leastBusyMs({ frames: 0, bytes: 0 }, { bitrate: 500_000 })).toBe(0);
  const fd = { bitrate: 500_000, dataBitrate: 2_000_000 };
  const shortest = leastBusyMs({ frames: 1, bytes: 64 }, fd);
  expect(shortest).toBeCloseTo(30 / 500 + (32 + 512) / 2000);
  // Some of the frames may be CAN 2.0 frames.
  expect(leastBusyMs({ frames: 10, bytes: 80 }, fd)).toBeLessThan(
    leastBusyMs({ frames: 10, bytes: 80 }, { bitrate: 500_000 }),
  );
});
