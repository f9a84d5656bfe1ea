// The driver against our own ECUs: every rollback, and an interruption anywhere.

import { describe, expect, it } from 'vitest';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchVehicle } from '../support/ecu-bench.ts';
import { image, start, UNWATCHED, unwrap } from './ecu-driver-support.ts';
import { confirmAlone, programOne, signedTarget } from './ecu-link.ts';

const EDT = findEcu(benchVehicle, 'EDT');

describe('an ECU with two banks', () => {
  it('goes back from staged, from the trial, and from confirmed', async () => {
    for (const until of ['stage', 'activate', 'confirm'] as const) {
      const { link, driver, run } = await start();
      // A higher counter: confirming it closes no way, only the commit does.
      const target = signedTarget(link.clock, 'EDT', image, '2.0.0', 5);
      unwrap(await run(driver.stage(target)));
      if (until !== 'stage') unwrap(await run(driver.activate(target)));
      if (until === 'confirm') unwrap(await run(confirmAlone(driver, target)));
      const order = { target, previous: { version: '1.0.0' }, changed: 'yes' as const };
      expect(unwrap(await run(driver.rollback(order))).version).toBe('1.0.0');
      // Again: nothing more to do. And the staged image is forgotten.
      expect(unwrap(await run(driver.rollback(order))).version).toBe('1.0.0');
      expect(await run(driver.activate(target))).toMatchObject({ code: 'NOT_STAGED' });
      // The next update works.
      const again = await run(programOne(link, EDT, target));
      expect(again.ok).toBe(true);
    }
  });
});

it('an interruption anywhere stops within two seconds and leaves the bus as it was', async () => {
  const { link: probe, driver: probing, target: probed, run: runProbe } = await start();
  await runProbe(probing.stage(probed));
  const total = probe.requests.length;
  for (let at = 0; at < total; at++) {
    const { link, driver, target, run } = await start();
    const abort = new AbortController();
    let abortedMs = 0;
    link.loses = () => {
      if (link.requests.length === at + 1 && !abort.signal.aborted) {
        abort.abort();
        abortedMs = link.clock.nowMs();
      }
      return false;
    };
    const result = await run(driver.stage(target, { signal: abort.signal }));
    if (result.ok) continue; // the signal came when everything was done
    expect(result.code).toBe('INTERRUPTED');
    expect(link.clock.nowMs() - abortedMs).toBeLessThan(2000);
    const silenced = link.requests.includes('*8582');
    expect(link.requests.includes('*8581')).toBe(silenced);
    link.loses = undefined;
    expect(unwrap(await run(driver.stage(target))).bytes).toBeGreaterThanOrEqual(0);
    unwrap(await run(driver.activate(target)));
    expect(unwrap(await run(driver.verify(target, UNWATCHED))).sha256).toBe(image.sha256);
  }
});
