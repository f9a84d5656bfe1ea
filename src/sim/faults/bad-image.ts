// The new image of an ECU is signed but does not work for the whole campaign: it does not boot, or its self test fails.

import type { EcuName } from '../machine-names.ts';
import { type EcuMoment, type FaultModule, faultModule } from './fault.ts';

export interface BadImage {
  readonly category: 'ecu';
  readonly kind: 'self-test' | 'refuse-boot';
  readonly ecu: EcuName;
}

export const failingSelfTest = badImage('self-test', 'failSelfTest', 'trial-boot');
export const refusedBoot = badImage('refuse-boot', 'refuseNewImage', 'boot-failed');

function badImage(
  kind: BadImage['kind'],
  flag: 'failSelfTest' | 'refuseNewImage',
  shows: EcuMoment,
): FaultModule<BadImage, EcuName> {
  return faultModule<BadImage, EcuName>({
    category: 'ecu',
    kind,
    draw: (_draw, ecu) => ({ category: 'ecu', kind, ecu }),
    begin({ ecu }, { vehicle, when, fired, atEnd }) {
      vehicle.faults(ecu)[flag] = true;
      when(shows, ecu, () => {
        fired();
        return true;
      });
      atEnd(() => {
        vehicle.faults(ecu)[flag] = false;
      });
    },
  });
}
