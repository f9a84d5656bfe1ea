// Work that is left after a campaign: counters that were not raised, and a mixed state that ends as soon as possible.

import { describe, expect, it } from 'vitest';
import { bytesOf, World } from './support.ts';

function world(): World {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
  return w;
}

/** Lets `method` of an ECU fail until it is repaired. */
function breaks(w: World, ecu: string, method: string): { mend(): void } {
  const fake = w.ecu(ecu);
  const failure = {
    ok: false,
    code: 'REFUSED',
    reason: `${ecu} refuses`,
    transient: false,
    changed: 'unknown',
  } as const;
  fake.faults[method] = Array.from({ length: 10_000 }, () => failure);
  return {
    mend: () => {
      delete fake.faults[method];
    },
  };
}

const commits = (w: World, ecu: string): number =>
  w.ecu(ecu).calls.filter((call) => call === 'commit').length;

/** Runs the daemon for this long and stops it. */
async function runFor(w: World, ms: number, pollMs = 60_000): Promise<void> {
  const abort = new AbortController();
  const tmu = w.tmu({ pollMs });
  const running = tmu.run(abort.signal);
  await w.clock.advance(ms);
  abort.abort();
  await w.clock.within(5000, running);
  await tmu.close();
}

describe('a security counter that cannot be raised', () => {
  it('does not undo the success: it is said, and owed', async () => {
    const w = world();
    const broken = breaks(w, 'INV', 'commit');
    const result = await w.once();
    expect(result.outcome).toBe('SUCCESS');
    expect(result.warnings).toEqual([expect.stringContaining('INV')]);
    expect(w.ecu('EDT').counterOf).toBe('2.0.0');
    expect(w.ecu('INV').counterOf).toBeUndefined();
    expect(w.ecu('INV').calls).not.toContain('rollback');
    expect(w.backend.reports[0]).toMatchObject({ outcome: 'SUCCESS', warnings: result.warnings });
    // The next start tries it and reports that it failed.
    await w.once();
    expect(w.eventsOf('warning').at(-1)).toMatchObject({ ecu: 'INV' });
    broken.mend();
    await w.once();
    expect(w.ecu('INV').counterOf).toBe('2.0.0');
    const count = commits(w, 'INV');
    await w.once();
    expect(commits(w, 'INV')).toBe(count);
  });

  it('is tried after growing pauses while the daemon runs', async () => {
    const w = world();
    breaks(w, 'INV', 'commit');
    const at: number[] = [];
    w.ecu('INV').onCall = (_ecu, call) => {
      if (call === 'commit') at.push(w.clock.nowMs());
    };
    await runFor(w, 4 * 3_600_000);
    const pauses = at
      .slice(1)
      .map((ms, index) => Math.min(60, Math.round((ms - at[index]!) / 60_000)));
    const tries = pauses.length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(12);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(pauses.at(-1)).toBe(60);
  });

  it('is settled by the next update of the same ECU', async () => {
    const w = world();
    const broken = breaks(w, 'INV', 'commit');
    await w.once();
    w.backend.release('INV', '3.0.0', bytesOf(300, 3));
    await w.clock.advance(1);
    // The try at the next start fails once more; the try of the new campaign works.
    w.ecu('INV').onCall = (_ecu, call) => {
      if (call === 'stage') broken.mend();
    };
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.ecu('INV').counterOf).toBe('3.0.0');
    expect(JSON.parse(w.file('state.json')!).owedCommits).toEqual([]);
  });

  it('is never raised while a campaign is under way', async () => {
    const w = world();
    breaks(w, 'INV', 'commit').mend();
    w.ecu('INV').fail('commit', 'REFUSED');
    await w.once();
    w.backend.release('INV', '3.0.0', bytesOf(300, 3));
    const abort = new AbortController();
    w.ecu('INV').fail('commit', 'REFUSED');
    w.ecu('INV').onCall = (_ecu, call) => {
      if (call === 'verify') abort.abort();
    };
    await w.once({}, abort.signal);
    const before = commits(w, 'INV');
    w.ecu('INV').onCall = (ecu, call) => {
      // The fake throws when it is asked for this during a trial.
      if (call === 'commit') expect(ecu.mode).toBe('confirmed');
    };
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(commits(w, 'INV')).toBe(before + 1);
  });
});

