// Who approves: the driver or the vehicle file's policy; a safety release needs no approval; and what "later" means.

import { describe, expect, it } from 'vitest';
import { historyOf } from '../../src/campaign/history.ts';
import { decodeJournal, JOURNAL_FILE } from '../../src/campaign/journal.ts';
import { alwaysReady, type VehicleState } from '../../src/campaign/ports.ts';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import { bytesOf, offerOf, vehicle, World } from './support.ts';

type Policy = Partial<Vehicle['policy']['approval']>;

function withApproval(approval: Policy): Vehicle {
  const { policy } = vehicle;
  return { ...vehicle, policy: { ...policy, approval: { ...policy.approval, ...approval } } };
}

function world(forced: readonly string[] = []): World {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
  w.trusted.offers = w.backend.releases.map((release) => ({
    ...offerOf(release),
    forced: forced.includes(release.ecu),
  }));
  return w;
}

function approvedBy(w: World): string | null | undefined {
  return historyOf(decodeJournal(w.storage.contents(JOURNAL_FILE)!).records).at(-1)?.approvedBy;
}

const phases = (w: World): string[] => w.approver.asked.map(({ phase }) => phase);

/** Between the two gates the answer of the first gate is checked repeatedly. */
function gates(w: World): unknown[] {
  const [first, ...rest] = w.approver.rechecked;
  for (const between of rest.slice(0, -1)) expect(between).toEqual(first);
  return [first, rest.at(-1)];
}

describe('the policy of the vehicle file', () => {
  it('by default asks before the installation alone', async () => {
    const w = world();
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(phases(w)).toEqual(['install']);
    expect(w.approver.informed).toEqual([]);
    expect(gates(w)).toEqual([
      { phase: 'install', final: false },
      { phase: 'install', final: true },
    ]);
    expect(approvedBy(w)).toBe('driver');
  });

  it('can ask three times, and each approval counts for what follows it', async () => {
    const w = world();
    const asking = withApproval({ download: 'ask', install: 'ask', activate: 'ask' });
    const ask = w.approver.ask.bind(w.approver);
    const done: string[] = [];
    w.approver.ask = async (question) => {
      const staged = ['EDT', 'INV'].filter((name) => w.ecu(name).inactive !== undefined);
      const fetched = w.backend.calls.filter((call) => call.startsWith('download')).length;
      done.push(`${question.phase}: ${fetched} fetched, ${staged.length} staged`);
      expect(question.facts.phase).toBe(question.phase);
      return ask(question);
    };
    expect((await w.once({ vehicle: asking })).outcome).toBe('SUCCESS');
    expect(done).toEqual([
      'download: 0 fetched, 0 staged',
      'install: 2 fetched, 0 staged',
      'activate: 2 fetched, 2 staged',
    ]);
    expect(gates(w)).toEqual([
      { phase: 'install', final: false },
      { phase: 'activate', final: true },
    ]);
  });

  it('a download that is denied fetches nothing, an activation that is denied leaves nothing staged', async () => {
    const first = world();
    first.approver.answers = [{ kind: 'denied' }];
    const all = withApproval({ download: 'ask', activate: 'ask' });
    expect(await first.once({ vehicle: all })).toMatchObject({ outcome: 'USER_REJECTED' });
    expect(first.backend.calls.some((call) => call.startsWith('download'))).toBe(false);

    const last = world();
    last.approver.answers = [{ kind: 'approved' }, { kind: 'denied' }];
    const end = await last.once({ vehicle: withApproval({ activate: 'ask' }) });
    expect(end).toMatchObject({ outcome: 'USER_REJECTED', code: 'DENIED' });
    expect(phases(last)).toEqual(['install', 'activate']);
    expect(last.ecu('EDT').active.version).toBe('1.0.0');
    expect([last.ecu('EDT').inactive, last.ecu('INV').inactive]).toEqual([undefined, undefined]);
  });

  it('that asks for nothing approves by itself, and the driver is told', async () => {
    const w = world();
    const quiet = withApproval({ install: 'none' });
    expect((await w.once({ vehicle: quiet })).outcome).toBe('SUCCESS');
    expect(w.approver.asked).toEqual([]);
    expect(w.approver.rechecked).toEqual([]);
    expect(w.approver.informed.map(({ facts }) => facts.informOnly)).toEqual([true]);
    expect(approvedBy(w)).toBe('policy');
    expect(w.approver.told).toEqual(['The update is done: EDT 2.0.0, INV 2.0.0.']);
  });

  it('a console that is broken does not stop what nobody is asked about', async () => {
    const w = world();
    w.approver.inform = async () => ({ kind: 'unreachable', reason: 'no CGW' });
    const quiet = withApproval({ install: 'none' });
    expect((await w.once({ vehicle: quiet })).outcome).toBe('SUCCESS');
    expect(w.eventsOf('approval')).toMatchObject([{ status: 'unreachable', reason: 'no CGW' }]);
  });
});

