// Normal traffic of an ECU pauses while it is programmed, and comes back whatever becomes of that.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import type { CanBus } from '../../src/bus/can-bus.ts';
import type { Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle, imageOf as bytesOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { benchAuthority, EcuLink, signedTarget } from './ecu-link.ts';
import { imageOf } from './support.ts';

const image = imageOf(bytesOf(60_000));
const HOUR = 3_600_000;
/** One frame of the EDT every 100 ms. */
const PER_SECOND = 10;

/** Hears cyclic frames and nothing else: diagnosis goes another way here. */
class Ears {
  readonly atMs: number[] = [];
  readonly bus: CanBus;

  constructor(clock: VirtualClock) {
    this.bus = {
      send: () => this.atMs.push(clock.nowMs()),
      subscribe: () => ({ close: () => {} }),
    } as unknown as CanBus;
  }

  between(fromMs: number, toMs: number): number {
    return this.atMs.filter((atMs) => atMs > fromMs && atMs < toMs).length;
  }
}

async function start(
  faults: EcuFaults = {},
  clock = new VirtualClock(),
  storage = new FaultStorage(),
) {
  const ears = new Ears(clock);
  const link = await EcuLink.start(benchVehicle, 'EDT', clock, { bus: ears.bus, faults, storage });
  const driver = new UdsEcuDriver({
    ecu: findEcu(benchVehicle, 'EDT'),
    requester: link.client,
    clock,
    authority: benchAuthority('EDT'),
  });
  const target: Target = signedTarget(clock, 'EDT', image, '2.0.0');
  /** When the first request that begins so was sent. */
  const sentMs = new Map<string, number>();
  const watch = (...heads: string[]): void => {
    const before = link.loses;
    link.loses = (request) => {
      for (const head of heads) {
        if (request.startsWith(head) && !sentMs.has(head)) sentMs.set(head, clock.nowMs());
      }
      return before?.(request) ?? false;
    };
  };
  /** Frames of the next two seconds. */
  const alive = async (): Promise<number> => {
    const fromMs = clock.nowMs();
    await clock.advance(2000);
    return ears.between(fromMs, clock.nowMs());
  };
  return { clock, link, driver, target, ears, sentMs, watch, alive };
}

describe('normal traffic', () => {
  it('pauses for the transfer, and comes back with its end', async () => {
    const { clock, link, driver, target, ears, sentMs, watch, alive } = await start();
    await clock.advance(1000);
    expect(ears.between(0, clock.nowMs())).toBeGreaterThanOrEqual(PER_SECOND - 1);
    watch('280101', '288001');
    expect((await clock.within(HOUR, driver.stage(target))).ok).toBe(true);
    const quietMs = sentMs.get('280101')!;
    const endMs = sentMs.get('288001')!;
    expect(endMs - quietMs).toBeGreaterThan(1000);
    expect(ears.between(quietMs + 10, endMs)).toBe(0);
    expect(await alive()).toBeGreaterThanOrEqual(2 * PER_SECOND - 1);
    expect(link.requests).toContain('*288001');
    // The new image has it too.
    expect((await clock.within(HOUR, driver.activate(target))).ok).toBe(true);
    expect(await alive()).toBeGreaterThanOrEqual(2 * PER_SECOND - 1);
  });

  it.each<[string, EcuFaults]>([
    ['a flash that fails', { failWriteAt: 30_000 }],
    ['wrong answers', { wrongAnswers: { count: 1, kind: 'garbage' } }],
  ])('comes back after a failure: %s', async (_what, faults) => {
    const given: EcuFaults = {};
    const { clock, link, driver, target, alive } = await start(given);
    link.loses = (request) => {
      if (request.startsWith('3402') || request.startsWith('3400')) Object.assign(given, faults);
      return false;
    };
    expect((await clock.within(HOUR, driver.stage(target))).ok).toBe(false);
    expect(await alive()).toBeGreaterThanOrEqual(2 * PER_SECOND - 1);
  });

  it('comes back by itself when the tester is gone for good', async () => {
    const { clock, link, driver, target, ears } = await start();
    let goneMs = 0;
    link.loses = (request) => {
      if (
        goneMs === 0 &&
        request.startsWith('3605') &&
        link.requests.some((sent) => /^34/.test(sent))
      ) {
        goneMs = clock.nowMs();
      }
      return goneMs > 0;
    };
    // Nobody waits for this driver any more: its process is dead.
    void driver.stage(target);
    while (goneMs === 0) await clock.advance(10);
    await clock.advance(4500);
    expect(ears.between(goneMs, clock.nowMs())).toBe(0);
    // S3 ends the session 5 s after the last request.
    await clock.advance(3000);
    expect(ears.between(clock.nowMs() - 1000, clock.nowMs())).toBeGreaterThanOrEqual(
      PER_SECOND - 1,
    );
    expect(link.events).toContainEqual({ kind: 'session', session: 1, reason: 'S3' });
  });

  it('comes back after a power cut in the middle', async () => {
    const first = await start({ losePowerAfter: 30_000 });
    expect((await first.clock.within(HOUR, first.driver.stage(first.target))).ok).toBe(false);
    expect(await first.alive()).toBe(0); // a dead ECU
    const again = await start({}, first.clock, first.link.storage.afterPowerCut());
    expect(await again.alive()).toBeGreaterThanOrEqual(2 * PER_SECOND - 1);
  });

  it('comes back with the reset that ends a hang', async () => {
    const faults: EcuFaults = {};
    const { clock, link, driver, target, alive } = await start(faults);
    link.loses = (request) => {
      if (request.startsWith('34')) faults.stuckAfter = 3;
      return false;
    };
    expect((await clock.within(HOUR, driver.stage(target))).ok).toBe(false);
    expect(await alive()).toBe(0);
    link.ecu!.reset('fault');
    await clock.advance(1000);
    expect(await alive()).toBeGreaterThanOrEqual(2 * PER_SECOND - 1);
  });

  it('of an ECU without an image there is none', async () => {
    const first = await start();
    first.link.storage.corrupt('bank-a.bin', 1);
    const again = await start({}, first.clock, first.link.storage.afterPowerCut());
    expect(await again.alive()).toBe(0);
  });
});
