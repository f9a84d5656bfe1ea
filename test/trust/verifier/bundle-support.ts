// Bundles for tests.

import {
  bundleFor,
  decodeBundle,
  type EcuTrustState,
  encodeBundle,
  type MetadataBundle,
} from '../../../src/trust/bundle.ts';
import type { EcuFacts } from '../../../src/trust/director.ts';
import { FullVerification, type VehicleTrust } from '../../../src/trust/full-verification.ts';
import { type EcuTrust, verifyBundle } from '../../../src/trust/partial-verification.ts';
import { trustRoot, versionsOf } from '../../../src/trust/repository.ts';
import {
  MOCK_NOW_MS,
  MOCK_VIN,
  type MockRepositories,
  mockRepositories,
} from '../../support/mock-repositories.ts';
import { must } from './support.ts';

export const EDT: EcuFacts = { serial: 'CO-000001', hardwareId: 'EDT-HW-1', name: 'EDT' };
export const BOTH = ['partial', 'full'] as const;

export function vehicle(): MockRepositories {
  const mock = mockRepositories();
  return mock.assign(EDT.serial, mock.release('EDT')).assign('CO-000002', mock.release('INV'));
}

export function anchors(mock: MockRepositories): VehicleTrust {
  return {
    director: must(trustRoot(mock.director.anchor)),
    images: must(trustRoot(mock.images.anchor)),
  };
}

/** What the Primary has verified. */
function primary(mock: MockRepositories, nowMs = MOCK_NOW_MS): VehicleTrust {
  const ecus = [EDT, { serial: 'CO-000002', hardwareId: 'INV-HW-1' }];
  const options = { trust: anchors(mock), nowMs, vin: MOCK_VIN, ecus, primary: true };
  const full = new FullVerification(options);
  const fault = mock.serve(full);
  if (fault !== undefined) throw new Error(JSON.stringify(fault));
  return full.trust;
}

function stateOf(trust: EcuTrust, verification: 'partial' | 'full'): EcuTrustState {
  return {
    verification,
    director: versionsOf(trust.director),
    ...(trust.images === undefined ? {} : { images: versionsOf(trust.images) }),
    counter: 0,
    time: null,
  };
}

export function pack(
  mock: MockRepositories,
  ecu: EcuTrust,
  verification: 'partial' | 'full',
  nowMs?: number,
) {
  const roots = { director: mock.director.roots(), images: mock.images.roots() };
  const state = stateOf(ecu, verification);
  const bundle = bundleFor(primary(mock, nowMs), roots, state, { signed: 1 }, EDT.serial);
  return must(decodeBundle(encodeBundle(bundle)));
}

export function check(
  trust: EcuTrust,
  verification: 'partial' | 'full',
  bundle: MetadataBundle,
  options: Partial<Parameters<typeof verifyBundle>[0]> = {},
) {
  return verifyBundle({
    trust,
    verification,
    bundle,
    nowMs: MOCK_NOW_MS,
    vin: MOCK_VIN,
    ecu: EDT,
    ...options,
  });
}
