// What the tests of the verifier share: an update of one mock repository from what is trusted already.

import type { TrustFault, Verdict } from '../../../src/trust/attack.ts';
import {
  type RepositoryTrust,
  RepositoryUpdate,
  trustRoot,
  type UpdateOptions,
} from '../../../src/trust/repository.ts';
import { MOCK_NOW_MS, MockRepository, serveUpdate } from '../../support/mock-repositories.ts';

export const DAY_MS = 86_400_000;

/** For verdicts that must be good. */
export function must<T>(verdict: Verdict<T>): T {
  if (!verdict.ok) throw new Error(`${verdict.where}: ${verdict.code}: ${verdict.reason}`);
  return verdict.value;
}

/** One image, everything signed. */
export function mockImages(): MockRepository {
  return new MockRepository('images', { nowMs: MOCK_NOW_MS }).addTarget('app.bin', image(1));
}

export function image(length: number) {
  return { length, hashes: { sha256: length.toString(16).padStart(64, '0') } };
}

export function anchorOf(repository: MockRepository): RepositoryTrust {
  return must(trustRoot(repository.anchor));
}

export interface Updated {
  readonly trust: RepositoryTrust;
  readonly fault: TrustFault | undefined;
}

export function update(
  repository: MockRepository,
  trust: RepositoryTrust,
  nowMs: number = MOCK_NOW_MS,
  options?: UpdateOptions,
): Updated {
  const refresh = new RepositoryUpdate(trust, nowMs, options);
  const fault = serveUpdate(repository, refresh);
  return { trust: refresh.trust, fault };
}

/** An update that must go through. */
export function updated(
  repository: MockRepository,
  trust: RepositoryTrust = anchorOf(repository),
  nowMs?: number,
): RepositoryTrust {
  const result = update(repository, trust, nowMs);
  if (result.fault !== undefined) throw new Error(JSON.stringify(result.fault));
  return result.trust;
}
