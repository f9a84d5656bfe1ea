// The history: campaigns as the journal tells them, also across files, kills and a safe state.

import { describe, expect, it } from 'vitest';
import { compacted } from '../../src/campaign/compaction.ts';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { historyOf } from '../../src/campaign/history.ts';
import type { JournalRecord } from '../../src/campaign/journal.ts';
import { lostOf } from '../../src/campaign/mixed.ts';
import { replay } from '../../src/campaign/reducer.ts';
import type { SafeState } from '../../src/campaign/state.ts';
import {
  answered,
  committed,
  downloads,
  failedStep,
  HAPPY,
  offered,
  offeredWith,
  resumed,
  rolledBack,
  SAFE,
  UNTIL_COMMITTING,
  UNTIL_CONFIRMED,
  UNTIL_STAGED,
  under,
} from './support.ts';

const closed: CampaignEvent = { kind: 'closed' };

/** As the journal holds them: without polls, a second apart. */
function recordsOf(events: readonly CampaignEvent[], from = 0): JournalRecord[] {
  return events
    .filter(({ kind }) => kind !== 'poll')
    .map((event, index) => ({ sequence: from + index, wallMs: 1000 * (from + index), event }));
}

describe('a campaign', () => {
  it('that succeeded, with all that is asked about it', () => {
    const events = HAPPY.map((event) =>
      event.kind === 'staged' && event.ecu === 'INV' ? { ...event, resumedAt: 512 } : event,
    );
    const records = recordsOf([...events, closed]);
    expect(historyOf(records)).toEqual([
      {
        id: offered.id,
        startedWallMs: offered.wallMs,
        endedWallMs: records.at(-2)!.wallMs,
        outcome: 'SUCCESS',
        code: null,
        reason: null,
        warnings: [],
        approvedBy: 'driver',
        restarts: 0,
        ecus: ['EDT', 'INV', 'BMS'].map((name) => ({
          name,
          from: '1.0.0',
          to: '2.0.0',
          reported: '2.0.0',
          unchanged: false,
          bytes: 1000,
          seconds: 2,
          ...(name === 'INV' ? { resumedAt: 512 } : {}),
        })),
      },
    ]);
  });

  it('that is under way, with what is known so far and how often it was killed', () => {
    const [entry] = historyOf(recordsOf([...UNTIL_STAGED.slice(0, -1), resumed, resumed]));
    expect(entry).toMatchObject({
      endedWallMs: null,
      outcome: null,
      restarts: 2,
      ecus: [{ bytes: 1000 }, { bytes: 1000 }, { bytes: 0 }],
    });
    const [verified] = historyOf(recordsOf(UNTIL_COMMITTING));
    expect(verified!.ecus.map(({ reported }) => reported)).toEqual(['2.0.0', '2.0.0', '2.0.0']);
  });

  it('that was refused, and by whom nothing was approved', () => {
    const events = [offered, ...downloads, answered({ kind: 'denied' }), closed];
    expect(historyOf(recordsOf(events))).toMatchObject([
      { outcome: 'USER_REJECTED', code: 'DENIED', approvedBy: null },
    ]);
  });

  it('that was taken back, with the reason and the error of its ECU', () => {
    const events = [
      ...UNTIL_COMMITTING,
      failedStep('confirm', 'EDT'),
      ...['BMS', 'INV', 'EDT'].map(rolledBack),
      closed,
    ];
    const [entry] = historyOf(recordsOf(events));
    expect(entry).toMatchObject({
      outcome: 'ROLLBACK_COMPLETED',
      code: 'REFUSED',
      reason: 'EDT REFUSED',
      ecus: [{ reported: '1.0.0', error: 'EDT REFUSED' }, {}, {}],
    });
    expect(entry!.ecus[1]).not.toHaveProperty('error');
  });

  it('that still owes a counter says so', () => {
    const events = [
      ...UNTIL_CONFIRMED,
      failedStep('commit', 'EDT'),
      committed('INV'),
      committed('BMS'),
    ];
    expect(historyOf(recordsOf(events))).toMatchObject([
      { outcome: 'SUCCESS', warnings: [expect.stringContaining('EDT runs the new version')] },
    ]);
  });

  it('that was dropped before anything happened is none', () => {
    const stopped: CampaignEvent = { kind: 'abandoned', reason: 'restart' };
    expect(historyOf(recordsOf([offered, stopped, ...HAPPY]))).toHaveLength(1);
    expect(historyOf(recordsOf([offered, stopped]))).toEqual([]);
  });
});

describe('who approved', () => {
  const by = (
    phase: 'download' | 'install' | 'activate',
    name: 'driver' | 'policy' | 'forced',
  ): CampaignEvent => answered({ kind: 'approved' }, phase, name);
  const events = (install: CampaignEvent): CampaignEvent[] => [offered, ...downloads, install];

  it.each(['driver', 'policy', 'forced'] as const)('%s', (name) => {
    expect(historyOf(recordsOf(events(by('install', name))))).toMatchObject([{ approvedBy: name }]);
  });
  it('the driver, where he was asked once in several phases', () => {
    const offer = offeredWith({ asks: ['download'] });
    const mixed = [offer, by('download', 'driver'), ...downloads, by('install', 'policy')];
    expect(historyOf(recordsOf(mixed))).toMatchObject([{ approvedBy: 'driver' }]);
  });
  it('nobody by an answer that came late', () => {
    const late = [offered, by('install', 'driver'), downloads[0]!];
    expect(historyOf(recordsOf(late))).toMatchObject([{ approvedBy: null }]);
  });
});

