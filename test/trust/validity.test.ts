// How long each signature lasts unless told otherwise.

import { expect, it } from 'vitest';
import { DEFAULT_VALIDITY_MS, ROOT_VALIDITY_MS } from '../../src/trust/repository-writer.ts';

it('is a day for what is signed all the time, a week for the snapshot, a year for the rest', () => {
  const days = (ms: number): number => ms / 86_400_000;
  expect(days(DEFAULT_VALIDITY_MS.timestamp)).toBe(1);
  expect(days(DEFAULT_VALIDITY_MS.snapshot)).toBe(7);
  expect(days(DEFAULT_VALIDITY_MS.targets)).toBe(365);
  expect(days(ROOT_VALIDITY_MS)).toBe(365);
});
