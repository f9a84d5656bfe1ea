// ECUs of one rank go together, ranks one after the other; staging is bound by the buses alone.

import { describe, expect, it } from 'vitest';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import {
  activated,
  approved,
  changing,
  committed,
  confirmed,
  downloads,
  failedStep,
  NAMES,
  offeredWith,
  openGate,
  play,
  rolledBack,
  staged,
  touchedIn,
  verified,
} from './support.ts';

/** EDT and INV together, BMS after them. */
const offer = offeredWith({ ranks: [0, 0, 1] });
const STAGED = [offer, ...downloads, approved, openGate('stage'), ...NAMES.map(staged)];
const ACTIVATING = [...STAGED, openGate('activate')];

const lastOf = (events: readonly CampaignEvent[], count: number): readonly string[] =>
  play(events).commands.slice(-count);

describe('ranks', () => {
  it('activates, verifies, confirms and commits each rank together', () => {
    // In the group the answers come in any order.
    const pairs = (done: (ecu: string) => CampaignEvent) => ['INV', 'EDT', 'BMS'].map(done);
    const events = [
      ...ACTIVATING,
      ...pairs(activated),
      ...pairs(verified),
      ...pairs(confirmed),
      ...pairs(committed),
    ];
    expect(play(events).commands.slice(-14)).toEqual([
      'gate activate',
      ...['activate', 'verify', 'confirm', 'commit'].flatMap((step) =>
        ['EDT', 'INV', 'BMS'].map((ecu) => `${step} ${ecu}`),
      ),
      'finish SUCCESS',
    ]);
  });

  it('begins a rank when the one before it is complete', () => {
    expect(play([...ACTIVATING, activated('INV')]).commands.at(-1)).toBe('activate INV');
    expect(play([...ACTIVATING, activated('INV'), activated('EDT')]).commands.at(-1)).toBe(
      'activate BMS',
    );
  });

  it('takes nothing of a later rank before its turn', () => {
    const { state } = play([...ACTIVATING, activated('BMS')]);
    expect(state).toMatchObject({ kind: 'activating', activated: [] });
  });

  it('goes back in reverse, a rank together, with all of the rank as touched', () => {
    const failed = [...ACTIVATING, activated('INV'), failedStep('activate', 'EDT')];
    expect(touchedIn(play(failed).state)).toEqual(['EDT', 'INV']);
    expect(lastOf(failed, 1)).toEqual(['roll-back BMS']);
    const back = [...failed, rolledBack('BMS')];
    expect(lastOf(back, 2)).toEqual(['roll-back INV', 'roll-back EDT']);
    // In any order, and one that fails does not keep the other from it.
    const end = [...back, failedStep('roll-back', 'INV', 'SILENT'), rolledBack('EDT')];
    expect(play(end).state).toMatchObject({ kind: 'safe-state', undone: { EDT: {}, BMS: {} } });
  });

  it('a try that failed is counted for its ECU alone', () => {
    const silent = failedStep('activate', 'EDT', 'SILENT', true);
    const { state } = play([...ACTIVATING, silent, activated('INV')]);
    expect(state).toMatchObject({ tries: { EDT: { failed: 1 } } });
    expect(play([...ACTIVATING, silent, activated('EDT'), silent]).state).toMatchObject({
      activated: ['EDT'],
      tries: {},
    });
  });
});

describe('staging', () => {
  const stage = (buses: readonly string[]): CampaignEvent[] => [
    offeredWith({ buses }),
    ...downloads,
    approved,
    openGate('stage'),
  ];

  it('one at a time on one bus, whatever the ranks are', () => {
    const one = [offer, ...downloads, approved, openGate('stage')];
    expect(lastOf(one, 1)).toEqual(['stage EDT']);
    expect(play([...one, staged('INV')]).state).toMatchObject({ staged: {} });
    expect(lastOf([...one, staged('EDT')], 1)).toEqual(['stage INV']);
  });

  it('different buses at the same time', () => {
    const two = stage(['body', 'drive', 'body']);
    expect(lastOf(two, 3)).toEqual(['gate stage', 'stage EDT', 'stage INV']);
    expect(lastOf([...two, staged('EDT')], 1)).toEqual(['stage BMS']);
    expect(lastOf([...two, staged('INV')], 2)).toEqual(['stage EDT', 'stage INV']);
    expect(lastOf([...two, ...['INV', 'EDT', 'BMS'].map(staged)], 1)).toEqual(['gate activate']);
  });

  it('forgets on all buses what was begun', () => {
    const begun = NAMES.map((ecu) => changing('stage', ecu));
    const all = [...stage(['body', 'drive', 'chassis']), ...begun];
    const failed = [...all, failedStep('stage', 'INV')];
    expect(play(failed).state).toMatchObject({ pending: ['BMS', 'INV', 'EDT'] });
    expect(touchedIn(play(failed).state)).toEqual([]);
    const other = [...stage(['body', 'drive', 'body']), ...begun, failedStep('stage', 'INV')];
    expect(play(other).state).toMatchObject({ pending: ['INV', 'EDT'] });
  });
});