describe('the safe state', () => {
  const recovered = [...SAFE, resumed, rolledBack('INV'), closed];

  it('is one campaign, whose end is told until it is left', () => {
    const safe = recordsOf(SAFE);
    expect(historyOf(safe)).toMatchObject([
      { outcome: 'ROLLBACK_FAILED', code: 'REFUSED', endedWallMs: safe.at(-2)!.wallMs },
    ]);
    const trying = historyOf(recordsOf([...SAFE, resumed]));
    expect(trying).toMatchObject([{ outcome: 'ROLLBACK_FAILED', restarts: 0 }]);
    expect(historyOf(recordsOf(recovered))).toMatchObject([
      { outcome: 'ROLLBACK_COMPLETED', code: 'RECOVERED', ecus: [{}, { reported: '1.0.0' }, {}] },
    ]);
  });

  it('comes once from a journal that was shortened and the file before it', () => {
    const lost = failedStep('roll-back', 'INV', 'SILENT');
    const old = recordsOf([...HAPPY, closed, ...SAFE.map(renamed), resumed, lost]);
    const needed = compacted(old)!;
    expect(needed.map(({ event }) => event)).toEqual(SAFE.slice(1).map(renamed));
    expect(replay(needed)).toMatchObject({ kind: 'safe-state', attempts: 0 });
    const both = historyOf([...old, ...needed]);
    expect(both.map(({ id, outcome }) => [id[0], outcome])).toEqual([
      ['a', 'SUCCESS'],
      ['f', 'ROLLBACK_FAILED'],
    ]);
    expect(both[1]!.endedWallMs).toBe(historyOf(old)[1]!.endedWallMs);
  });

  it('and the campaign that led out of it are two', () => {
    const id = 'd'.repeat(32);
    const way = under(offeredWith({ id }), HAPPY);
    const entries = historyOf(recordsOf([...SAFE, ...way, closed]));
    expect(entries.map(({ outcome }) => outcome)).toEqual(['ROLLBACK_FAILED', 'SUCCESS']);
  });
});

const renamed = (event: CampaignEvent): CampaignEvent =>
  event.kind === 'offered' ? { ...event, id: 'f'.repeat(32) } : event;

describe('several files', () => {
  it('follow each other without a seam', () => {
    const first = recordsOf([...HAPPY, closed]);
    const second = recordsOf([...HAPPY.map(renamed), closed], 100);
    const both = historyOf([...first, ...second]);
    expect(both.map(({ outcome }) => outcome)).toEqual(['SUCCESS', 'SUCCESS']);
    expect(both[1]!.endedWallMs).toBe(second.at(-2)!.wallMs);
  });
  it('one that is cut short does not swallow the next', () => {
    const first = recordsOf(UNTIL_STAGED);
    const second = recordsOf([...HAPPY.map(renamed), closed], 100);
    expect(historyOf([...first, ...second]).map(({ outcome }) => outcome)).toEqual([
      null,
      'SUCCESS',
    ]);
    // And one without its beginning tells nothing of what it does not know.
    expect(historyOf(first.slice(1))).toEqual([]);
  });
});

describe('what a journal of a safe state needs', () => {
  it('is nothing but the safe state', () => {
    expect(compacted(recordsOf(HAPPY))).toBeUndefined();
    expect(compacted(recordsOf(UNTIL_STAGED))).toBeUndefined();
    const all = recordsOf(SAFE);
    expect(compacted(all)).toEqual(all);
  });

  it('keeps the attempt that brought one of two ECUs back', () => {
    const both = [...SAFE.slice(0, -2), failedStep('roll-back', 'EDT'), closed];
    const lostAgain = failedStep('roll-back', 'INV');
    const nothingBack = [resumed, lostAgain, failedStep('roll-back', 'EDT')];
    const half = [resumed, lostAgain, rolledBack('EDT'), closed];
    const records = recordsOf([...both, ...nothingBack, ...half, resumed, lostAgain, resumed]);
    const needed = compacted(records)!;
    expect(needed.map(({ event }) => event)).toEqual(
      recordsOf([...both, ...half]).map(({ event }) => event),
    );
    const state = replay(needed);
    expect(state).toMatchObject({ kind: 'safe-state', reported: true });
    expect(lostOf(state as SafeState)).toEqual(['INV']);
  });

  it('keeps the one below a later one', () => {
    const offer = offeredWith({ id: 'd'.repeat(32), only: ['INV'] });
    const second = [
      offer,
      downloads[1]!,
      ...HAPPY.filter((event) => event.kind === 'answered' || event.kind === 'gate').slice(0, 2),
      ...HAPPY.filter((event) => event.kind === 'staged' && event.ecu === 'INV'),
      ...HAPPY.filter((event) => event.kind === 'gate').slice(1),
      failedStep('activate', 'INV'),
      failedStep('roll-back', 'INV'),
      closed,
    ];
    const attempts = [resumed, failedStep('roll-back', 'INV')];
    const records = recordsOf([...SAFE, ...attempts, ...second, ...attempts, resumed]);
    const needed = compacted(records)!;
    const state = replay(needed);
    expect(state).toMatchObject({
      kind: 'safe-state',
      campaign: { id: 'd'.repeat(32), mixed: { campaign: { id: offered.id } } },
    });
    expect(records.length - needed.length).toBe(5);
    // The later one is left, and the process dies in an attempt to leave the one below.
    const left = [...SAFE, ...second, resumed, rolledBack('INV'), closed];
    const below = compacted(recordsOf([...left, resumed]))!;
    expect(below.map(({ event }) => event)).toEqual(SAFE.slice(1));
  });
});
