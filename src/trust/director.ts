// The rules for a Director's Targets (Uptane 5.4.4.6 steps 6 to 8), and their assignments of images to ECUs.

import type { TargetFile, Targets } from '@tufjs/models';
import { isSha256Hex } from '../core/names.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { hashesFault } from './file-hash.ts';
import type { Trusted } from './metadata.ts';
import { type Dialect, RULES } from './profile.ts';
import { field, quoted } from './strict-json.ts';
import { type Assignment, type EncryptedImage, readAssignment } from './target-custom.ts';

export type { EncryptedImage } from './target-custom.ts';

/** One image for one ECU. Length and hashes are those of the plain image. */
export interface VerifiedTarget {
  readonly serial: string;
  readonly hardwareId: string;
  /** Target path: the public file name. */
  readonly name: string;
  readonly length: number;
  readonly hashes: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly ecu: string | undefined;
  readonly version: string;
  readonly releaseCounter: number;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly encrypt: boolean;
  /** A safety release: the driver is informed, not asked. */
  readonly forced: boolean;
  /** Where the first byte lies in the ECU's memory. Missing: where the vehicle file says, or the image has a segment map. */
  readonly address: number | undefined;
  readonly notes: string;
  readonly encryption: EncryptedImage | undefined;
}

/** Known facts about an installed ECU. */
export interface EcuFacts {
  readonly serial: string;
  readonly hardwareId: string;
  /** Name in the vehicle file and in `custom.ecu`. */
  readonly name?: string;
  readonly installedSha256?: string;
  /** The highest counter that was ever accepted: a lower one is refused. */
  readonly releaseCounter?: number;
}

export interface DirectorRules {
  readonly dialect: Dialect;
  /** Undefined: unknown, so it is not compared. */
  readonly vin: string | undefined;
  readonly ecus: readonly EcuFacts[];
  /** The Primary knows all ECUs of the vehicle; another ECU knows only itself. */
  readonly primary: boolean;
  /** The Targets that were trusted before. */
  readonly previous?: Trusted<Targets> | undefined;
}

/** All assignments, or those to `ecus` if the reader is not the Primary. */
export function readDirector(
  targets: Trusted<Targets>,
  rules: DirectorRules,
): Verdict<readonly VerifiedTarget[]> {
  // Step 6: no delegations. An empty field is refused, too.
  if (targets.metadata.signed.delegations !== undefined) {
    const reason = 'a Director signs for itself, and may not delegate';
    return refused('DELEGATION_IN_DIRECTOR', 'targets', reason);
  }
  const vehicle = checkVehicle(targets, rules);
  if (!vehicle.ok) return vehicle;
  const assigned = assignments(targets, rules.dialect);
  if (!assigned.ok) return assigned;
  const previous =
    rules.previous === undefined ? undefined : assignments(rules.previous, rules.dialect);
  const found: VerifiedTarget[] = [];
  for (const target of assigned.value.values()) {
    const facts = rules.ecus.find(({ serial }) => serial === target.serial);
    if (facts === undefined) {
      // Step 8: a Primary knows every ECU of the vehicle.
      if (rules.primary) {
        const reason = `assigns ${quoted(target.name)} to ECU ${quoted(target.serial)}, which is not in this vehicle`;
        return refused('UNKNOWN_ECU', 'targets', reason);
      }
      continue;
    }
    const before = previous?.ok === true ? previous.value.get(target.serial) : undefined;
    const fits = checkFits(target, facts, before);
    if (!fits.ok) return fits;
    found.push(target);
  }
  return accepted(found);
}

/**
 * 5.2.3.1: a Director without an image for a vehicle must name that vehicle. Otherwise its empty list could keep any other
 * vehicle from updates. Our Director always names the vehicle, so no list can be given to another one.
 */
function checkVehicle(targets: Trusted<Targets>, { vin, dialect }: DirectorRules): Verdict<void> {
  const named = field(field(targets.signed, 'custom'), 'vin');
  const required = RULES[dialect].customFields === 'required';
  if (vin === undefined || named === vin || (named === undefined && !required)) {
    return accepted(undefined);
  }
  const whom = typeof named === 'string' ? `is for vehicle ${quoted(named)}` : 'names no vehicle';
  return refused('WRONG_VEHICLE', 'targets', `${whom}, this is ${vin}`);
}

