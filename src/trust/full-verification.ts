// Full verification: both repositories, in the order of Uptane 5.4.4.2.

import type { TargetFile, Targets } from '@tufjs/models';
import { present } from '../core/present.ts';
import { accepted, refused, type TrustFault, type Verdict } from './attack.ts';
import { searchSteps } from './delegations.ts';
import {
  type DirectorRules,
  type EcuFacts,
  readDirector,
  type VerifiedTarget,
} from './director.ts';
import { HASHES } from './file-hash.ts';
import type { Trusted } from './metadata.ts';
import { RULES } from './profile.ts';
import { updateSteps } from './repository.ts';
import { type MetadataAnswer, type MetadataRequest, Retrieval, type Steps } from './retrieval.ts';
import { quoted } from './strict-json.ts';
import { matchSection, readAssignment, readImage } from './target-custom.ts';
import type { RepositoryTrust, TrustHolder } from './trust-state.ts';

export type { EcuFacts } from './director.ts';

export interface VehicleTrust {
  readonly director: RepositoryTrust;
  readonly images: RepositoryTrust;
}

export type RepositoryName = keyof VehicleTrust;

export interface VehicleRequest {
  readonly repository: RepositoryName;
  readonly request: MetadataRequest;
}

export interface FullVerificationOptions {
  readonly trust: VehicleTrust;
  /** Attested time (step 1), in ms since 1970. */
  readonly nowMs: number;
  /** Undefined: unknown, so it is not compared. */
  readonly vin: string | undefined;
  readonly ecus: readonly EcuFacts[];
  /** The caller knows all ECUs of the vehicle, so an unknown serial is an attack. */
  readonly primary: boolean;
  /** Update the image repository's metadata even if every ECU already has what the Director assigns. */
  readonly alwaysCheckImages?: boolean;
}

/** Asks for files and gets answers; keeps accepted files even if a later one is refused. */
export class FullVerification {
  readonly #director: TrustHolder;
  readonly #images: TrustHolder;
  readonly #retrieval: Retrieval<readonly VerifiedTarget[], VehicleRequest>;

  constructor(options: FullVerificationOptions) {
    this.#director = { trust: options.trust.director };
    this.#images = { trust: options.trust.images };
    this.#retrieval = new Retrieval(verificationSteps(this.#director, this.#images, options));
  }

