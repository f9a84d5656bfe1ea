// An ECU detects a fault of its new software and stores a trouble code.

import type { EcuName } from '../machine-names.ts';
import { plantTroubleCode } from '../tampering.ts';
import { faultModule } from './fault.ts';

export interface TroubleCode {
  readonly category: 'ecu';
  readonly kind: 'trouble-code';
  readonly ecu: EcuName;
}

export const troubleCode = faultModule<TroubleCode, EcuName>({
  category: 'ecu',
  kind: 'trouble-code',
  draw: (_draw, ecu) => ({ category: 'ecu', kind: 'trouble-code', ecu }),
  begin({ ecu }, { vehicle, when, fired }) {
    when('reset', ecu, () => {
      if (!plantTroubleCode(vehicle.machine(ecu).disk)) return false;
      fired();
      return true;
    });
  },
});
