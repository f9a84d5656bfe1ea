// Measured data at the backend: the newest twenty thousand samples.

import { describe, expect, it } from 'vitest';
import type { Batch, Sample } from '../../src/contract/telemetry.ts';
import { type Stores, startVehicle, VIN } from './services-support.ts';

const SENDER = '0123456789abcdef';

function sampleAt(second: number, more: Partial<Sample> = {}): Sample {
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { did: 'INV.FD40', at, count: 6, mean: 1.5, min: -1, max: 4, unit: 'kW', ...more };
}

function batchOf(number: number, more: Partial<Batch> = {}): Batch {
  return { vin: VIN, number, sender: SENDER, dropped: 0, samples: [sampleAt(number)], ...more };
}

describe('measured data', () => {
  const store = ({ telemetry }: Stores, batch: Batch) => telemetry.store(batch, '127.0.0.1');

  it('is kept up to the newest twenty thousand samples of each vehicle', async () => {
    const vehicle = await startVehicle();
    await store(vehicle, batchOf(1, { vin: 'VIN2' }));
    const samples = Array.from({ length: 512 }, (_, number) => sampleAt(number));
    for (let number = 1; number <= 40; number++) await store(vehicle, batchOf(number, { samples }));
    expect(await vehicle.telemetry.samples(VIN, { limit: 30_000 })).toHaveLength(20_000);
    expect(await vehicle.telemetry.samples('VIN2', { limit: 10 })).toHaveLength(1);
    expect((await vehicle.telemetry.counts(VIN)).samples).toBe(40 * 512);
  });
});
