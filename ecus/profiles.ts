// The profiles by ECU name of the bench vehicle.

import { bmsProfile } from './bms/profile.ts';
import { cgwProfile } from './cgw/profile.ts';
import { edtProfile } from './edt/profile.ts';
import { inverterProfile } from './inverter/profile.ts';
import { type EcuProfile, genericProfile } from './profile.ts';

const PROFILES: Readonly<Record<string, EcuProfile>> = {
  BMS: bmsProfile,
  CGW: cgwProfile,
  EDT: edtProfile,
  INV: inverterProfile,
};

export function profileOf(ecuName: string): EcuProfile {
  return PROFILES[ecuName] ?? genericProfile;
}
