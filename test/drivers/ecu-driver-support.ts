// An ECU of ours with a driver, for tests.

import type { DriverResult, Target } from '../../src/campaign/ports.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle, imageOf as bytesOf } from '../support/ecu-bench.ts';
import { benchAuthority, EcuLink, signedTarget } from './ecu-link.ts';
import { imageOf } from './support.ts';

export const image = imageOf(bytesOf(10_000));
export const MINUTES = 60_000;
export const UNWATCHED = { knownDtcs: undefined, heartbeatMs: 0 };

export async function start(
  name = 'EDT',
  options: Parameters<typeof EcuLink.start>[3] = {},
): Promise<{
  link: EcuLink;
  driver: UdsEcuDriver;
  target: Target;
  run: <T>(work: Promise<T>) => Promise<T>;
}> {
  const clock = new VirtualClock();
  const link = await EcuLink.start(benchVehicle, name, clock, options);
  const driver = new UdsEcuDriver({
    ecu: findEcu(benchVehicle, name),
    requester: link.client,
    clock,
    authority: benchAuthority(name),
  });
  const target = signedTarget(clock, name, image, '2.0.0');
  return { link, driver, target, run: (work) => clock.within(30 * MINUTES, work) };
}

export function unwrap<T>(result: DriverResult<T>): T {
  if (!result.ok) throw new Error(result.reason);
  return result.value;
}