  /** The accepted state, to be stored after every answer. */
  get trust(): VehicleTrust {
    return { director: this.#director.trust, images: this.#images.trust };
  }

  /** The next request; undefined at the end or after a refusal. */
  next(): VehicleRequest | undefined {
    return this.#retrieval.next();
  }

  accept(answer: MetadataAnswer): Verdict<void> {
    return this.#retrieval.accept(answer);
  }

  /** Undefined while a file is requested. */
  get outcome(): Verdict<readonly VerifiedTarget[]> | undefined {
    return this.#retrieval.outcome;
  }

  /** One image for each ECU that gets one. Throws before the end and after a refusal. */
  result(): readonly VerifiedTarget[] {
    const { outcome } = this;
    if (outcome?.ok !== true) throw new Error('there is no verified result');
    return outcome.value;
  }
}

/** The Director's Targets; called after `updateSteps`. */
function topTargets({ trust }: TrustHolder): Trusted<Targets> {
  return present(trust.targets.get('targets'), 'Targets of the Director');
}

function* verificationSteps(
  director: TrustHolder,
  images: TrustHolder,
  options: FullVerificationOptions,
): Steps<readonly VerifiedTarget[], VehicleRequest> {
  const { nowMs, vin, ecus, primary } = options;
  const { dialect } = director.trust;
  const rules: DirectorRules = { dialect, vin, ecus, primary };
  // The previous Targets are read after the update of Root: if a new Root removed a stolen key, its Targets set no floor.
  const inspect = (targets: Trusted<Targets>): Verdict<unknown> =>
    readDirector(targets, { ...rules, previous: director.trust.targets.get('targets') });
  // Steps 2 to 5. New Targets that break a Director's rules are not trusted: the old ones stay.
  const updated = yield* of(
    'director',
    updateSteps(director, nowMs, {
      snapshots: RULES[dialect].directorSnapshot,
      inspect,
    }),
  );
  if (!updated.ok) return updated;
  const targets = topTargets(director);
  const assigned = inRepository('director', readDirector(targets, rules));
  if (!assigned.ok) return assigned;
  // Step 6: there is nothing to install, so the image repository is not asked.
  const installed = assigned.value.every(({ serial, sha256 }) =>
    ecus.some((ecu) => ecu.serial === serial && ecu.installedSha256 === sha256),
  );
  if (installed && options.alwaysCheckImages !== true) {
    // Texts that only the Director has signed are not for the driver.
    return accepted(assigned.value.map((target) => ({ ...target, forced: false, notes: '' })));
  }
  // Steps 6 to 9.
  const fresh = yield* of('images', updateSteps(images, nowMs));
  if (!fresh.ok) return fresh;
  // Step 10.
  const matched: VerifiedTarget[] = [];
  for (const target of assigned.value) {
    const matching = yield* of('images', matchSteps(director, images, target, nowMs));
    if (!matching.ok) return matching;
    matched.push(matching.value);
  }
  return accepted(matched);
}

/** Step 10 for one image: the assignment, with the text for the driver that the image repository has signed. */
function* matchSteps(
  director: TrustHolder,
  images: TrustHolder,
  target: VerifiedTarget,
  nowMs: number,
): Steps<VerifiedTarget> {
  const { name, hardwareId } = target;
  // Step 10.1.
  const found = yield* searchSteps(images, name, hardwareId, nowMs);
  if (!found.ok) return found;
  if (found.value === undefined) {
    const reason = `no authorized role has signed image ${quoted(name)} for ${hardwareId}`;
    return refused('UNKNOWN_TARGET', 'targets', reason);
  }
  const ordered = present(topTargets(director).metadata.signed.targets[name], name);
  return checkMatch(director.trust, images.trust, ordered, found.value, target);
}

/**
 * Steps 10.2.1 and 10.2.2; the release counter (10.2.3) was compared with the Director's rules. The driver reads the notes
 * and consents to them, so they come from the image repository: the Director's keys are online.
 */
function checkMatch(
  director: RepositoryTrust,
  images: RepositoryTrust,
  ordered: TargetFile,
  signed: TargetFile,
  target: VerifiedTarget,
): Verdict<VerifiedTarget> {
  const { hardwareId, name } = target;
  const image = readImage(signed, images.dialect);
  if (!image.ok) return image;
  // A compromised Director cannot assign an image to hardware that it was not made for.
  if (!image.value.hardwareIds.includes(hardwareId)) {
    const reason = `image ${quoted(name)} is for ${image.value.hardwareIds.join(', ')}, not for ${hardwareId}`;
    return refused('WRONG_HARDWARE', 'targets', reason);
  }
  const assignment = readAssignment(ordered, director.dialect);
  if (!assignment.ok) return assignment;
  const disagree = (field: string): Verdict<VerifiedTarget> =>
    refused(
      'REPOSITORIES_DISAGREE',
      'targets',
      `image ${quoted(name)}: ${field} is not the Director's`,
    );
  const matched = { ...target, notes: image.value.notes };
  if (RULES[director.dialect].customFields === 'optional') {
    if (ordered.length !== signed.length) return disagree('length');
    const common = HASHES.filter((hash) => hash in ordered.hashes && hash in signed.hashes);
    const same = common.every((hash) => ordered.hashes[hash] === signed.hashes[hash]);
    return common.length > 0 && same ? accepted(matched) : disagree('hashes');
  }
  const expected = matchSection(ordered, assignment.value);
  for (const [field, value] of matchSection(signed, image.value)) {
    if (expected.get(field) !== value) return disagree(field);
  }
  return accepted(matched);
}

/** Adds the repository to requests and refusals. */
function* of<T>(repository: RepositoryName, steps: Steps<T>): Steps<T, VehicleRequest> {
  let step = steps.next();
  while (step.done !== true) step = steps.next(yield { repository, request: step.value });
  return inRepository(repository, step.value);
}

function inRepository<T>(repository: RepositoryName, verdict: Verdict<T>): Verdict<T> {
  return verdict.ok ? verdict : at(repository, verdict);
}

export function at(repository: RepositoryName, fault: TrustFault): TrustFault {
  return { ...fault, where: `${repository} ${fault.where}` };
}
