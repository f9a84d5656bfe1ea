// Orders of the operator and conditions of the vehicle during a campaign.

import { describe, expect, it } from 'vitest';
import { decodeJournal } from '../../src/campaign/journal.ts';
import { alwaysReady, type LostCondition, type VehicleState } from '../../src/campaign/ports.ts';
import { bytesOf, refused, vehicle, World } from './support.ts';

const ORDER = { order: 'o1', by: 'olga', reason: 'wrong release' };

function world(): World {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
  return w;
}

/** Gives the order at the call `call` of `ecu`. */
function cancelAt(w: World, ecu: string, call: string): void {
  w.ecu(ecu).onCall = (_ecu, name) => {
    if (name === call) w.backend.cancel = ORDER;
  };
}

const answers = (w: World) => w.backend.statuses.flatMap(({ answer }) => answer ?? []);
const versions = (w: World): string[] => ['EDT', 'INV'].map((name) => w.ecu(name).active.version);

describe('the backend', () => {
  it('hears of every state, and every ten seconds when nothing changes', async () => {
    const w = world();
    for (const ecu of w.ecus.values()) ecu.stageMs = 60_000;
    const { campaign } = await w.once();
    const told = w.backend.statuses.map(({ state }) => state);
    expect([...new Set(told)]).toEqual(expect.arrayContaining(['downloading', 'staging']));
    const staging = told.filter((state) => state === 'staging').length;
    expect(staging).toBeGreaterThan(9);
    expect(staging).toBeLessThan(17);
    expect(new Set(w.backend.statuses.map((status) => status.campaign))).toEqual(
      new Set([campaign]),
    );
  });

  it('that is not found for a moment is asked again: any web server can say 404', async () => {
    const w = world();
    for (const ecu of w.ecus.values()) ecu.stageMs = 60_000;
    w.backend.campaignFaults = [refused('HTTP_404', { transient: false })];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.backend.statuses.length).toBeGreaterThan(5);
  });

  it('that is away does not disturb the campaign', async () => {
    const w = world();
    w.backend.campaignFaults = Array.from({ length: 100 }, () => refused('ECONNREFUSED'));
    expect((await w.once()).outcome).toBe('SUCCESS');
  });
});

