// What no order of events, failures and kills can make a campaign do.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandKey, commandsOf } from '../../src/campaign/commands.ts';
import type { CampaignEvent } from '../../src/campaign/event.ts';
import { lostOf } from '../../src/campaign/mixed.ts';
import { nextStep } from '../../src/campaign/next.ts';
import { DRIVER_ERRORS } from '../../src/campaign/ports.ts';
import { replay, step } from '../../src/campaign/reducer.ts';
import { type CampaignState, IDLE } from '../../src/campaign/state.ts';
import { Model, type Turn } from './model.ts';
import {
  answered,
  failedStep,
  HAPPY,
  NAMES,
  offeredWith,
  resumed,
  rolledBack,
  SAFE,
  shaOf,
  under,
} from './support.ts';

const offers = fc
  .record({
    ranks: fc.constantFrom([0, 1, 2], [0, 0, 1], [0, 1, 1], [0, 0, 0]),
    buses: fc.constantFrom(['a', 'a', 'a'], ['a', 'b', 'a'], ['a', 'b', 'c']),
    asks: fc.constantFrom<('download' | 'activate')[]>(
      [],
      ['download'],
      ['activate'],
      ['download', 'activate'],
    ),
  })
  .map(offeredWith);

const turn = (kinds: readonly Turn['kind'][]): fc.Arbitrary<Turn> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    pick: fc.nat(1000),
    code: fc.constantFrom(...DRIVER_ERRORS),
    transient: fc.boolean(),
    effects: fc.nat(7),
  });
/** Mostly forwards: otherwise nothing ever comes to its end. */
const turns = fc.array(
  fc.oneof(
    { weight: 24, arbitrary: turn(['done']) },
    { weight: 2, arbitrary: turn(['fails']) },
    { weight: 1, arbitrary: turn(['killed', 'outside', 'fallback']) },
  ),
  { minLength: 20, maxLength: 80 },
);

