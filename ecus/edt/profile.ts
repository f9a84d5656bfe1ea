// EDT, the driver's display: its text, its brightness, and its button frame.

import { asciiBytes } from '../../src/core/bytes.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { type EcuProfile, u8, wave } from '../profile.ts';

const speed = (upMs: number): number => wave(upMs, 50, 30, 40_000);

export const edtProfile: EcuProfile = {
  partNumber: 'CO-EDT-0007',
  // B1342-00 display module, confirmed once.
  dtcs: [{ code: 0x934200, status: 0x08 }],
  live: [
    {
      did: 0xfd30,
      meaning: 'text on the display',
      read: (upMs) => asciiBytes(`${Math.round(speed(upMs))} km/h  READY`),
    },
  ],
  traffic: [
    {
      id: 0x3a0,
      periodMs: 100,
      data: (upMs, count) => Uint8Array.of(u8(speed(upMs)), 0, 0, 0, 0, 0, 0, count & 0x0f),
    },
  ],
  writable: [
    {
      did: 0xfd31,
      meaning: 'brightness, 1 %',
      bytes: 1,
      initial: 70,
      // A display below 5 % would be too dark to set it brighter again.
      refuses: (value) => (value < 5 || value > 100 ? Nrc.requestOutOfRange : undefined),
    },
  ],
};
