// Confirmation in two phases: until all are confirmed everything leads back; from the first counter on, nothing does.

import { describe, expect, it } from 'vitest';
import { commandsOf } from '../../src/campaign/commands.ts';
import {
  committed,
  confirmed,
  failedStep,
  HAPPY,
  play,
  resultOf,
  resumed,
  rolledBack,
  UNTIL_COMMITTING,
  UNTIL_CONFIRMED,
  UNTIL_VERIFYING,
  verified,
} from './support.ts';

describe('confirming', () => {
  it('raises no counter before all are confirmed', () => {
    const two = [...UNTIL_COMMITTING, confirmed('EDT'), confirmed('INV')];
    expect(play(two).commands.at(-1)).toBe('confirm BMS');
    const { state } = play(two);
    expect(play([committed('EDT')], state).state).toBe(state);
  });

  it('takes back all, the confirmed ones too, when one refuses', () => {
    const failed = [
      ...UNTIL_COMMITTING,
      confirmed('EDT'),
      confirmed('INV'),
      failedStep('confirm', 'BMS'),
    ];
    const back = [...failed, ...['BMS', 'INV', 'EDT'].map(rolledBack)];
    expect(play(back).commands.slice(-4)).toEqual([
      'roll-back BMS',
      'roll-back INV',
      'roll-back EDT',
      'finish ROLLBACK_COMPLETED',
    ]);
  });
});

describe('raising the counters', () => {
  it('is owed where it fails, and the update has succeeded all the same', () => {
    const failed = [
      ...UNTIL_CONFIRMED,
      committed('EDT'),
      failedStep('commit', 'INV', 'SILENT'),
      committed('BMS'),
    ];
    const result = resultOf(failed);
    expect(result).toMatchObject({ outcome: 'SUCCESS', uncommitted: ['INV'] });
    expect(result.warnings).toEqual([
      expect.stringContaining('INV runs the new version for good, but its security counter'),
    ]);
    expect(play(failed).commands).not.toContainEqual(expect.stringContaining('roll-back'));
  });

  it('is tried again as any other step first', () => {
    const silent = failedStep('commit', 'EDT', 'SILENT', true);
    const { commands } = play([...UNTIL_CONFIRMED, silent, silent]);
    expect(commands.slice(-2)).toEqual(['commit EDT after 2000', 'commit EDT after 4000']);
    expect(play([...UNTIL_CONFIRMED, silent, silent, silent]).state).toMatchObject({
      uncommitted: ['EDT'],
    });
  });

  it('is owed by all that are left when the process dies again and again', () => {
    const many = Array.from({ length: 21 }, () => resumed);
    const result = resultOf([...UNTIL_CONFIRMED, committed('EDT'), ...many]);
    expect(result).toMatchObject({ outcome: 'SUCCESS', uncommitted: ['INV', 'BMS'] });
  });

  it('all done leaves nothing owed', () => {
    expect(resultOf(HAPPY)).toMatchObject({ outcome: 'SUCCESS', uncommitted: [], warnings: [] });
  });
});

describe('trouble codes', () => {
  it('from before the update go to the verification of their own ECU', () => {
    const events = UNTIL_VERIFYING.map((event) =>
      event.kind === 'staged' && event.ecu === 'INV' ? { ...event, dtcs: ['C10017'] } : event,
    );
    const known = (state: ReturnType<typeof play>['state']) =>
      commandsOf(state).map((command) => (command.kind === 'ecu' ? command.knownDtcs : 'none'));
    expect(known(play(events).state)).toEqual([undefined]);
    expect(known(play([...events, verified('EDT')]).state)).toEqual([['C10017']]);
  });

  it('stay known when the activation carries the bytes', () => {
    const events = UNTIL_VERIFYING.map((event) => {
      if (event.kind === 'staged' && event.ecu === 'EDT')
        return { ...event, bytes: 0, seconds: 0, dtcs: ['123456'] };
      return event.kind === 'activated' && event.ecu === 'EDT'
        ? { ...event, bytes: 900, seconds: 3, resumedAt: 100 }
        : event;
    });
    const { state } = play(events);
    expect(state).toMatchObject({
      transfers: { EDT: { bytes: 900, seconds: 3, resumedAt: 100, dtcs: ['123456'] } },
    });
  });
});