describe('a forced safety release', () => {
  it('asks nobody, and still informs', async () => {
    const w = world(['EDT', 'INV']);
    w.approver.answers = [{ kind: 'denied' }];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.approver.asked).toEqual([]);
    expect(w.approver.informed.map(({ facts }) => facts.forced)).toEqual([true]);
    expect(approvedBy(w)).toBe('forced');
  });

  it('goes before the others, who can be denied without it', async () => {
    const w = world(['INV']);
    w.approver.answers = [{ kind: 'denied' }];
    const first = await w.once();
    expect(first.ecus.map(({ name }) => name)).toEqual(['INV']);
    expect(first.outcome).toBe('SUCCESS');
    expect(w.approver.asked).toEqual([]);
    expect(await w.once()).toMatchObject({ outcome: 'USER_REJECTED', code: 'DENIED' });
    expect(w.ecu('EDT').active.version).toBe('1.0.0');
    expect(w.ecu('INV').active.version).toBe('2.0.0');
  });

  it('is not tried again when it failed, and does not keep the others back', async () => {
    const w = world(['INV']);
    w.ecu('INV').fail('activate', 'SELF_TEST', 'SELF_TEST');
    expect(await w.once()).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'SELF_TEST' });
    // The driver may still approve all of them together.
    const second = await w.once();
    expect(second.ecus.map(({ name }) => name)).toEqual(['EDT', 'INV']);
    expect(w.approver.asked).toHaveLength(1);
    expect(second.outcome).toBe('ROLLBACK_COMPLETED');
    expect(await w.once()).toMatchObject({ remembered: true });
  });

  it('that needs one that is not forced goes with it, and the driver is asked', async () => {
    const w = world(['INV']);
    w.trusted.offers = w.trusted.offers!.map((offer) =>
      offer.ecu === 'INV' ? { ...offer, dependencies: { EDT: '>=2.0.0' } } : offer,
    );
    const result = await w.once();
    expect(result.ecus.map(({ name }) => name)).toEqual(['EDT', 'INV']);
    expect(result.outcome).toBe('SUCCESS');
    expect(w.approver.asked.map(({ facts }) => facts.forced)).toEqual([false]);
  });
});

describe('"later, at the next ignition off"', () => {
  function ignition(w: World): { vehicleState: VehicleState; set: (to: 'on' | 'off') => void } {
    let state: 'on' | 'off' | 'unknown' = 'unknown';
    w.approver.answers = [{ kind: 'later', until: 'ignition-off' }];
    const vehicleState = { ...alwaysReady, ignition: async () => state };
    return {
      vehicleState,
      set: (to) => {
        state = to;
      },
    };
  }

  it('stands while it is on, for days, and through restarts', async () => {
    const w = world();
    const { vehicleState, set } = ignition(w);
    set('on');
    expect(await w.once({ vehicleState })).toMatchObject({
      outcome: 'DEFERRED',
      code: 'LATER',
      until: 'ignition-off',
    });
    await w.clock.advance(3 * 86_400_000);
    expect(await w.once({ vehicleState })).toMatchObject({
      outcome: 'DEFERRED',
      remembered: true,
      until: 'ignition-off',
    });
    set('off');
    expect((await w.once({ vehicleState })).outcome).toBe('SUCCESS');
    expect(w.approver.asked).toHaveLength(2);
  });

  it('is over once it was off, also when it is on again by the time of the next look', async () => {
    const w = world();
    const { vehicleState, set } = ignition(w);
    set('on');
    await w.once({ vehicleState });
    const looks: ('on' | 'off')[] = ['off'];
    const blink: VehicleState = { ...alwaysReady, ignition: async () => looks.shift() ?? 'on' };
    expect((await w.once({ vehicleState: blink })).outcome).toBe('SUCCESS');
  });

  it('means an hour where the vehicle cannot tell', async () => {
    const w = world();
    const { vehicleState } = ignition(w);
    expect(await w.once({ vehicleState })).toMatchObject({ outcome: 'DEFERRED' });
    await w.clock.advance(50 * 60_000);
    expect(await w.once({ vehicleState })).toMatchObject({ remembered: true });
    await w.clock.advance(11 * 60_000);
    expect((await w.once({ vehicleState })).outcome).toBe('SUCCESS');
  });
});
