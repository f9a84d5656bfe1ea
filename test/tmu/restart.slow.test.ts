// The daemon is stopped, killed, or loses its power at every instant, and the vehicle never ends in a mixture.

import { describe, expect, it } from 'vitest';
import type { Vehicle } from '../../src/vehicle/schema.ts';
import type { FakeEcu } from './support.ts';
import { bytesOf, sha256, vehicle, World } from './support.ts';

const edt = bytesOf(5000, 1);
const inv = bytesOf(7000, 2);

function world(): World {
  const made = new World();
  made.backend.release('EDT', '2.0.0', edt);
  made.backend.release('INV', '2.0.0', inv);
  for (const ecu of made.ecus.values()) ecu.onCall = (each, call) => judge(made, each, call);
  return made;
}

/** What a campaign must never do, whatever happens to its process. */
function judge(w: World, ecu: FakeEcu, call: string): void {
  const target = (name: string): string => sha256(name === 'EDT' ? edt : inv);
  const holds = (name: string): boolean => {
    const other = w.ecu(name);
    return other.inactive?.sha256 === target(name) || other.active.sha256 === target(name);
  };
  if (call === 'stage' && w.approver.approved.size === 0) {
    throw new Error(`${ecu.name} staged without approval`);
  }
  if (call === 'activate' && !(holds('EDT') && holds('INV'))) {
    throw new Error(`${ecu.name} activated before all were staged`);
  }
  if (call === 'confirm') {
    const all = ['EDT', 'INV'].every((name) => w.ecu(name).active.sha256 === target(name));
    if (!all) throw new Error(`${ecu.name} confirmed before all ran the new image`);
  }
  if (call === 'commit') {
    const open = ['EDT', 'INV'].filter((name) => w.ecu(name).mode === 'trial');
    if (open.length > 0) throw new Error(`${ecu.name} raised its counter with ${open} on trial`);
  }
}

function expectWhole(w: World): void {
  const versions = [w.ecu('EDT'), w.ecu('INV')].map(
    ({ active, mode }) => `${active.version} ${mode}`,
  );
  expect(versions).toEqual(['2.0.0 confirmed', '2.0.0 confirmed']);
  expect(w.file('downloaded_sha.txt')).toBe(
    `${sha256(edt)}  EDT 2.0.0\n${sha256(inv)}  INV 2.0.0\n`,
  );
}

describe('a power cut at every write of the state directory', () => {
  it.each(['lost', 'kept'] as const)('with unsynced data %s', async (fate) => {
    let cuts = 0;
    for (let at = 1; ; at++) {
      const w = world();
      w.storage.cut = { at, when: at % 2 === 0 ? 'before' : 'after' };
      await w.once().catch(() => {});
      if (!w.storage.powerLost) break;
      cuts++;
      w.storage = w.storage.afterPowerCut(fate);
      await w.once();
      await w.once();
      expectWhole(w);
      // Reported at least once, and under one campaign only.
      const campaigns = new Set(
        w.backend.reports.filter(({ outcome }) => outcome === 'SUCCESS').map((r) => r.campaign),
      );
      expect(campaigns.size, `cut at ${at}`).toBe(1);
    }
    expect(cuts).toBeGreaterThan(40);
  });
});

/** What else may happen when the power goes. */
interface Scenario {
  readonly name: string;
  readonly vehicle?: Vehicle;
  readonly prepare: (w: World) => void;
  /** Changes of the outside world while the TMU is off; `cycle` counts from 0. */
  readonly between?: (w: World, cycle: number) => Promise<void> | void;
  readonly cycles: number;
  readonly check: (w: World) => void;
}

const { policy } = vehicle;
const asking = (approval: Vehicle['policy']['approval']): Vehicle => ({
  ...vehicle,
  policy: { ...policy, approval },
});
const versions = (w: World): string[] => ['EDT', 'INV'].map((name) => w.ecu(name).active.version);
const allAsked = asking({ download: 'ask', install: 'ask', activate: 'ask' });
const HOUR_MS = 3_600_000;

