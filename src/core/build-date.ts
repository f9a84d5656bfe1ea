// When this package was built: no right clock shows an earlier time.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { InputError } from './errors.ts';
import { packageRoot } from './package-root.ts';

/** Holds `{"builtAt": "2026-11-29T12:00:00.000Z"}`; `npm run build` writes it. */
const BUILD_DATE_FILE = path.join(packageRoot, 'dist', 'build-date.json');
/** The date of the sources, for a clone that was never built. */
const SOURCE_DATE_MS = Date.UTC(2026, 8, 1);
/**
 * A clock that is a little slow is not refused: the machine that builds may have been fast. This check finds clocks
 * that were reset (1970, 2000, the date of the firmware).
 */
const TOLERANCE_MS = 2 * 86_400_000;

/** In ms since 1970. `file` is for tests. */
export function buildDateMs(file: string = BUILD_DATE_FILE): number {
  try {
    const { builtAt } = JSON.parse(readFileSync(file, 'utf8')) as { builtAt?: unknown };
    const builtMs = typeof builtAt === 'string' ? Date.parse(builtAt) : Number.NaN;
    return Number.isNaN(builtMs) ? SOURCE_DATE_MS : Math.max(builtMs, SOURCE_DATE_MS);
  } catch {
    return SOURCE_DATE_MS;
  }
}

/** Throws InputError for a clock that is before the build date: what it signs would expire too early or be refused. */
export function requirePlausibleClock(nowMs: number, builtMs: number = buildDateMs()): void {
  if (nowMs >= builtMs - TOLERANCE_MS) return;
  const [now, built] = [nowMs, builtMs].map((ms) => new Date(ms).toISOString());
  throw new InputError(
    'clock',
    `this machine says ${now}, and this can-ota was built at ${built}: the clock is wrong. ` +
      'Set it (timedatectl set-ntp true), then run the command again. Nothing was changed',
  );
}