/** Assignments by serial; each serial once (step 7). */
function assignments(
  targets: Trusted<Targets>,
  dialect: Dialect,
): Verdict<ReadonlyMap<string, VerifiedTarget>> {
  const bySerial = new Map<string, VerifiedTarget>();
  for (const target of Object.values(targets.metadata.signed.targets)) {
    const assignment = readAssignment(target, dialect);
    if (!assignment.ok) return assignment;
    for (const [serial, ecu] of Object.entries(assignment.value.ecus)) {
      const other = bySerial.get(serial);
      if (other !== undefined) {
        const reason = `assigns both ${quoted(other.name)} and ${quoted(target.path)} to ECU ${quoted(serial)}`;
        return refused('DUPLICATE_ECU', 'targets', reason);
      }
      const one = verifiedTarget(target, assignment.value, ecu, serial, dialect);
      if (!one.ok) return one;
      bySerial.set(serial, one.value);
    }
  }
  return accepted(bySerial);
}

function verifiedTarget(
  target: TargetFile,
  assignment: Assignment,
  { hardwareId, encryption }: Assignment['ecus'][string],
  serial: string,
  dialect: Dialect,
): Verdict<VerifiedTarget> {
  const malformed = (reason: string): Verdict<VerifiedTarget> =>
    refused('MALFORMED', 'targets', `image ${quoted(target.path)}: ${reason}`);
  // 5.3.2: a name must not lead out of a folder.
  if (!isSafeName(target.path)) return malformed('its name is no path below a folder');
  const { sha256 } = target.hashes;
  if (sha256 === undefined || !isSha256Hex(sha256)) return malformed('has no sha256');
  // 5.4.3.2: all listed hashes are checked.
  const uncheckable = dialect === 'strict' ? hashesFault(target.hashes) : undefined;
  if (uncheckable !== undefined) return malformed(uncheckable);
  if (assignment.encrypt && encryption === undefined) {
    return malformed(`is to be encrypted, and names no encrypted file for ECU ${quoted(serial)}`);
  }
  const { ecu, version, releaseCounter, dependencies, encrypt, forced, address, notes } =
    assignment;
  return accepted({
    serial,
    hardwareId,
    name: target.path,
    length: target.length,
    hashes: target.hashes,
    sha256,
    ecu,
    version,
    releaseCounter,
    dependencies,
    encrypt,
    forced,
    address,
    notes,
    encryption,
  });
}

function isSafeName(name: string): boolean {
  const segments = name.split('/');
  return (
    name.length <= 256 &&
    segments.every((segment) => /^[^\p{Cc}\\:]+$/u.test(segment) && !/^\.+$/.test(segment))
  );
}

function checkFits(
  target: VerifiedTarget,
  facts: EcuFacts,
  before: VerifiedTarget | undefined,
): Verdict<void> {
  const image = `image ${quoted(target.name)}`;
  if (target.hardwareId !== facts.hardwareId) {
    const reason = `${image} is for hardware ${quoted(target.hardwareId)}, ECU ${facts.serial} is ${facts.hardwareId}`;
    return refused('WRONG_HARDWARE', 'targets', reason);
  }
  if (target.ecu !== undefined && facts.name !== undefined && target.ecu !== facts.name) {
    const reason = `${image} is for ${quoted(target.ecu)}, ECU ${facts.serial} is ${facts.name}`;
    return refused('WRONG_ECU', 'targets', reason);
  }
  // 5.4.4.2 step 10.2.3: not lower than the counter that the ECU has accepted, nor than that of its last assignment.
  const floor = Math.max(facts.releaseCounter ?? 0, before?.releaseCounter ?? 0);
  if (target.releaseCounter < floor) {
    const reason = `${image} has release counter ${target.releaseCounter}, ECU ${facts.serial} was given ${floor}: release it again with a higher one`;
    return refused('ROLLBACK', 'targets', reason);
  }
  return accepted(undefined);
}