const scenarios: Scenario[] = [
  {
    name: 'a driver who is asked three times',
    vehicle: allAsked,
    prepare: () => {},
    cycles: 2,
    check: expectWhole,
  },
  {
    name: 'a driver who denies the activation',
    vehicle: allAsked,
    prepare: (w) => {
      const ask = w.approver.ask.bind(w.approver);
      w.approver.ask = async (question) =>
        question.phase === 'activate' ? { kind: 'denied' } : ask(question);
    },
    cycles: 2,
    check: (w) => {
      expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
      expect([w.ecu('EDT').inactive, w.ecu('INV').inactive]).toEqual([undefined, undefined]);
      expect(new Set(w.backend.reports.map(({ code }) => code))).toContain('DENIED');
    },
  },
  {
    name: 'an operator who cancels while ECUs are staged',
    prepare: (w) => {
      w.ecu('INV').stageMs = 30_000;
      let given = false;
      w.ecu('INV').onCall = (ecu, call) => {
        if (call === 'stage' && !given) {
          given = true;
          w.backend.cancel = { order: 'o1', by: 'olga', reason: '' };
        }
        judge(w, ecu, call);
      };
    },
    cycles: 2,
    check: (w) => {
      const answers = w.backend.statuses.flatMap(({ answer }) => answer ?? []);
      const accepted = new Set(answers.map((answer) => answer.accepted));
      expect(accepted.size, 'one order has one answer').toBeLessThanOrEqual(1);
      const old = w.backend.reports.some(({ code }) => code === 'CANCELLED');
      expect(versions(w)).toEqual(old ? ['1.0.0', '1.0.0'] : ['2.0.0', '2.0.0']);
      if (accepted.has(true)) expect(old).toBe(true);
    },
  },
  {
    name: 'a counter that cannot be raised at first',
    prepare: (w) => w.ecu('INV').fail('commit', 'REFUSED', 'REFUSED'),
    cycles: 4,
    check: (w) => {
      expectWhole(w);
      expect(['EDT', 'INV'].map((name) => w.ecu(name).counterOf)).toEqual(['2.0.0', '2.0.0']);
      expect(JSON.parse(w.file('state.json')!).owedCommits).toEqual([]);
    },
  },
  {
    name: 'an ECU that goes back only after a while',
    prepare: (w) => {
      w.ecu('INV').faults.verify = refusals('SELF_TEST', 50);
      w.ecu('EDT').faults.rollback = refusals('REFUSED', 50);
    },
    between: (w, cycle) => {
      if (cycle === 1) delete w.ecu('EDT').faults.rollback;
    },
    cycles: 4,
    check: (w) => {
      expect(versions(w)).toEqual(['1.0.0', '1.0.0']);
      const told = w.backend.reports.map(({ outcome, code }) => `${outcome} ${code}`);
      const failed = told.filter((text) => text.startsWith('ROLLBACK_FAILED')).length;
      const recovered = told.filter((text) => text.endsWith('RECOVERED')).length;
      if (failed > 0) expect(recovered).toBeGreaterThan(0);
      expect(told.join()).toContain('ROLLBACK_');
    },
  },
  {
    name: 'a network budget that is used up',
    vehicle: { ...vehicle, policy: { ...policy, network: { bytesPerDay: 4000 } } },
    prepare: () => {},
    between: (w) => w.clock.advance(24 * HOUR_MS),
    cycles: 6,
    check: expectWhole,
  },
];

function refusals(code: 'SELF_TEST' | 'REFUSED', count: number) {
  const failure = { ok: false, code, reason: code, transient: false, changed: 'unknown' } as const;
  return Array.from({ length: count }, () => failure);
}

describe.each(scenarios)('a power cut at every write, with $name', (scenario) => {
  it('leaves the vehicle whole', async () => {
    const options = scenario.vehicle === undefined ? {} : { vehicle: scenario.vehicle };
    let cuts = 0;
    for (let at = 1; ; at++) {
      const w = world();
      scenario.prepare(w);
      w.storage.cut = { at, when: at % 2 === 0 ? 'before' : 'after' };
      await w.once(options).catch(() => {});
      const { powerLost } = w.storage;
      if (powerLost) {
        cuts++;
        w.storage = w.storage.afterPowerCut('lost');
      }
      w.storage.cut = undefined;
      for (let cycle = 0; cycle < scenario.cycles; cycle++) {
        await scenario.between?.(w, cycle);
        await w.once(options);
      }
      try {
        scenario.check(w);
      } catch (error) {
        throw new Error(`cut at write ${at}`, { cause: error });
      }
      if (!powerLost) break;
    }
    expect(cuts).toBeGreaterThan(15);
  });
});

