// Delegated roles for tests.

import { TargetSearch } from '../../../src/trust/delegations.ts';
import type { RepositoryTrust } from '../../../src/trust/repository.ts';
import { MOCK_NOW_MS, type MockRepository } from '../../support/mock-repositories.ts';
import { updated } from './support.ts';

export interface Searched {
  readonly trust: RepositoryTrust;
  /** Roles whose files were asked for, in order. */
  readonly asked: readonly string[];
  readonly outcome: NonNullable<TargetSearch['outcome']>;
  /** Length of the image that was found, by which the tests tell who spoke. */
  readonly length: number | undefined;
}

export function search(
  repository: MockRepository,
  name: string,
  hardwareId?: string,
  trust: RepositoryTrust = updated(repository),
): Searched {
  const asking = new TargetSearch(trust, name, MOCK_NOW_MS, hardwareId);
  const asked: string[] = [];
  for (let next = asking.next(); next !== undefined; next = asking.next()) {
    asked.push(next.role);
    asking.accept(repository.answer(next));
  }
  const outcome = asking.outcome!;
  const length = outcome.ok ? outcome.value?.length : undefined;
  return { trust: asking.trust, asked, outcome, length };
}

export const ANY = { paths: ['*'] };
