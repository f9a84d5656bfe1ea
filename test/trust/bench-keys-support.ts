// Bundles of the bench's keys for tests.

import { type BenchBundleOptions, benchBundle, benchWorld } from '../../src/trust/bench-keys.ts';
import { decodeBundle, type EcuTrustState } from '../../src/trust/bundle.ts';
import { type EcuTrust, verifyBundle } from '../../src/trust/partial-verification.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { checkTime } from '../../src/trust/time-attestation.ts';

export const NOW_MS = Date.UTC(2026, 0, 31, 12);
export const VIN = '1CANXTABENCH00001';
const NONCE = '000102030405060708090a0b0c0d0e0f';
export const MODES = ['partial', 'full'] as const;

export function virginState(verification: 'partial' | 'full'): EcuTrustState {
  return { verification, director: { root: 1 }, images: { root: 1 }, counter: 0, time: null };
}

export function virginTrust(): EcuTrust {
  const { directorRoot, imagesRoot } = benchWorld();
  const director = trustRoot(directorRoot);
  const images = trustRoot(imagesRoot);
  if (!director.ok || !images.ok) throw new Error('the Roots of the bench are not right');
  return { director: director.value, images: images.value };
}

export const EDT = {
  serial: 'BENCH-EDT',
  hardwareId: 'EDT-HW-1',
  image: {
    name: 'EDT-2.0.0-abababababab.bin',
    length: 65_536,
    sha256: 'ab'.repeat(32),
    version: '2.0.0',
    counter: 3,
    dependencies: { INV: '>=1.0.0' },
  },
} satisfies BenchBundleOptions['ecus'][number];

export const INV = {
  serial: 'BENCH-INV',
  hardwareId: 'INV-HW-1',
  image: { ...EDT.image, name: 'INV-2.0.0-cdcdcdcdcdcd.bin', sha256: 'cd'.repeat(32) },
} satisfies BenchBundleOptions['ecus'][number];

export interface Receipt {
  readonly trust?: EcuTrust;
  readonly verification?: 'partial' | 'full';
  readonly nowMs?: number;
  readonly serial?: string;
}

/** Every check of an ECU on receipt, the time first. */
export function receive(bytes: Uint8Array, how: Receipt = {}) {
  const { trust = virginTrust(), verification = 'full', serial = 'BENCH-EDT' } = how;
  const bundle = decodeBundle(bytes);
  if (!bundle.ok) return bundle;
  const time = checkTime(bundle.value.time, trust.director.root, NONCE, 0);
  if (!time.ok) return time;
  return verifyBundle({
    trust,
    verification,
    bundle: bundle.value,
    nowMs: time.value.timeMs,
    vin: VIN,
    ecu: { serial, hardwareId: `${serial.slice(6)}-HW-1`, name: serial.slice(6) },
  });
}

export function bundleWith(changes: Partial<BenchBundleOptions> = {}): Uint8Array {
  return benchBundle({
    vin: VIN,
    ecus: [EDT],
    nonce: NONCE,
    timeMs: NOW_MS,
    state: virginState('full'),
    ...changes,
  });
}
