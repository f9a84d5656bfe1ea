// INV, the traction inverter: power and temperature, and the torque frame that the others listen to.

import { concatBytes } from '../../src/core/bytes.ts';
import { type EcuProfile, u8, u16, wave } from '../profile.ts';

const powerHundredWatt = (upMs: number): number => wave(upMs, 120, 80, 20_000);
const temperature = (upMs: number): number => wave(upMs, 45, 8, 60_000);

export const inverterProfile: EcuProfile = {
  partNumber: 'CO-INV-0120',
  // P0A3C-00 drive motor A inverter over temperature: confirmed once, not present now.
  dtcs: [{ code: 0x0a3c00, status: 0x08 }],
  live: [
    { did: 0xfd40, meaning: 'power, 0.1 kW', read: (upMs) => u16(powerHundredWatt(upMs)) },
    {
      did: 0xfd41,
      meaning: 'power stage temperature, 1 degree C, offset -40',
      read: (upMs) => Uint8Array.of(u8(temperature(upMs) + 40)),
    },
  ],
  traffic: [
    {
      id: 0x120,
      periodMs: 100,
      data: (upMs, count) =>
        concatBytes(
          u16(powerHundredWatt(upMs)),
          Uint8Array.of(u8(temperature(upMs) + 40), 0, 0, 0, 0, count & 0x0f),
        ),
    },
  ],
};
