// One full verification of two repositories, from the trusted state to a verdict: the work of `can-ota verify`.

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
  /** Storage of the state folder. */
  readonly storage: Storage;
  readonly dialect: Dialect;
  /** One time for the whole run, in ms since 1970. */
  readonly nowMs: number;
  readonly vin: string | undefined;
  readonly ecus: readonly EcuFacts[];
  /** Whether `ecus` are all ECUs of the vehicle. */
  readonly primary: boolean;
  /** Given first Roots, for a state that has none. */
  readonly anchors: Readonly<Partial<Record<RepositoryName, Uint8Array>>>;
  /** Prints a warning that is no fault. */
  readonly warn: (text: string) => void;
}

export interface VerifyResult {
  readonly outcome: Verdict<readonly VerifiedTarget[]>;
  /** The trusted metadata, also after a refusal. */
  readonly trust: Partial<VehicleTrust>;
  readonly trustedOnFirstUse: readonly RepositoryName[];
  /**
   * The metadata bundle for one of the ECUs as it is sent over the bus, with all Roots from the first trusted one on.
   */
  bundle(serial: string): Uint8Array;
}

type States = Partial<Record<RepositoryName, RepositoryState>>;

/** Throws SourceError where a repository cannot be reached, and StorageError. */
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
        `${name}/${file} in the state is damaged or does not fit its Root: it is fetched again`,
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
    // The user wants both repositories verified, also where no image is assigned.
    alwaysCheckImages: true,
  });
  for (let next = verification.next(); next !== undefined; next = verification.next()) {
    verification.accept(await job.sources[next.repository].answer(next.request));
    // Verified files are kept, also when the next file is rejected: they guard against rollback.
    for (const name of REPOSITORIES) await stateOf(states, name).keep(verification.trust[name]);
  }
  return present(verification.outcome, 'the outcome of the verification');
}

/** Starts a state without a Root with the given Root, or with the first Root of the repository. */
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
    `TRUST ON FIRST USE: this Root comes from the ${name} repository itself and was not checked; give a trusted one with --${name}-root`,
  );
  return begun;
}

/** The first Root, so that all later Roots are checked one by one; a repository without versions has only the latest. */
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

/** The trust of states that have a Root. */
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

/** Nothing is known of the ECU's state: the bundle has all metadata and no time, which needs the ECU's nonce. */
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
