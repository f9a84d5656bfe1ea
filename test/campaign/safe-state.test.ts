// A way back that failed: declared once, tried again at every start, left by success or by a new release.

import { describe, expect, it } from 'vitest';
import { commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { lostOf } from '../../src/campaign/mixed.ts';
import { IDLE, type SafeState } from '../../src/campaign/state.ts';
import {
  answered,
  downloads,
  failedStep,
  HAPPY,
  hash,
  offered,
  offeredWith,
  play,
  resultOf,
  resumed,
  rolledBack,
  SAFE,
  under,
} from './support.ts';

const poll: CampaignEvent = { kind: 'poll' };
const closed: CampaignEvent = { kind: 'closed' };
const nothing: CampaignEvent = { kind: 'nothing', outcome: 'UP_TO_DATE' };
const lostAgain = failedStep('roll-back', 'INV', 'SILENT');

describe('the safe state', () => {
  it('spells the mixed state out, per ECU', () => {
    const result = resultOf(SAFE.slice(0, -1));
    expect(result.outcome).toBe('ROLLBACK_FAILED');
    expect(result.code).toBe('REFUSED');
    expect(result.reason).toContain('EDT runs 1.0.0 (old)');
    expect(result.reason).toContain(
      'INV may run 2.0.0, it could not be taken back to 1.0.0: INV SILENT',
    );
    expect(result.reason).toContain('BMS runs 1.0.0 (old)');
    expect(result.ecus.map(({ reported }) => reported)).toEqual(['1.0.0', null, '1.0.0']);
    expect(result.ecus[1]!.error).toBe('INV SILENT');
  });

  it('is reported once, also when the process dies before that', () => {
    const before = play([...SAFE.slice(0, -1), resumed]).state;
    expect(commandsOf(before)).toMatchObject([{ kind: 'finish' }]);
    const { state } = play(SAFE);
    expect(state).toMatchObject({ kind: 'safe-state', reported: true, attempts: 0 });
    expect(commandsOf(state)).toEqual([]);
    // An attempt that fails says nothing new.
    const again = play([...SAFE, resumed, lostAgain]);
    expect(again.state).toMatchObject({ kind: 'safe-state', reported: true, attempts: 1 });
    expect(again.commands.filter((text) => text.startsWith('finish'))).toHaveLength(1);
  });

  it('is reported again when an attempt brings one of two ECUs back: what was told is not true any more', () => {
    const both = [...SAFE.slice(0, -2), failedStep('roll-back', 'EDT', 'SILENT'), closed];
    const { state } = play(both);
    expect(lostOf(state as SafeState)).toEqual(['EDT', 'INV']);
    const half = [...both, resumed, lostAgain, rolledBack('EDT')];
    expect(play(half).state).toMatchObject({ kind: 'safe-state', reported: false, attempts: 1 });
    const told = resultOf(half);
    expect(told).toMatchObject({ outcome: 'ROLLBACK_FAILED', id: offered.id });
    expect(told.reason).toContain('EDT runs 1.0.0 (old)');
    expect(told.reason).toContain('INV may run 2.0.0');
    // Then it is told, and the next attempt without news is not.
    const after = play([...half, closed, resumed, lostAgain]).state;
    expect(after).toMatchObject({ kind: 'safe-state', reported: true, attempts: 2 });
  });

  it('is tried to be left at every start, by the ECUs that are lost', () => {
    expect(play([...SAFE, resumed]).commands.at(-1)).toBe('roll-back INV');
    const events = [...SAFE, resumed, lostAgain, resumed, rolledBack('INV')];
    expect(play(events).commands.slice(-3)).toEqual([
      'roll-back INV',
      'roll-back INV',
      'finish ROLLBACK_COMPLETED',
    ]);
    expect(resultOf(events)).toMatchObject({
      id: offered.id,
      outcome: 'ROLLBACK_COMPLETED',
      code: 'RECOVERED',
      ecus: [{ reported: '1.0.0' }, { reported: '1.0.0' }, { reported: '1.0.0' }],
    });
    expect(play([...events, closed]).state).toEqual(IDLE);
  });
});

describe('a release in the safe state', () => {
  const id = 'd'.repeat(32);
  const other = (only: readonly string[]) => offeredWith({ id, only });
  /** The way to SUCCESS of a campaign for INV and BMS alone. */
  const success = under(other(['INV', 'BMS']), HAPPY)
    .filter((event) => !('ecu' in event) || event.ecu !== 'EDT')
    .filter((event) => event.kind !== 'downloaded' || event.sha256 !== hash('1'));

  it('leads out when it writes every ECU that is lost', () => {
    expect(play([...SAFE, ...success]).state).toMatchObject({
      kind: 'idle',
      finished: { outcome: 'SUCCESS', id },
      mixed: null,
    });
    expect(play([...SAFE, ...success, closed]).state).toEqual(IDLE);
    // A replay knows of no poll.
    const journaled = success.filter(({ kind }) => kind !== 'poll');
    expect(play([...SAFE, ...journaled, closed]).state).toEqual(IDLE);
  });

  it('that leaves one out is not begun', () => {
    const safe = play(SAFE).state;
    expect(play([other(['EDT', 'BMS'])], safe).state).toBe(safe);
    expect(play([poll, other(['EDT', 'BMS'])], safe).state).toBe(safe);
    expect(play([poll, nothing], safe).state).toBe(safe);
  });

  it('that does not succeed leads back to it', () => {
    const safe = play(SAFE).state;
    const denied = [other(['INV']), downloads[1]!, answered({ kind: 'denied' })];
    expect(play([poll, ...denied, closed], safe).state).toBe(safe);
    const later = [other(['INV']), downloads[1]!, answered({ kind: 'later', untilWallMs: 9 })];
    expect(play([...later, closed], safe).state).toBe(safe);
    const stopped: CampaignEvent = { kind: 'abandoned', reason: 'restart' };
    expect(play([other(['INV']), stopped], safe).state).toBe(safe);
  });

  it('that fails in its turn is taken back first', () => {
    const failing = success.slice(
      0,
      success.findIndex(({ kind }) => kind === 'activated'),
    );
    const second = [
      ...SAFE,
      ...failing,
      failedStep('activate', 'INV'),
      rolledBack('BMS'),
      failedStep('roll-back', 'INV', 'SILENT'),
      closed,
    ];
    const { state } = play(second);
    expect(state).toMatchObject({ kind: 'safe-state', campaign: { id } });
    const back = play([resumed, rolledBack('INV'), closed], state).state;
    expect(back).toMatchObject({ kind: 'safe-state', campaign: { id: offered.id } });
    expect(play([resumed, rolledBack('INV'), closed], back).state).toEqual(IDLE);
  });
});
