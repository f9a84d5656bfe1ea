// BMS, the battery management system: voltage, state of charge and cell temperature.

import { concatBytes } from '../../src/core/bytes.ts';
import { type EcuProfile, u8, u16, wave } from '../profile.ts';

const deciVolt = (upMs: number): number => wave(upMs, 3960, 25, 30_000);
const chargeHalfPercent = (upMs: number): number => Math.max(20, 156 - upMs / 60_000);

export const bmsProfile: EcuProfile = {
  partNumber: 'CO-BMS-0396',
  dtcs: [],
  live: [
    { did: 0xfd50, meaning: 'pack voltage, 0.1 V', read: (upMs) => u16(deciVolt(upMs)) },
    {
      did: 0xfd51,
      meaning: 'state of charge, 0.5 %',
      read: (upMs) => Uint8Array.of(u8(chargeHalfPercent(upMs))),
    },
    {
      did: 0xfd52,
      meaning: 'highest cell temperature, 1 degree C, offset -40',
      read: (upMs) => Uint8Array.of(u8(wave(upMs, 27, 2, 90_000) + 40)),
    },
  ],
  traffic: [
    {
      id: 0x180,
      periodMs: 100,
      data: (upMs, count) =>
        concatBytes(
          u16(deciVolt(upMs)),
          Uint8Array.of(u8(chargeHalfPercent(upMs)), 0, 0, 0, 0, count & 0x0f),
        ),
    },
  ],
};
