// One full verification of two repositories, from what is trusted to a verdict: the work of `can-ota verify`.

import { present } from '../../core/present.ts';
import type { Storage } from '../../core/storage.ts';
import { accepted, refused, type Verdict } from '../../trust/attack.ts';
import { bundleFor, encodeBundle } from '../../trust/bundle.ts';
import type { VerifiedTarget } from '../../trust/director.ts';
import {
  type EcuFacts,
  FullVerification,
  type RepositoryName,
  type VehicleTrust,
} from '../../trust/full-verification.ts';
import { type Dialect, MAX_BYTES } from '../../trust/profile.ts';
import type { RepositoryTrust } from '../../trust/repository.ts';
import { fetchFile, Retrieval } from '../../trust/retrieval.ts';
import type { RepositorySource } from './source.ts';
import { RepositoryState } from './state.ts';

export const REPOSITORIES: readonly RepositoryName[] = ['director', 'images'];

export interface VerifyJob {
  readonly sources: Readonly<Record<RepositoryName, RepositorySource>>;
  /** The state folder. */
  readonly storage: Storage;
  readonly dialect: Dialect;
  /** One moment counts for the whole run, in ms since 1970. */
  readonly nowMs: number;
  readonly vin: string | undefined;
  readonly ecus: readonly EcuFacts[];
  /** `ecus` are all there are in the vehicle. */
  readonly primary: boolean;
  /** Roots that were handed over, for a state that has none. */
  readonly anchors: Readonly<Partial<Record<RepositoryName, Uint8Array>>>;
  /** For people: what they should know though it is no fault. */
  readonly warn: (text: string) => void;
}

export interface VerifyResult {
  readonly outcome: Verdict<readonly VerifiedTarget[]>;
  /** What is trusted now, also after a refusal. */
  readonly trust: Partial<VehicleTrust>;
  readonly trustedOnFirstUse: readonly RepositoryName[];
  /** The metadata for one of the ECUs as it travels over the bus, with the Roots from the first trusted one on. */
  bundle(serial: string): Uint8Array;
}

type States = Partial<Record<RepositoryName, RepositoryState>>;

/** Throws SourceError where a repository cannot be asked, and StorageError. */
export async function runVerification(job: VerifyJob): Promise<VerifyResult> {
  const states: States = {};
  const firstUse: RepositoryName[] = [];
  const outcome = await verifyWith(job, states, firstUse);
  return {
    outcome,
    trust: trustOf(states),
    trustedOnFirstUse: firstUse,
    bundle: (serial) => bundleOf(states, serial),
  };
}

async function verifyWith(
  job: VerifyJob,
  states: States,
  firstUse: RepositoryName[],
): Promise<Verdict<readonly VerifiedTarget[]>> {
  for (const name of REPOSITORIES) {
    const opened = await RepositoryState.open(job.storage, name, job.dialect);
    if (!opened.ok) return opened;
    states[name] = opened.value;
    for (const file of opened.value.dropped) {
      job.warn(
        `${name}/${file} in the state is damaged, or not for its Root: it is asked for anew`,
      );
    }
  }
  for (const name of REPOSITORIES) {
    const begun = await beginWith(job, name, stateOf(states, name), firstUse);
    if (!begun.ok) return begun;
  }
  const verification = new FullVerification({
    trust: wholeTrustOf(states),
    nowMs: job.nowMs,
    vin: job.vin,
    ecus: job.ecus,
    primary: job.primary,
    // Both repositories are what somebody wants to know about, whatever is assigned.
    alwaysCheckImages: true,
  });
  for (let next = verification.next(); next !== undefined; next = verification.next()) {
    verification.accept(await job.sources[next.repository].answer(next.request));
    // What was right stays, also when the next file is not: it guards against rollback.
    for (const name of REPOSITORIES) await stateOf(states, name).keep(verification.trust[name]);
  }
  return present(verification.outcome, 'the outcome of the verification');
}

/** A state that has no Root gets the one that was handed over, or the first one that the repository shows. */
async function beginWith(
  job: VerifyJob,
  name: RepositoryName,
  state: RepositoryState,
  firstUse: RepositoryName[],
): Promise<Verdict<void>> {
  const anchor = job.anchors[name];
  if (state.trust !== undefined) {
    if (anchor !== undefined) {
      const { version } = state.trust.root;
      job.warn(`--${name}-root is not used: the state trusts Root version ${version} already`);
    }
    return accepted(undefined);
  }
  if (anchor !== undefined) return state.begin(anchor);
  const root = await firstRoot(job.sources[name]);
  if (!root.ok) return { ...root, where: `${name} ${root.where}` };
  const begun = await state.begin(root.value);
  if (!begun.ok) return begun;
  firstUse.push(name);
  job.warn(
    `TRUST ON FIRST USE: the ${name} repository has shown this Root by itself, nobody has vouched for it; name one with --${name}-root`,
  );
  return begun;
}

/**
 * The first Root, so that all that came after it are checked one by one; a repository that keeps no versions has only
 * the latest.
 */
async function firstRoot(source: RepositorySource): Promise<Verdict<Uint8Array>> {
  for (const file of ['1.root.json', 'root.json']) {
    const request = { role: 'root', file, maxBytes: MAX_BYTES.root, optional: true };
    const retrieval = new Retrieval(fetchFile(request));
    retrieval.accept(await source.answer(request));
    const fetched = present(retrieval.outcome, 'the outcome of the retrieval');
    if (!fetched.ok) return fetched;
    if (fetched.value !== undefined) return accepted(fetched.value);
  }
  return refused('MISSING_METADATA', 'root', 'there is neither 1.root.json nor root.json');
}

function stateOf(states: States, name: RepositoryName): RepositoryState {
  return present(states[name], `the state of ${name}`);
}

/** Of states that have begun. */
function wholeTrustOf(states: States): VehicleTrust {
  const { director, images } = trustOf(states);
  return {
    director: present(director, 'the trust in director'),
    images: present(images, 'the trust in images'),
  };
}

function trustOf(states: States): Partial<VehicleTrust> {
  const known: Partial<Record<RepositoryName, RepositoryTrust>> = {};
  for (const name of REPOSITORIES) {
    const trust = states[name]?.trust;
    if (trust !== undefined) known[name] = trust;
  }
  return known;
}

/** Of an ECU nothing is known: it gets everything, and no time, which only its own nonce can ask for. */
function bundleOf(states: States, serial: string): Uint8Array {
  const roots = {
    director: stateOf(states, 'director').roots,
    images: stateOf(states, 'images').roots,
  };
  const state = {
    verification: 'full',
    director: { root: 1 },
    images: { root: 1 },
    counter: 0,
    time: null,
  } as const;
  return encodeBundle(bundleFor(wholeTrustOf(states), roots, state, null, serial));
}
