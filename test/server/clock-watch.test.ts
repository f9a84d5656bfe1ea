// What the server notices of its clock: jumps, and signed times that are not over yet; a new key of the role time ends it.

import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { AuditLog } from '../../server/features/audit/store.ts';
import { ClockWatch } from '../../server/features/operations/clock-watch.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Both hands are moved by the test, each by itself. */
class TwoHands implements Clock {
  monotonicMs = 1000;
  realMs = Date.UTC(2026, 0, 10);
  nowMs = (): number => this.monotonicMs;
  wallMs = (): number => this.realMs;
  after = (): never => {
    throw new Error('no timer is needed');
  };
  run(ms: number): void {
    this.monotonicMs += ms;
    this.realMs += ms;
  }
}

async function watched(file = new DatabaseSync(':memory:'), clock = new TwoHands()) {
  const db = await openDatabase(file, { clock, random: systemRandom });
  const log: string[] = [];
  const logger = { ...silentLogger, error: (_: unknown, text: string) => void log.push(text) };
  const audit = new AuditLog(db, silentLogger);
  return { watch: new ClockWatch({ db, clock, logger, audit }), clock, log, file, audit };
}

describe('the clock of the server', () => {
  it('that runs on is nothing to tell, a drift of hours over months neither', async () => {
    const { watch, clock, log } = await watched();
    for (let day = 0; day < 200; day++) {
      clock.run(DAY_MS);
      clock.realMs += 50_000;
      watch.look();
    }
    expect([watch.notices(), log]).toEqual([[], []]);
  });

  it.each([
    [DAY_MS, '24 hours ahead'],
    [-DAY_MS, '24 hours back'],
    [-400 * DAY_MS, '400 days back'],
    [61_000, 'a minute ahead'],
  ])('that jumps by %i ms is told in log, audit log and notices, for a day', async (byMs, text) => {
    const { watch, clock, log, audit } = await watched();
    clock.realMs += byMs;
    watch.look();
    watch.look();
    expect(log).toEqual([expect.stringContaining(`jumped ${text}`)]);
    expect(watch.notices()).toEqual([expect.stringContaining(`jumped ${text}`)]);
    const entries = await audit.list({ limit: 5, category: 'attacks' });
    expect(entries).toMatchObject([{ action: 'clock.jumped' }]);
    clock.run(DAY_MS + 1);
    expect(watch.notices()).toEqual([]);
  });

  it('that was ahead when it signed is told after it was set, over a restart, until the key has gone', async () => {
    const { watch, clock, log, file } = await watched();
    await watch.signs(['a'], clock.wallMs());
    clock.realMs += DAY_MS;
    await watch.signs(['a'], clock.wallMs());
    expect(watch.notices()).toEqual([expect.stringContaining('24 hours ahead')]);
    clock.realMs -= DAY_MS;
    expect(watch.notices()).toEqual([expect.stringContaining('can-ota keys reset-time')]);
    expect(log.at(-1)).toContain('signed times up to 2026-01-11T00:01:00.000Z');

    const again = await watched(file, clock);
    await again.watch.enter(['a']);
    expect(again.watch.notices()).toEqual([expect.stringContaining('can-ota keys reset-time')]);
    expect(again.log).toHaveLength(1);
    await again.watch.enter(['b']);
    expect(again.watch.notices()).toEqual([]);
  });

  it('that is behind what was signed before a restart is told at the start', async () => {
    const { watch, clock, file } = await watched();
    await watch.signs(['a'], clock.wallMs());
    clock.realMs -= DAY_MS;
    const again = await watched(file, clock);
    await again.watch.enter(['a']);
    expect(again.log).toEqual([expect.stringContaining('If the clock is wrong now, set it')]);
  });

  it('costs one write in a minute of signing', async () => {
    const { watch, clock, file } = await watched();
    const written = (): unknown =>
      file.prepare("SELECT value FROM counters WHERE name LIKE 'time-signed%'").get();
    await watch.signs(['a'], clock.wallMs());
    const first = written();
    clock.run(59_000);
    await watch.signs(['a'], clock.wallMs());
    expect(written()).toEqual(first);
    clock.run(2000);
    await watch.signs(['a'], clock.wallMs());
    expect(written()).not.toEqual(first);
  });
});