describe('a vehicle whose ECUs and TMU fail at any time', () => {
  it('is entirely new, entirely old, or in a declared mixture', () => {
    const seen = { success: 0, back: 0, safe: 0, other: 0 };
    fc.assert(
      fc.property(offers, turns, (offer, list) => {
        const model = new Model(offer);
        for (const next of list) {
          if (model.isOver) break;
          model.turn(next);
          judge(model, seen);
        }
      }),
      { numRuns: 1200, seed: 1 },
    );
    // The property has seen every end, more than once.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
  });

  it('comes to an end, however long everything fails', () => {
    fc.assert(
      fc.property(
        offers,
        turns,
        fc.infiniteStream(
          fc.oneof(
            { weight: 3, arbitrary: turn(['fails']) },
            { weight: 1, arbitrary: turn(['killed', 'outside', 'fallback']) },
          ),
        ),
        (offer, list, failing) => {
          const model = new Model(offer);
          for (const next of list) if (!model.isOver) model.turn(next);
          const before = model.events;
          for (const next of failing) {
            if (model.isOver) break;
            model.turn(next);
            expect(model.events - before).toBeLessThan(300);
          }
        },
      ),
      { numRuns: 300, seed: 2 },
    );
  });

  it('is repaired by nothing but kills and answers, when all goes well at last', () => {
    fc.assert(
      fc.property(offers, turns, (offer, list) => {
        const model = new Model(offer);
        for (const next of list) if (!model.isOver) model.turn(next);
        const well: Turn = { kind: 'done', pick: 0, code: 'BUS', transient: true, effects: 0 };
        for (let n = 0; n < 100; n++) model.turn(model.isOver ? { ...well, kind: 'killed' } : well);
        expect(model.state).toEqual(IDLE);
        expect(new Set([...model.ecus.values()].map(({ bank }) => bank)).size).toBe(1);
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

function judge(
  model: Model,
  seen: { success: number; back: number; safe: number; other: number },
): void {
  const { state, ecus } = model;
  const all = [...ecus];
  // A counter is raised only when every ECU runs the new version for good.
  if (all.some(([, { counterRaised }]) => counterRaised)) {
    expect(all.every(([, { bank }]) => bank === 'confirmed')).toBe(true);
  }
  if (state.kind === 'idle' && state.finished !== null) {
    const { outcome } = state.finished;
    if (outcome === 'SUCCESS') {
      expect(all.map(([, { bank }]) => bank)).toEqual(all.map(() => 'confirmed'));
      const owed = all.filter(([, { counterRaised }]) => !counterRaised).map(([name]) => name);
      for (const name of owed) expect(state.finished.uncommitted).toContain(name);
      seen.success++;
    } else {
      expect(all.map(([, { bank }]) => bank)).toEqual(all.map(() => 'old'));
      if (outcome === 'ROLLBACK_COMPLETED') seen.back++;
      else seen.other++;
    }
  }
  if (state.kind === 'safe-state') {
    const lost = lostOf(state);
    expect(lost.length).toBeGreaterThan(0);
    for (const [name, { bank }] of all) if (bank !== 'old') expect(lost).toContain(name);
    seen.safe++;
  }
}

describe('whatever comes in whatever order', () => {
  const ecu = fc.constantFrom(...NAMES);
  const outside = fc.constantFrom<CampaignEvent>(
    resumed,
    { kind: 'closed' },
    { kind: 'gate', gate: 'stage', result: { kind: 'withdrawn' } },
    { kind: 'gate', gate: 'activate', result: { kind: 'condition', reason: 'x' } },
    answered({ kind: 'denied' }),
    answered({ kind: 'withdrawn' }),
    answered({ kind: 'approved' }, 'activate'),
    { kind: 'abandoned', reason: 'x' },
    { kind: 'nothing', outcome: 'UP_TO_DATE' },
    { kind: 'cancelled', order: 'o', by: 'eva', reason: '' },
    { kind: 'condition-lost', condition: 'standing', reason: 'x' },
    offeredWith({ id: 'e'.repeat(32), only: ['INV'] }),
  );
  const event: fc.Arbitrary<CampaignEvent> = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...HAPPY) },
    { weight: 2, arbitrary: fc.constantFrom(...HAPPY) },
    ecu.map(rolledBack),
    fc
      .tuple(
        fc.constantFrom('stage', 'activate', 'verify', 'confirm', 'commit', 'roll-back' as const),
        ecu,
        fc.constantFrom(...DRIVER_ERRORS),
        fc.boolean(),
      )
      .map((args) => failedStep(...(args as Parameters<typeof failedStep>))),
    ecu.map((name): CampaignEvent => ({ kind: 'verified', ecu: name, version: '9', sha256: null })),
    outside,
  );
  // Random events alone seldom get far: begin anywhere on the happy way, or in the safe state.
  const course = fc
    .tuple(
      offers,
      fc.oneof(
        fc.nat(HAPPY.length).map((length) => HAPPY.slice(0, length)),
        fc.constant(SAFE),
      ),
      fc.array(event, { maxLength: 60 }),
    )
    .map(([offer, start, events]) => under(offer, [...start, ...events]));

  it('nothing is activated before all are staged, nothing confirmed before all are verified, nothing committed before all are confirmed', () => {
    fc.assert(
      fc.property(course, (events) => {
        let state: CampaignState = IDLE;
        let seen = emptySeen();
        for (const next of events) {
          const before = state;
          const result = step(state, next);
          state = result.state;
          if (next.kind === 'offered' && before !== state) seen = emptySeen();
          if (before !== state) {
            if (next.kind === 'staged') seen.staged.add(next.ecu);
            if (next.kind === 'verified' && next.sha256 === shaOf(next.ecu))
              seen.verified.add(next.ecu);
            if (next.kind === 'confirmed') seen.confirmed.add(next.ecu);
            if (next.kind === 'answered' && next.answer.kind === 'approved')
              seen.approved.add(next.phase);
          }
          const size = 'campaign' in state ? state.campaign.plan.items.length : NAMES.length;
          for (const command of result.commands) {
            if (command.kind !== 'ecu') continue;
            // The way out of a safe state needs no new approval: it is the way back of an approved one.
            if (command.step !== 'roll-back') expect(seen.approved).toContain('install');
            if (command.step === 'activate') {
              expect(seen.staged.size).toBe(size);
              if ('campaign' in state && state.campaign.asks.includes('activate'))
                expect(seen.approved).toContain('activate');
            }
            if (command.step === 'confirm') expect(seen.verified.size).toBe(size);
            if (command.step === 'commit') expect(seen.confirmed.size).toBe(size);
          }
          // What a restart would give out again contains what was just given out.
          const again = new Set(commandsOf(state).map(commandKey));
          expect(again.size).toBe(commandsOf(state).length);
          for (const command of result.commands) expect(again).toContain(commandKey(command));
          if (state.kind === 'idle' && state.finished?.outcome === 'SUCCESS') {
            expect(seen.confirmed.size).toBe(state.finished.plan.items.length);
          }
          expect(nextStep(state).length).toBeGreaterThan(10);
        }
      }),
      { numRuns: 300, seed: 4711 },
    );
  });

  it('a replay of what was journaled leads to the same state, from every prefix', () => {
    fc.assert(
      fc.property(course, (events) => {
        let state: CampaignState = IDLE;
        const journal: { event: CampaignEvent }[] = [];
        for (const next of events) {
          const before = state;
          state = step(state, next).state;
          const isDurable = next.kind !== 'poll' && next.kind !== 'nothing';
          if (state !== before && isDurable) journal.push({ event: next });
          const atRest = state.kind === 'checking' ? (state.mixed ?? IDLE) : state;
          expect(replay(journal)).toEqual(atRest);
        }
      }),
      { numRuns: 200, seed: 4711 },
    );
  });

  it('every state that is not at rest has something to do', () => {
    fc.assert(
      fc.property(course, (events) => {
        const state = replay(events.map((event) => ({ event })));
        if (state.kind === 'idle' && state.finished === null) return;
        if (state.kind === 'safe-state' && state.reported) return;
        expect(commandsOf(state).length).toBeGreaterThan(0);
      }),
      { numRuns: 300, seed: 4711 },
    );
  });

  it('a repeated event changes nothing', () => {
    // Failures count tries and restarts count themselves; these are meant to be taken once each.
    const counted = ['step-failed', 'resumed', 'offered', 'closed', 'poll', 'gate', 'answered'];
    fc.assert(
      fc.property(course, (events) => {
        let state: CampaignState = IDLE;
        for (const next of events) {
          const once = step(state, next).state;
          if (!counted.includes(next.kind)) expect(step(once, next).state).toBe(once);
          state = once;
        }
      }),
      { numRuns: 200, seed: 4711 },
    );
  });
});

function emptySeen() {
  return {
    staged: new Set<string>(),
    verified: new Set<string>(),
    confirmed: new Set<string>(),
    approved: new Set<string>(),
  };
}
