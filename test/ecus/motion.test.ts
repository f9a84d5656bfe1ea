// How an ECU hears from the gateway's frame whether the vehicle moves.

import { describe, expect, it } from 'vitest';
import { MotionWatch, speedFrame } from '../../ecus/motion.ts';
import type { BusFrame, CanBus, CanFilter } from '../../src/bus/can-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

function bench() {
  const clock = new VirtualClock();
  let hear: ((frame: BusFrame) => void) | undefined;
  let filters: readonly CanFilter[] = [];
  const bus = {
    subscribe: (wanted: readonly CanFilter[], listener: (frame: BusFrame) => void) => {
      filters = wanted;
      hear = listener;
      return { close: () => (hear = undefined) };
    },
  } as unknown as CanBus;
  const watch = new MotionWatch(bus, clock);
  const says = (...data: number[]) =>
    hear?.({ frame: { data: Uint8Array.from(data) } } as unknown as BusFrame);
  return { clock, watch, says, filters: () => filters };
}

describe('a vehicle', () => {
  it.each([
    ['stands', [0x00, 0x00], false],
    ['creeps', [0x00, 0x01], true],
    ['moves', [0x01, 0x00], true],
    ['moves as fast as can be told', [0xff, 0xfe], true],
    ['does not know', [0xff, 0xff], false],
    ['tells nothing', [], false],
    ['tells half of it', [0x01], true],
  ] as const)('%s', (_what, data, isMoving) => {
    const { watch, says } = bench();
    expect(watch.isMoving()).toBe(false);
    says(...data);
    expect(watch.isMoving()).toBe(isMoving);
  });

  it('that has stopped stands at once, and a speed of a second ago says nothing', async () => {
    const { watch, says, clock, filters } = bench();
    expect(filters()).toEqual([{ id: 0x051, mask: 0x7ff, extended: false }]);
    says(0x10, 0);
    says(0, 0);
    expect(watch.isMoving()).toBe(false);
    says(0x10, 0);
    await clock.advance(999);
    expect(watch.isMoving()).toBe(true);
    await clock.advance(1);
    expect(watch.isMoving()).toBe(false);
    watch.close();
    says(0x10, 0);
    expect(watch.isMoving()).toBe(false);
  });
});

describe('the frame of the gateway', () => {
  it.each<[number | undefined, string]>([
    [0, '00000000000000'],
    [0.01, '00010000000000'],
    [50, '13880000000000'],
    [-50, '13880000000000'],
    [1000, 'ffff0000000000'],
    [undefined, 'ffff0000000000'],
  ])('tells %s km/h and counts', (speed, hex) => {
    const frame = speedFrame(() => speed);
    expect(frame).toMatchObject({ id: 0x051, periodMs: 100 });
    expect(Buffer.from(frame.data(0, 0x1f, {} as never)).toString('hex')).toBe(`${hex}0f`);
    expect(Buffer.from(frame.data(0, 0x20, {} as never)).toString('hex')).toBe(`${hex}00`);
  });
});
