// How a check-in's telemetry reads.

import { expect, it } from 'vitest';
import {
  checkinJson,
  durationText,
  sizeText,
  telemetryView,
} from '../../server/features/vehicles/checkin-view.ts';
import type { VehicleRecord } from '../../server/features/vehicles/rows.ts';
import type { CheckinTelemetry } from '../../src/contract/checkin-telemetry.ts';

const AT = '2026-01-01T00:00:00.000Z';
const record = (telemetry?: CheckinTelemetry): VehicleRecord =>
  ({
    vin: 'V',
    state: 'up-to-date',
    reason: '',
    checkedInAt: AT,
    telemetry,
    telemetryAt: telemetry && AT,
  }) as Partial<VehicleRecord> as VehicleRecord;

it.each([
  [0, '0 s'],
  [0.4, '0.4 s'],
  [59.99, '60 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [3600, '1 h'],
  [7500, '2 h 5 min'],
  [86_400, '1 d'],
  [273_600, '3 d 4 h'],
])('%d s reads %s', (seconds, text) => expect(durationText(seconds)).toBe(text));

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [999_960, '1 MB'],
  [1_234_567_890, '1.2 GB'],
  [8_000_000_000, '8 GB'],
  [2 ** 53, '9 PB'],
])('%d bytes read %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));

it('says what is known in sentences, and what is not known as that', () => {
  const frames = { sent: 1200, received: 7, lost: 0 };
  const telemetry: CheckinTelemetry = {
    daemonUptimeS: 7500,
    systemUptimeS: 273_600,
    supplyV: 12.44,
    storage: { freeBytes: 1.2e9, totalBytes: 8e9 },
    buses: [
      {
        name: 'can0',
        state: 'active',
        load: { permille: 123, overS: 3600, isLeast: true },
        frames,
        errors: 4,
        dropped: 1,
        errorCounters: { transmit: 8, receive: 0 },
      },
      { name: 'vcan0', state: 'bus-off', frames: { ...frames, lost: 3 } },
    ],
  };
  expect(checkinJson(record(telemetry))).toMatchObject({
    vin: 'V',
    checkedInAt: AT,
    telemetryAt: AT,
    telemetry,
    summary: [
      'daemon runs for 2 h 5 min',
      'machine runs for 3 d 4 h',
      'supply 12.4 V',
      'storage 1.2 GB free of 8 GB',
      'bus can0: error active, load at least 12.3 % over 1 h, frames 1,200 sent, 7 received, none lost, errors 4 on the bus; 1 frames dropped; counters tx 8, rx 0',
      'bus vcan0: bus-off, load not measured, frames 1,200 sent, 7 received, 3 lost, errors not measured',
    ],
  });
  const little = telemetryView(record({ daemonUptimeS: 1, buses: [] }))!;
  expect(little.facts.map(([, text]) => text)).toEqual(['1 s', ...Array(3).fill('not told')]);
});

it('has nothing to say of a vehicle that told nothing', () => {
  expect(telemetryView(record())).toBeUndefined();
  expect(checkinJson(record())).toMatchObject({ telemetry: null, telemetryAt: null, summary: [] });
});
