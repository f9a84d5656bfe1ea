// The steps at which people are told that signed metadata runs out.

import { expect, it } from 'vitest';
import { expiryStage, expiryWords } from '../../src/trust/expiry-stage.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 29);

it.each([
  [31, 'valid', 'expires in 31 days'],
  [30, 'month', 'expires in 30 days'],
  [7.5, 'month', 'expires in 7 days'],
  [7, 'week', 'expires in 7 days'],
  [1.5, 'week', 'expires in 1 day'],
  [1, 'day', 'expires within a day'],
  [0.001, 'day', 'expires within a day'],
  [0, 'expired', 'expired today'],
  [-0.9, 'expired', 'expired today'],
  [-1, 'expired', 'expired 1 day ago'],
  [-40.5, 'expired', 'expired 40 days ago'],
])('with %d days left it is %s: %s', (days, stage, words) => {
  const expiresMs = NOW + days * DAY_MS;
  expect(expiryStage(expiresMs, NOW)).toBe(stage);
  expect(expiryWords(expiresMs, NOW)).toBe(words);
});

it('counts to the millisecond', () => {
  expect(expiryStage(NOW + 30 * DAY_MS + 1, NOW)).toBe('valid');
  expect(expiryStage(NOW + 1, NOW)).toBe('day');
});
