// The Director's Roots in a bundle after the trusted one; the newest names the keys that may sign the time.

import { accepted, type Verdict } from '../../../src/trust/attack.ts';
import { checkRootChain, type RepositoryTrust } from '../../../src/trust/repository.ts';

type TrustedRoot = RepositoryTrust['root'];

export interface NewerRoots {
  readonly newest: TrustedRoot;
  /** Texts of all newer Roots, the newest last. */
  readonly texts: readonly Uint8Array[];
}

/**
 * 5.4.4.3 step 2: each Root must be signed by the keys of the previous one and by its own. Expiry is not checked here,
 * because it needs the time, and the check of the time needs these Roots.
 */
export function newerRoots(
  { root, dialect }: RepositoryTrust,
  files: ReadonlyMap<string, Uint8Array>,
): Verdict<NewerRoots> {
  let newest = root;
  const texts = [root.bytes];
  for (;;) {
    const text = files.get(`${newest.version + 1}.root.json`);
    if (text === undefined) return accepted({ newest, texts });
    const next = checkRootChain(newest.bytes, text, dialect);
    if (!next.ok) return next;
    newest = next.value;
    texts.push(newest.bytes);
  }
}