describe('an order to cancel', () => {
  it('while ECUs are staged: everything is undone, and the operator hears so', async () => {
    const w = world();
    w.ecu('EDT').stageMs = 40_000;
    cancelAt(w, 'EDT', 'stage');
    const result = await w.once();
    expect(result).toMatchObject({ outcome: 'USER_REJECTED', code: 'CANCELLED' });
    expect(result.reason).toBe('olga cancelled it: wrong release');
    expect(answers(w)).toMatchObject([{ order: 'o1', accepted: true }]);
    expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
    expect(w.ecu('INV').calls).not.toContain('stage');
    expect(w.ecu('EDT').inactive).toBeUndefined();
    expect(w.eventsOf('cancel')).toMatchObject([{ order: 'o1', accepted: true }]);
    expect(w.file('outbox.json')).not.toContain('o1');
    expect(w.backend.reports).toMatchObject([{ outcome: 'USER_REJECTED', code: 'CANCELLED' }]);
  });

  it('while images are fetched', async () => {
    const w = world();
    w.backend.downloadFaults = [{ chunkMs: 10_000 }];
    w.clock.after('operator', 5000, () => {
      w.backend.cancel = ORDER;
    });
    expect(await w.once()).toMatchObject({ code: 'CANCELLED' });
    expect(w.clock.nowMs()).toBeLessThan(20_000);
    expect(w.approver.asked).toEqual([]);
    expect(answers(w)).toMatchObject([{ accepted: true }]);
  });

  it('while the driver thinks: the question is taken away', async () => {
    const w = world();
    w.approver.ask = (question, signal?: AbortSignal) => {
      w.approver.asked.push(question);
      w.backend.cancel = ORDER;
      return new Promise((resolve) => {
        signal!.addEventListener('abort', () => resolve({ kind: 'interrupted' }));
      });
    };
    expect(await w.once()).toMatchObject({ outcome: 'USER_REJECTED', code: 'CANCELLED' });
    expect(w.approver.withdrawn).toBe(1);
  });

  it('after the point of no return is refused, says why, and the campaign is finished', async () => {
    const w = world();
    cancelAt(w, 'EDT', 'activate');
    // Long enough for the TMU to ask the backend.
    const verify = w.ecu('EDT').verify.bind(w.ecu('EDT'));
    w.ecu('EDT').verify = async (...given) => {
      await new Promise<void>((resolve) => w.clock.after('self test', 30_000, resolve));
      return verify(...given);
    };
    const result = await w.once();
    expect(result.outcome).toBe('SUCCESS');
    expect(result.warnings).toEqual([expect.stringContaining('olga')]);
    expect(answers(w)).toMatchObject([
      { order: 'o1', accepted: false, reason: expect.stringContaining('point of no return') },
    ]);
    expect(versions(w)).toEqual(['2.0.0', '2.0.0']);
    expect(w.backend.reports[0]).toMatchObject({ outcome: 'SUCCESS', warnings: result.warnings });
  });

  it('is answered later when the backend is away, through a restart', async () => {
    const w = world();
    w.ecu('EDT').stageMs = 40_000;
    cancelAt(w, 'EDT', 'stage');
    const campaign = w.backend.campaign.bind(w.backend);
    w.backend.campaign = async (status) =>
      status.answer === undefined ? campaign(status) : refused('ECONNRESET');
    expect(await w.once()).toMatchObject({ code: 'CANCELLED' });
    expect(w.file('outbox.json')).toContain('"o1"');
    w.backend.campaign = campaign;
    await w.once();
    expect(answers(w)).toMatchObject([{ order: 'o1', accepted: true }]);
    expect(w.file('outbox.json')).toBe('[]\n');
  });

  it('is obeyed once, however often it is given', async () => {
    const w = world();
    w.ecu('EDT').stageMs = 40_000;
    cancelAt(w, 'EDT', 'stage');
    // The server loses the answer that it was given.
    w.backend.campaign = async (status) => {
      w.backend.statuses.push(status);
      return { kind: 'orders', cancel: w.backend.cancel };
    };
    w.ecu('EDT').faults.rollback = Array.from({ length: 3 }, () => ({
      ok: false,
      code: 'SILENT',
      reason: 'silent',
      transient: true,
      changed: 'unknown',
    }));
    expect(await w.once()).toMatchObject({ code: 'CANCELLED' });
    expect(w.eventsOf('cancel')).toHaveLength(1);
    expect(new Set(answers(w).map(({ accepted }) => accepted))).toEqual(new Set([true]));
  });

  it('keeps the release away for an hour, or until something is released', async () => {
    const w = world();
    w.ecu('EDT').stageMs = 40_000;
    cancelAt(w, 'EDT', 'stage');
    await w.once();
    w.ecu('EDT').onCall = undefined;
    expect(await w.once()).toMatchObject({ code: 'CANCELLED', remembered: true });
    w.backend.releases = [...w.backend.releases].reverse(); // the same releases, released once more
    expect((await w.once()).outcome).toBe('SUCCESS');
  });
});

