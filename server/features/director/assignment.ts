// What was decided for a vehicle: as the entries of its Targets, and as the state that people see.

import { defined } from '../../../src/core/optional.ts';
import { itemAt } from '../../../src/core/present.ts';
import type { EncryptedImage } from '../../../src/trust/director.ts';
import type { VersionReport } from '../../../src/trust/manifest.ts';
import type { TargetSpec } from '../../../src/trust/role-signing.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import type { FleetState } from '../vehicles/rows.ts';
import { nameOf } from './check-manifest.ts';
import type { ImageAssignment } from './decide.ts';

export interface AssignedImage {
  readonly decision: ImageAssignment;
  readonly encryption: EncryptedImage | undefined;
}

/** The fields that must match are repeated as they were signed; ECUs that share an image share its entry. */
export function targetsOf(assigned: readonly AssignedImage[]): Record<string, TargetSpec> {
  const targets: Record<string, TargetSpec> = {};
  for (const [name, images] of Map.groupBy(assigned, ({ decision }) => decision.release.name)) {
    const { length, hashes, custom } = itemAt(images, 0).decision.release;
    const ecuIdentifiers = Object.fromEntries(
      images.map(({ decision: { ecu }, encryption }) => [
        ecu.serial,
        { hardwareId: ecu.hardwareId, ...defined({ encryption }) },
      ]),
    );
    targets[name] = { length, hashes, custom: { ...custom, ecuIdentifiers } };
  }
  return targets;
}

/** An attack that was reported comes first, then what is still to be installed. */
export function stateOf(
  assigned: readonly AssignedImage[],
  ecus: readonly RegisteredDevice[],
  attacks: readonly (readonly [string, VersionReport])[],
): readonly [FleetState, string] {
  if (attacks.length > 0) {
    const told = attacks.map(([serial, { attack }]) => {
      const ecu = ecus.find((other) => other.serial === serial);
      return `${ecu === undefined ? serial : nameOf(ecu)} reports ${attack}`;
    });
    return ['needs-attention', told.join(', ')];
  }
  const waiting = assigned.filter(({ decision }) => !decision.installed);
  if (waiting.length === 0) return ['up-to-date', ''];
  const images = waiting.map(
    ({ decision: { ecu, release } }) => `${ecu.name} shall run ${release.version}`,
  );
  return ['pending', images.join(', ')];
}
