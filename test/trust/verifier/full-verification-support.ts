// Two repositories and a vehicle for tests.

import {
  type EcuFacts,
  FullVerification,
  type FullVerificationOptions,
  type VehicleTrust,
} from '../../../src/trust/full-verification.ts';
import { trustRoot } from '../../../src/trust/repository.ts';
import { MOCK_NOW_MS, MOCK_VIN, type MockRepositories } from '../../support/mock-repositories.ts';
import { must } from './support.ts';

export const EDT: EcuFacts = { serial: 'CO-000001', hardwareId: 'EDT-HW-1', name: 'EDT' };
export const INV: EcuFacts = { serial: 'CO-000002', hardwareId: 'INV-HW-1', name: 'INV' };

function anchors(mock: MockRepositories): VehicleTrust {
  return {
    director: must(trustRoot(mock.director.anchor)),
    images: must(trustRoot(mock.images.anchor)),
  };
}

export function verification(
  mock: MockRepositories,
  options: Partial<FullVerificationOptions> = {},
) {
  return new FullVerification({
    trust: anchors(mock),
    nowMs: MOCK_NOW_MS,
    vin: MOCK_VIN,
    ecus: [EDT, INV],
    primary: true,
    ...options,
  });
}
