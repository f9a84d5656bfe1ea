// The form of a check-in's telemetry: what it may say, and every way to be refused.

import { expect, it } from 'vitest';
import { type CheckinTelemetry, checkinTelemetry } from '../../src/contract/checkin-telemetry.ts';

const GOOD: CheckinTelemetry = {
  daemonUptimeS: 100,
  systemUptimeS: 4000,
  storage: { freeBytes: 1, totalBytes: 1 },
  supplyV: 12.4,
  buses: [
    {
      name: 'can0',
      state: 'passive',
      load: { permille: 1000, overS: 0.5, isLeast: true },
      frames: { sent: 0, received: Number.MAX_SAFE_INTEGER, lost: 0 },
      errors: 0,
      dropped: 0,
      errorCounters: { transmit: 128, receive: 0 },
    },
  ],
};
const [BUS] = GOOD.buses as [CheckinTelemetry['buses'][number]];
const bus = (changes: object): object => ({ ...GOOD, buses: [{ ...BUS, ...changes }] });

it('takes everything, and the little that every vehicle knows', () => {
  expect(checkinTelemetry.parse(GOOD)).toEqual(GOOD);
  expect(checkinTelemetry.parse({ daemonUptimeS: 0, buses: [] })).toMatchObject({ buses: [] });
});

it.each([
  ['nothing', {}, 'daemonUptimeS'],
  ['another field', { ...GOOD, odometer: 1 }, ''],
  ['a time before the start', { ...GOOD, daemonUptimeS: -1 }, 'daemonUptimeS'],
  ['no number', { ...GOOD, supplyV: Number.NaN }, 'supplyV'],
  ['a text as a number', { ...GOOD, supplyV: '12.4' }, 'supplyV'],
  ['half a byte', { ...GOOD, storage: { freeBytes: 0.5, totalBytes: 1 } }, 'storage.freeBytes'],
  ['more free than there is', { ...GOOD, storage: { freeBytes: 2, totalBytes: 1 } }, ''],
  ['nine buses', { ...GOOD, buses: new Array(9).fill(BUS) }, 'buses'],
  [
    'a load above everything',
    bus({ load: { ...BUS.load, permille: 1001 } }),
    'buses.0.load.permille',
  ],
  ['a state that is none', bus({ state: 'fine' }), 'buses.0.state'],
  ['a bus without a name', bus({ name: '' }), 'buses.0.name'],
  ['a name with a control character', bus({ name: 'a\u001b[2J' }), 'buses.0.name'],
  ['a further field of a bus', bus({ voltage: 1 }), 'buses.0'],
] as const)('refuses %s', (_what, value, where) => {
  const { success, error } = checkinTelemetry.safeParse(value);
  expect(success).toBe(false);
  expect(error!.issues[0]!.path.join('.')).toBe(where);
});

it('refuses what is too large as a whole', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const digits = 1e-300 / 3;
  const largest = {
    name: '漢'.repeat(64),
    state: 'bus-off',
    load: { permille: 1000, overS: digits, isLeast: false },
    frames: { sent: most, received: most, lost: most },
    errors: most,
    dropped: most,
    errorCounters: { transmit: 65_535, receive: 65_535 },
  };
  const storage = { freeBytes: most, totalBytes: most };
  const told = { daemonUptimeS: digits, systemUptimeS: digits, storage, supplyV: -digits };
  const ofBuses = (count: number) =>
    checkinTelemetry.safeParse({ ...told, buses: new Array(count).fill(largest) });
  expect(ofBuses(7).success).toBe(true);
  expect(ofBuses(8).error?.issues[0]?.message).toBe('expected at most 4000 bytes of JSON');
});
