// Records beside a bank for tests.

import { createHash } from 'node:crypto';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import {
  checkBankRecord,
  encodeBankRecord,
  type ImageHeader,
} from '../../src/trust/image-header.ts';
import {
  buildTargets,
  type RolePayload,
  signRoleNow,
  type TargetSpec,
} from '../../src/trust/role-signing.ts';

export const SERIAL = 'BENCH-EDT';
export const { director, images, directorRoot: root } = benchWorld();

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');
export const ACCEPTED = new Set([digestOf(root)]);

export const HEADER: ImageHeader = {
  serial: SERIAL,
  hardwareId: 'EDT-HW-1',
  name: 'EDT-2.0.0-abababababab.bin',
  version: '2.0.0',
  length: 65_536,
  sha256: 'ab'.repeat(32),
  securityCounter: 3,
  dependencies: { INV: '>=1.0.0', BMS: '1.2.0' },
};

export const TARGET: TargetSpec = {
  length: 65_536,
  hashes: { sha256: 'ab'.repeat(32) },
  custom: {
    ecu: 'EDT',
    version: '2.0.0',
    hardwareIds: ['EDT-HW-1'],
    releaseCounter: 3,
    // In another order than in the header: the canonical form counts.
    dependencies: { BMS: '1.2.0', INV: '>=1.0.0' },
    encrypt: false,
    notes: 'faster',
    ecuIdentifiers: { [SERIAL]: { hardwareId: 'EDT-HW-1' } },
  },
};

export function payloadWith(target: unknown = TARGET, expiresMs = Date.UTC(2020, 0)): RolePayload {
  return buildTargets({
    version: 5,
    expiresMs,
    targets: { [HEADER.name]: target as TargetSpec },
    custom: { vin: 'V1' },
  });
}

export const targets = signRoleNow(payloadWith(), [director.targets]);
export const record = encodeBankRecord(HEADER, targets, root);

export function codeOf(
  bytes: Uint8Array,
  how: { roots?: ReadonlySet<string>; serial?: string } = {},
) {
  const verdict = checkBankRecord(bytes, how.roots ?? ACCEPTED, how.serial ?? SERIAL);
  return verdict.ok ? 'accepted' : verdict.code;
}
