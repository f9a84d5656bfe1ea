// How an ECU checks the metadata from the Primary: those of the Director alone, or of both repositories (5.4.4).

import type { Targets } from '@tufjs/models';
import { present } from '../core/present.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import type { MetadataBundle } from './bundle.ts';
import { type EcuFacts, readDirector, type VerifiedTarget } from './director.ts';
import { at, FullVerification, type RepositoryName } from './full-verification.ts';
import { type Trusted, topAuthority } from './metadata.ts';
import { fileOf, type MetadataAnswer, type MetadataRequest, Retrieval } from './retrieval.ts';
import { nextTargets } from './role-checks.ts';
import { rootSteps } from './root-check.ts';
import { type RepositoryTrust, type TrustHolder, withTargets } from './trust-state.ts';

/** Without `images` an ECU can only verify partially. */
export interface EcuTrust {
  readonly director: RepositoryTrust;
  readonly images?: RepositoryTrust;
}

export interface BundleVerification {
  readonly trust: EcuTrust;
  readonly verification: 'partial' | 'full';
  readonly bundle: MetadataBundle;
  /** The attested time, which was checked before (5.4.2.4), in ms since 1970. */
  readonly nowMs: number;
  readonly vin: string;
  readonly ecu: EcuFacts;
}

export interface VerifiedBundle {
  /** The new trust, to be stored in place of the old one. */
  readonly trust: EcuTrust;
  /** Undefined: there is no image for this ECU. */
  readonly target: VerifiedTarget | undefined;
}

/** A refused bundle leaves the ECU's trust unchanged. */
export function verifyBundle(options: BundleVerification): Verdict<VerifiedBundle> {
  return options.verification === 'full' ? verifyFully(options) : verifyPartially(options);
}

/** 5.4.4.1: Root and Targets of the Director. */
function verifyPartially(options: BundleVerification): Verdict<VerifiedBundle> {
  const { bundle, nowMs, vin, ecu, trust } = options;
  const holder: TrustHolder = { trust: trust.director };
  const roots = new Retrieval(rootSteps(holder, nowMs, false));
  for (let request = roots.next(); request !== undefined; request = roots.next()) {
    roots.accept(answerFrom(bundle.director, request));
  }
  const rotated = present(roots.outcome, 'the outcome of the Roots');
  if (!rotated.ok) return at('director', rotated);
  const targets = newTargets(holder.trust, bundle, nowMs);
  if (!targets.ok) return at('director', targets);
  const { dialect } = holder.trust;
  // Read after the update of Root: if a new Root removed a stolen key, its Targets set no floor.
  const previous = holder.trust.targets.get('targets');
  const rules = { dialect, vin, ecus: [ecu], primary: false, previous };
  const assigned = readDirector(targets.value, rules);
  if (!assigned.ok) return at('director', assigned);
  const director = withTargets(holder.trust, 'targets', targets.value);
  return accepted({ trust: { ...trust, director }, target: assigned.value[0] });
}

function newTargets(
  trust: RepositoryTrust,
  bundle: MetadataBundle,
  nowMs: number,
): Verdict<Trusted<Targets>> {
  const bytes = bundle.director.get('targets.json');
  if (bytes === undefined) {
    return refused('MISSING_METADATA', 'targets', 'the bundle has no targets.json of the Director');
  }
  return nextTargets(trust, topAuthority(trust.root, 'targets'), bytes, nowMs);
}

/** 5.4.4.2, with the bundle in place of the network. */
function verifyFully(options: BundleVerification): Verdict<VerifiedBundle> {
  const { bundle, nowMs, vin, ecu } = options;
  const { director, images } = options.trust;
  if (images === undefined) {
    const reason = 'this ECU has no trust anchor of the image repository: provision it again';
    return refused('MISSING_METADATA', 'images root', reason);
  }
  const trust = { director, images };
  const verification = new FullVerification({
    trust,
    nowMs,
    vin,
    ecus: [ecu],
    primary: false,
    // The running image may be older than the ECU's full verification, so the image repository is checked each time.
    alwaysCheckImages: true,
  });
  for (let next = verification.next(); next !== undefined; next = verification.next()) {
    const { repository, request } = next;
    verification.accept(answerFrom(bundle[repository], request, kept(trust, repository, request)));
  }
  const outcome = present(verification.outcome, 'the outcome of the verification');
  if (!outcome.ok) return outcome;
  return accepted({ trust: verification.trust, target: outcome.value[0] });
}

/** The stored Timestamp, which need not be in the bundle again: it is valid until its expiry. */
function kept(
  trust: Readonly<Record<RepositoryName, RepositoryTrust>>,
  repository: RepositoryName,
  request: MetadataRequest,
): Uint8Array | undefined {
  return request.role === 'timestamp' ? trust[repository].timestamp?.bytes : undefined;
}

function answerFrom(
  files: ReadonlyMap<string, Uint8Array>,
  request: MetadataRequest,
  otherwise?: Uint8Array,
): MetadataAnswer {
  const name = request.role === 'root' ? request.file : fileOf(request.role);
  const bytes = files.get(name) ?? otherwise;
  return bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes };
}
