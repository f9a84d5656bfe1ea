// When this package was built: a clock that shows an earlier time is wrong.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { InputError } from './errors.ts';
import { packageRoot } from './package-root.ts';

/** Holds `{"builtAt": "2026-11-29T12:00:00.000Z"}`; `npm run build` writes it. */
const BUILD_DATE_FILE = path.join(packageRoot, 'dist', 'build-date.json');
/** The date of the sources, for a clone that was never built. */
const SOURCE_DATE_MS = Date.UTC(2026, 8, 1);
/**
 * How far a clock may be behind the build date: the clock of the build machine may have been fast. The check finds
 * clocks that were reset (1970, 2000, the date of the firmware).
 */
const TOLERANCE_MS = 2 * 86_400_000;

/** The build date in ms since 1970. Tests hand in another `file`. */
export function buildDateMs(file: string = BUILD_DATE_FILE): number {
  try {
    const { builtAt } = JSON.parse(readFileSync(file, 'utf8')) as { builtAt?: unknown };
    const builtMs = typeof builtAt === 'string' ? Date.parse(builtAt) : Number.NaN;
    return Number.isNaN(builtMs) ? SOURCE_DATE_MS : Math.max(builtMs, SOURCE_DATE_MS);
  } catch {
    return SOURCE_DATE_MS;
  }
}

/** Throws InputError for a clock before the build date: signatures made by it would expire too early or be refused. */
export function requirePlausibleClock(nowMs: number, builtMs: number = buildDateMs()): void {
  if (nowMs >= builtMs - TOLERANCE_MS) return;
  const [now, built] = [nowMs, builtMs].map((ms) => new Date(ms).toISOString());
  throw new InputError(
    'clock',
    `this machine says ${now}, and this can-ota was built at ${built}: the clock is wrong. ` +
      'Set it (timedatectl set-ntp true), then run the command again. Nothing was changed',
  );
}