describe('SIGTERM at every moment', () => {
  it('stops within two seconds and the next start carries on', async () => {
    const probe = world();
    await probe.once();
    const totalMs = probe.clock.nowMs();
    let interrupted = 0;
    for (let atMs = 1; atMs < totalMs; atMs += Math.max(1, Math.floor(totalMs / 60))) {
      const w = world();
      const abort = new AbortController();
      const tmu = w.tmu();
      w.clock.after('SIGTERM', atMs, () => abort.abort());
      const result = await w.clock.within(60_000, tmu.runOnce(abort.signal));
      await tmu.close();
      expect(w.clock.nowMs() - atMs).toBeLessThan(2000);
      if (result.outcome === 'INTERRUPTED') interrupted++;
      const next = await w.once();
      expect(['SUCCESS', 'UP_TO_DATE']).toContain(next.outcome);
      expectWhole(w);
      expect(w.ecu('EDT').calls.filter((call) => call === 'rollback')).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(30);
  });

  it('before anything is begun', async () => {
    const w = world();
    expect((await w.once({}, AbortSignal.abort())).outcome).toBe('INTERRUPTED');
    expect(w.backend.calls).toEqual([]);
    await w.once();
    expectWhole(w);
  });

  it('while the driver is asked takes the question away, and asks again under a new nonce', async () => {
    const w = world();
    const abort = new AbortController();
    const ask = w.approver.ask.bind(w.approver);
    w.approver.ask = async (question) => {
      await ask(question);
      w.approver.approved.clear();
      abort.abort();
      return { kind: 'interrupted' };
    };
    expect(await w.once({}, abort.signal)).toMatchObject({ outcome: 'INTERRUPTED' });
    expect(w.approver.withdrawn).toBe(1);
    w.approver.ask = ask;
    expect((await w.once()).outcome).toBe('SUCCESS');
    const [first, second] = w.approver.asked;
    expect(second!.campaignId).toBe(first!.campaignId);
    expect(second!.nonce).not.toBe(first!.nonce);
  });

  it('keeps what has been downloaded', async () => {
    const w = world();
    w.backend.downloadFaults = [{ chunkMs: 100 }];
    const abort = new AbortController();
    w.clock.after('SIGTERM', 350, () => abort.abort());
    expect((await w.once({}, abort.signal)).outcome).toBe('INTERRUPTED');
    w.backend.calls.length = 0;
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.backend.calls).toContain('download EDT 3000 nonce-2');
  });
});

describe('a rollback under way', () => {
  it('is finished after a power cut at every write', async () => {
    for (let at = 1; ; at++) {
      const w = world();
      w.ecu('INV').fail('verify', 'SELF_TEST');
      w.storage.cut = { at, when: 'after' };
      await w.once().catch(() => {});
      if (!w.storage.powerLost) break;
      w.storage = w.storage.afterPowerCut('lost');
      const failing = w.ecu('INV').faults.verify!.length > 0;
      const result = await w.once();
      const versions = [w.ecu('EDT'), w.ecu('INV')].map(({ active }) => active.version);
      expect(new Set(versions).size, `cut at ${at}: ${result.outcome}`).toBe(1);
      if (!failing && result.outcome === 'ROLLBACK_COMPLETED') expect(versions[0]).toBe('1.0.0');
      expect(w.ecu('EDT').mode).toBe('confirmed');
    }
  });
});

it('a process that dies again and again while staging gives up in the end', async () => {
  const w = world();
  for (let restart = 0; restart < 40; restart++) {
    const abort = new AbortController();
    w.ecu('INV').onCall = (_ecu, call) => {
      if (call === 'stage') abort.abort();
    };
    const result = await w.once({}, abort.signal);
    if (result.outcome !== 'INTERRUPTED') {
      expect(result).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'INTERRUPTED' });
      expect(restart).toBeGreaterThan(15);
      return;
    }
  }
  throw new Error('it never gave up');
});
