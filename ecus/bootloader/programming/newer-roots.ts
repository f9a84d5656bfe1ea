// The Director's Roots in a bundle, from the trusted one on: the newest names who may sign the time.

import { accepted, type Verdict } from '../../../src/trust/attack.ts';
import { checkRootChain, type RepositoryTrust } from '../../../src/trust/repository.ts';

type TrustedRoot = RepositoryTrust['root'];

export interface NewerRoots {
  readonly newest: TrustedRoot;
  /** Texts of the newest and of all on the way to it. */
  readonly texts: readonly Uint8Array[];
}

/**
 * 5.4.4.3 step 2: each Root signed by the keys of the one before and by its own. Expiry is not looked at here: it
 * takes the time, and the time takes this.
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