describe('a condition of the vehicle', () => {
  const lost: LostCondition = { ok: false, condition: 'standing', reason: 'the vehicle moves' };

  /** Loses the condition at `atMs` of the virtual time. */
  function losing(w: World, atMs: number): VehicleState & { watched: string[] } {
    const watched: string[] = [];
    return {
      ...alwaysReady,
      watched,
      watch: (query, signal) => {
        watched.push(query.gate);
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(undefined), { once: true });
          w.clock.after('signal', atMs - w.clock.nowMs(), () => resolve(lost));
        });
      },
    };
  }

  it('that is lost while ECUs are staged stops and undoes it', async () => {
    const w = world();
    for (const ecu of w.ecus.values()) ecu.stageMs = 20_000;
    const vehicleState = losing(w, 25_000);
    const result = await w.once({ vehicleState });
    expect(result).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'CONDITION' });
    expect(result.reason).toContain('the vehicle moves');
    expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
    expect(w.ecu('EDT').inactive).toBeUndefined();
    expect(w.ecu('INV').inactive).toBeUndefined();
    expect(vehicleState.watched).toEqual(['stage']);
    expect(w.approver.told).toEqual([expect.stringContaining('nothing has changed')]);
  });

  it('that is lost after the point of no return is only said', async () => {
    const w = world();
    const verify = w.ecu('EDT').verify.bind(w.ecu('EDT'));
    let vehicleState = losing(w, 1_000_000);
    w.ecu('EDT').verify = async (...given) => {
      await new Promise<void>((resolve) => w.clock.after('self test', 30_000, resolve));
      return verify(...given);
    };
    vehicleState = losing(w, 20_000);
    const result = await w.once({ vehicleState });
    expect(result.outcome).toBe('SUCCESS');
    expect(result.warnings).toEqual([expect.stringContaining('standing was lost')]);
    expect(versions(w)).toEqual(['2.0.0', '2.0.0']);
    expect(vehicleState.watched).toEqual(['stage', 'activate']);
    expect(w.eventsOf('warning')).toMatchObject([{ text: 'standing: the vehicle moves' }]);
  });

  it('that an ECU tells which restarts itself is not watched behind the point of no return', async () => {
    const w = world();
    const vehicleState = losing(w, 1_000_000);
    const speed = {
      ecu: 'EDT',
      did: 0xfd40,
      offset: 0,
      length: 1,
      signed: false,
      scale: 1,
      add: 0,
    };
    const result = await w.once({ vehicle: { ...vehicle, signals: { speed } }, vehicleState });
    expect(result.outcome).toBe('SUCCESS');
    expect(vehicleState.watched).toEqual(['stage']);
  });

  it.each([
    ['with the campaign', undefined],
    ['when the daemon is stopped', 1000],
  ])('is not watched any longer %s', async (_when, stopAtMs) => {
    const w = world();
    const abort = new AbortController();
    if (stopAtMs !== undefined) w.clock.after('SIGTERM', stopAtMs, () => abort.abort());
    let watching = 0;
    const vehicleState: VehicleState = {
      ...alwaysReady,
      watch: async (query, signal) => {
        watching++;
        const end = await alwaysReady.watch(query, signal);
        watching--;
        return end;
      },
    };
    const { outcome } = await w.once({ vehicleState }, abort.signal);
    expect(outcome).toBe(stopAtMs === undefined ? 'SUCCESS' : 'INTERRUPTED');
    expect(watching).toBe(0);
  });
});

