// What the TMU reports about itself: only known values, and no request to an ECU during a campaign.

import { describe, expect, it } from 'vitest';
import { alwaysReady } from '../../src/campaign/ports.ts';
import type { BusTelemetry } from '../../src/contract/checkin-telemetry.ts';
import type { Logger } from '../../src/core/logger.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { type CheckinTelemetryOptions, TelemetryReader } from '../../src/tmu/checkin-telemetry.ts';
import type { TmuOptions } from '../../src/tmu/tmu.ts';
import type { TrustedTools } from '../../src/tmu/trusted-source.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { bytesOf, vehicle, World } from './support.ts';

const BUS: BusTelemetry = {
  name: 'can0',
  state: 'active',
  frames: { sent: 1, received: 2, lost: 0 },
};
const signal = new AbortController().signal;

function reader(changes: Partial<CheckinTelemetryOptions> = {}) {
  const clock = new VirtualClock();
  const warnings: object[] = [];
  const logger = {
    warn: (facts: object) => warnings.push(facts),
  } as unknown as Logger;
  const made = new TelemetryReader({
    machine: { uptimeMs: () => 5_000_999, buses: async () => [BUS] },
    storage: new FaultStorage(new Map([['a', new Uint8Array(1000)]])),
    supplyV: async () => 12.340_000_000_1,
    clock,
    logger,
    ...changes,
  });
  return { made, clock, warnings };
}

describe('the telemetry of a check-in', () => {
  it('tells uptimes, disk, supply and buses', async () => {
    const { made, clock } = reader();
    await clock.advance(61_500);
    expect(await made.read(signal)).toEqual({
      daemonUptimeS: 61,
      systemUptimeS: 5000,
      storage: { freeBytes: 1024 ** 3 - 1000, totalBytes: 1024 ** 3 },
      supplyV: 12.34,
      buses: [BUS],
    });
  });

  it('leaves out what is not known', async () => {
    const { made } = reader({ machine: undefined, supplyV: async () => undefined });
    expect(Object.keys((await made.read(signal))!)).toEqual(['daemonUptimeS', 'storage', 'buses']);
  });

  it('leaves out what cannot be measured, and says so in the log', async () => {
    const broken = async () => Promise.reject(new Error('EIO'));
    const storage = Object.assign(new FaultStorage(), { space: broken });
    const { made, warnings } = reader({
      storage,
      supplyV: broken,
      machine: { uptimeMs: () => 0, buses: broken },
    });
    expect(await made.read(signal)).toEqual({ daemonUptimeS: 0, systemUptimeS: 0, buses: [] });
    expect(warnings).toEqual(
      ['storage', 'supply', 'buses'].map((part) => ({ part, reason: 'EIO' })),
    );
  });

  it('is not sent where the backend would refuse it', async () => {
    const buses = async () => [{ ...BUS, name: 'can\u0007' }];
    const { made, warnings } = reader({ machine: { uptimeMs: () => 0, buses } });
    expect(await made.read(signal)).toBeUndefined();
    expect(warnings).toEqual([
      { problem: expect.stringMatching(/^buses 0 name expected one line/) },
    ]);
  });
});

describe('the supply is asked for', () => {
  /** A vehicle whose CGW has a voltage; also records the requests and the state at that time. */
  function world() {
    const w = new World();
    w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
    const asked: string[] = [];
    let tools: TrustedTools | undefined;
    const battery = { ecu: 'CGW', did: 0xfd40, length: 2, unit: 'V' };
    const options: Partial<TmuOptions> = {
      vehicle: { ...vehicle, signals: { battery } } as unknown as TmuOptions['vehicle'],
      vehicleState: {
        ...alwaysReady,
        supplyV: async () => {
          asked.push('supply');
          return 12.5;
        },
      },
      trusted: async (given) => {
        tools = given;
        return w.trusted;
      },
    };
    return { w, options, asked, telemetry: () => tools!.telemetry(signal) };
  }

  it('at rest and in a check, and in no step of a campaign', async () => {
    const { w, options, asked, telemetry } = world();
    const told: [string, number | undefined][] = [];
    const ask = async (when: string) => told.push([when, (await telemetry())?.supplyV]);
    const { check } = w.trusted;
    w.trusted.check = async () => {
      await ask('check');
      return check.call(w.trusted);
    };
    const edt = w.ecu('EDT');
    for (const step of ['stage', 'activate', 'verify'] as const) {
      const original = edt[step].bind(edt) as (...args: unknown[]) => unknown;
      Object.assign(edt, {
        [step]: async (...args: unknown[]) => {
          await ask(step);
          return original(...args);
        },
      });
    }
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    await ask('afterwards');
    expect(told).toEqual([
      ['check', 12.5],
      ['stage', undefined],
      ['activate', undefined],
      ['verify', undefined],
      ['afterwards', 12.5],
    ]);
    expect(asked).toHaveLength(2);
  });
});