describe('a mixed state', () => {
  /** INV fails, and EDT cannot be rolled back. */
  async function mixed(): Promise<{ w: World; edt: { mend(): void } }> {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    const edt = breaks(w, 'EDT', 'rollback');
    expect((await w.once()).outcome).toBe('ROLLBACK_FAILED');
    return { w, edt };
  }
  const rollbacks = (w: World): number =>
    w.ecu('EDT').calls.filter((call) => call === 'rollback').length;

  it('is spelled out to the driver and the backend, once', async () => {
    const { w } = await mixed();
    const text = 'EDT may run 2.0.0';
    expect(w.approver.told).toEqual([expect.stringContaining(text)]);
    expect(w.backend.reports).toMatchObject([
      { outcome: 'ROLLBACK_FAILED', reason: expect.stringContaining(text) },
    ]);
    const again = await w.once();
    expect(again).toMatchObject({ outcome: 'ROLLBACK_FAILED', remembered: true });
    expect(again.reason).toContain(text);
    expect(w.backend.reports.filter(({ outcome }) => outcome !== 'UP_TO_DATE')).toHaveLength(1);
    expect(w.eventsOf('state').at(-1)).toMatchObject({ state: 'safe-state' });
  });

  it('is left by the next start after which the ECU goes back', async () => {
    const { w, edt } = await mixed();
    const before = rollbacks(w);
    await w.once();
    expect(rollbacks(w)).toBe(before + 1);
    edt.mend();
    expect(await w.once()).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'RECOVERED' });
    expect(w.ecu('EDT').active.version).toBe('1.0.0');
    expect(w.backend.reports.at(-1)).toMatchObject({
      outcome: 'ROLLBACK_COMPLETED',
      code: 'RECOVERED',
    });
    // The release still counts as failed.
    expect(await w.once()).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', remembered: true });
    expect(w.approver.asked).toHaveLength(1);
  });

  it('that is reported late is reported with both its ends', async () => {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    const edt = breaks(w, 'EDT', 'rollback');
    const report = w.backend.report.bind(w.backend);
    w.backend.report = async () => ({
      kind: 'failed',
      code: 'ECONNREFUSED',
      reason: 'away',
      transient: true,
      changed: 'unknown',
    });
    await w.once();
    edt.mend();
    w.backend.report = report;
    await w.once();
    expect(w.backend.reports.map(({ outcome }) => outcome)).toEqual([
      'ROLLBACK_FAILED',
      'ROLLBACK_COMPLETED',
    ]);
  });

  it('is tried again after growing pauses while the daemon runs, and does not stop the polls', async () => {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    breaks(w, 'EDT', 'rollback');
    const at: number[] = [];
    w.ecu('EDT').onCall = (_ecu, call) => {
      if (call === 'rollback') at.push(w.clock.nowMs());
    };
    await runFor(w, 6 * 3_600_000);
    const pauses = at
      .slice(1)
      .map((ms, index) => Math.min(60, Math.round((ms - at[index]!) / 60_000)));
    expect(pauses[0]).toBeGreaterThanOrEqual(1);
    expect(pauses[0]).toBeLessThan(4);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(pauses.at(-1)).toBe(60);
    expect(pauses.length).toBeGreaterThan(6);
    expect(pauses.length).toBeLessThan(14);
    expect(w.backend.calls.filter((call) => call.startsWith('latest')).length).toBeGreaterThan(100);
  });

  it('that was just declared has a minute of peace', async () => {
    const w = world();
    w.ecu('INV').fail('verify', 'SELF_TEST');
    breaks(w, 'EDT', 'rollback');
    await runFor(w, 60_000, 5000);
    expect(rollbacks(w)).toBe(1);
  });

  it('is led out of by a release for the ECU that is lost, and by no other', async () => {
    const { w } = await mixed();
    w.backend.release('INV', '3.0.0', bytesOf(300, 3));
    expect(await w.once()).toMatchObject({ outcome: 'ROLLBACK_FAILED' });
    expect(w.approver.asked).toHaveLength(1);
    w.backend.release('EDT', '3.0.0', bytesOf(300, 4));
    w.ecu('EDT').mode = 'confirmed'; // an ECU on trial accepts no other image; it ends the trial by itself
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(['EDT', 'INV'].map((name) => w.ecu(name).active.version)).toEqual(['3.0.0', '3.0.0']);
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
  });
});