describe('a driver who takes his approval back while ECUs are staged', () => {
  function staging(): World {
    const w = world();
    for (const ecu of w.ecus.values()) ecu.stageMs = 40_000;
    return w;
  }

  it('does not have to wait for the last byte', async () => {
    const w = staging();
    w.approver.rechecks = [{ kind: 'approved' }, { kind: 'approved' }, { kind: 'withdrawn' }];
    const result = await w.once();
    expect(result).toMatchObject({ outcome: 'USER_REJECTED', code: 'WITHDRAWN' });
    expect(w.clock.nowMs()).toBeLessThan(40_000);
    expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
    expect(w.ecu('EDT').inactive).toBeUndefined();
    expect(w.approver.rechecked.every(({ final }) => !final)).toBe(true);
  });

  it('is heard only then: an approver that cannot be reached for a moment stops nothing', async () => {
    const w = staging();
    w.approver.rechecks = [
      ...([{ kind: 'approved' }, { kind: 'approved' }] as const), // at the gate, and before the first erase
      { kind: 'unreachable', reason: 'busy' },
      { kind: 'forged', reason: 'another tester' },
    ];
    expect((await w.once()).outcome).toBe('SUCCESS');
  });

  it('and a console that has lost its memory, perhaps with a withdrawal, stops it too', async () => {
    const w = staging();
    const reason = 'CGW has forgotten the driver’s answer: it was restarted';
    w.approver.rechecks = [{ kind: 'approved' }, { kind: 'forgotten', reason }];
    const result = await w.once();
    expect(result).toMatchObject({ outcome: 'PRECONDITION_FAILED', code: 'CONDITION', reason });
    expect(w.clock.nowMs()).toBeLessThan(40_000);
    expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
  });

  it('is heard also while the approver itself is programmed: it is not erased any more', async () => {
    const w = staging();
    w.backend.release('CGW', '2.0.0', bytesOf(500, 3));
    w.approver.rechecks = Array.from({ length: 60 }, (_none, n) => ({
      kind: n < 45 ? 'approved' : 'withdrawn',
    }));
    expect(await w.once()).toMatchObject({ outcome: 'USER_REJECTED', code: 'WITHDRAWN' });
    expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
    expect(w.ecu('CGW').inactive).toBeUndefined();
  });

  it.each([
    [{ kind: 'withdrawn' }, 'USER_REJECTED', 'WITHDRAWN'],
    [{ kind: 'denied' }, 'USER_REJECTED', 'WITHDRAWN'],
    [{ kind: 'unreachable', reason: 'off the bus' }, 'PRECONDITION_FAILED', 'CONDITION'],
    [{ kind: 'forgotten', reason: 'restarted' }, 'PRECONDITION_FAILED', 'CONDITION'],
    [{ kind: 'forged', reason: 'another tester' }, 'PRECONDITION_FAILED', 'CONDITION'],
    [{ kind: 'timed-out' }, 'PRECONDITION_FAILED', 'CONDITION'],
  ] as const)('is asked directly before the first erase: %o', async (answer, outcome, code) => {
    const w = staging();
    w.approver.rechecks = [{ kind: 'approved' }, answer];
    expect(await w.once()).toMatchObject({ outcome, code });
    expect(w.clock.nowMs()).toBeLessThan(2000);
    expect(w.approver.rechecked).toHaveLength(2);
    expect(w.ecu('EDT').calls).toEqual(['identify', 'stage']);
    expect(w.ecu('INV').calls).not.toContain('stage');
  });

  it('is in the journal as it can be read again, also where the ECU of the console refused the question', async () => {
    const w = world();
    w.approver.answers = [{ kind: 'unreachable', reason: 'NRC 0x31', refused: true }];
    expect(await w.once()).toMatchObject({ code: 'APPROVAL_UNREACHABLE' });
    expect(decodeJournal(w.storage.contents('journal.log')!).end).toBe('whole');
  });

  it('cannot be asked by the bootloader of the console itself, and may be asked of another ECU', async () => {
    const refused = { kind: 'unreachable', reason: 'NRC 0x31', refused: true } as const;
    const alone = new World();
    alone.backend.release('CGW', '2.0.0', bytesOf(500, 3));
    alone.approver.rechecks = [{ kind: 'approved' }, refused];
    expect((await alone.once()).outcome).toBe('SUCCESS');
    const w = world();
    w.approver.rechecks = [{ kind: 'approved' }, refused];
    expect((await w.once()).outcome).toBe('PRECONDITION_FAILED');
  });

  it('is not asked for where he was not asked', async () => {
    const quiet = staging();
    const { policy } = vehicle;
    const none = { ...policy, approval: { ...policy.approval, install: 'none' as const } };
    expect((await quiet.once({ vehicle: { ...vehicle, policy: none } })).outcome).toBe('SUCCESS');
    expect(quiet.approver.rechecked).toEqual([]);
  });
});
