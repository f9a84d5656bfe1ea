// A clock before the build date: what is refused, and what a package without a date falls back to.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { buildDateMs, requirePlausibleClock } from '../../src/core/build-date.ts';
import { systemClock } from '../../src/core/clock.ts';
import { InputError } from '../../src/core/errors.ts';

const BUILT = Date.UTC(2026, 10, 29, 12);
const DAY_MS = 86_400_000;

it('refuses a clock that was reset, and says what to do', () => {
  for (const nowMs of [0, Date.UTC(2000, 0, 1), BUILT - 3 * DAY_MS]) {
    const check = (): void => requirePlausibleClock(nowMs, BUILT);
    expect(check).toThrow(InputError);
    expect(check).toThrow(/was built at 2026-11-29T12:00:00.000Z: the clock is wrong. Set it/);
  }
});

it('lets a clock pass that is right, fast, or slow by a day', () => {
  for (const nowMs of [BUILT, BUILT - DAY_MS, BUILT + 20_000 * DAY_MS]) {
    requirePlausibleClock(nowMs, BUILT);
  }
  requirePlausibleClock(systemClock.wallMs());
});

it('reads the date of the build, and does without one', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'can-ota-build-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'build-date.json');
  const earliest = buildDateMs(file);
  expect(earliest).toBeGreaterThan(Date.UTC(2026, 0, 1));
  writeFileSync(file, JSON.stringify({ builtAt: '2027-01-01T00:00:00Z' }));
  expect(buildDateMs(file)).toBe(Date.UTC(2027, 0, 1));
  for (const text of [
    '',
    '{}',
    '{"builtAt": "yesterday"}',
    '{"builtAt": "1970-01-01T00:00:00Z"}',
  ]) {
    writeFileSync(file, text);
    expect([text, buildDateMs(file)]).toEqual([text, earliest]);
  }
});
