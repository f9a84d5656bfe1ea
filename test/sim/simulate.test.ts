// The simulation's summary of its episodes: counts, a digest, an end, and a replay command for each violation.

import { describe, expect, it } from 'vitest';
import type { EpisodeResult, RunEpisode } from '../../src/sim/episode.ts';
import { WorkerError } from '../../src/sim/episode-pool.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import type { Violation } from '../../src/sim/invariants.ts';
import { kindsText, reportText, violationLine, violationText } from '../../src/sim/report.ts';
import type { EpisodePlan } from '../../src/sim/scenario.ts';
import { type SimulateOptions, simulate } from '../../src/sim/simulate.ts';

const VIOLATION: Violation = { invariant: 'mixture', campaign: 3, atMs: 1234.5, text: 'EDT new' };

function resultOf(plan: EpisodePlan, change: Partial<EpisodeResult> = {}): EpisodeResult {
  return {
    endings: plan.campaigns.map(({ number }) => (number % 2 === 0 ? 'success' : 'rolledBack')),
    proofs: plan.campaigns.length,
    violations: [],
    virtualMs: 1000 * plan.campaigns.length,
    frames: 10,
    digest: `digest of ${plan.seed}`,
    faults: { power: 2, vehicle: 1 },
    ...change,
  };
}

function optionsOf(runEpisode: RunEpisode, change: Partial<SimulateOptions> = {}): SimulateOptions {
  const campaigns = 50;
  return {
    ...{ seed: '7', categories: FAULT_CATEGORIES, vehicles: 1, imageBytes: 100 },
    ...{ sabotage: undefined, runEpisode, nowMs: () => 0, campaigns, shrinkLimit: 0 },
    maxFailures: 3,
    ...change,
  };
}

/** Fails while campaign 3 still has one of its faults. */
const fragile: RunEpisode = async (plan) => {
  const third = plan.campaigns.find(({ number }) => number === 3);
  const fails = third !== undefined && third.faults.length > 0;
  return resultOf(plan, fails ? { violations: [VIOLATION] } : {});
};

describe('a simulation', () => {
  it('ends after the campaigns that were asked for, and adds up', async () => {
    const plans: EpisodePlan[] = [];
    const report = await simulate(
      optionsOf(async (plan) => {
        plans.push(plan);
        return resultOf(plan);
      }),
    );
    expect(plans.map(({ campaigns }) => campaigns.length)).toEqual([20, 20, 10]);
    expect(plans.map(({ seed }) => seed)).toEqual(['7/0', '7/1', '7/2']);
    expect(report).toMatchObject({
      ...{ campaigns: 50, success: 25, rolledBack: 25, rejected: 0, safeState: 0, proofs: 50 },
      ...{ violations: [], virtualSeconds: 50, frames: 30, episodes: 3, profile: 'all' },
      faults: { power: 6, bus: 0, network: 0, disk: 0, ecu: 0, driver: 0, vehicle: 3 },
    });
    expect(Object.keys(report).slice(0, 10)).toEqual([
      ...['campaigns', 'success', 'rolledBack', 'rejected', 'safeState', 'violations'],
      ...['virtualSeconds', 'seconds', 'faults', 'digest'],
    ]);
    expect(reportText(report)).toContain('no violations');
  });

  it('counts the campaigns of all vehicles', async () => {
    const plans: EpisodePlan[] = [];
    await simulate(
      optionsOf(
        async (plan) => {
          plans.push(plan);
          return resultOf(plan, {
            endings: plan.campaigns.flatMap(() => ['success', 'success'] as const),
          });
        },
        { vehicles: 2 },
      ),
    );
    expect(plans.map(({ campaigns }) => campaigns.length)).toEqual([20, 5]);
  });

  it('has a digest of everything that happened', async () => {
    const one = await simulate(optionsOf(async (plan) => resultOf(plan)));
    const same = await simulate(optionsOf(async (plan) => resultOf(plan)));
    const other = await simulate(
      optionsOf(async (plan) => resultOf(plan, plan.episode === 2 ? { digest: 'x' } : {})),
    );
    expect(same.digest).toBe(one.digest);
    expect(other.digest).not.toBe(one.digest);
  });

  it('ends after three episodes with violations, and tells each when it is found', async () => {
    const told: string[] = [];
    const report = await simulate(
      optionsOf(async (plan) => resultOf(plan, { violations: [VIOLATION] }), {
        onViolation: (violation) => told.push(violationText(violation)),
      }),
    );
    expect(report).toMatchObject({ episodes: 3, violations: { length: 3 } });
    expect(told).toHaveLength(3);
    expect(told[1]).toContain('seed 7, episode 1, campaign 3, at 1.235 s');
  });

  it('tells one of each invariant in an episode', async () => {
    const violations = [VIOLATION, { ...VIOLATION, text: 'INV new' }];
    const more = [...violations, { ...VIOLATION, invariant: 'outcome' as const }];
    const { violations: found } = await simulate(
      optionsOf(async (plan) => resultOf(plan, { violations: more }), { maxFailures: 1 }),
    );
    expect(found.map(({ invariant }) => invariant)).toEqual(['mixture', 'outcome']);
  });

  it('finds the shortest history that still fails, which its own command replays', async () => {
    const { violations } = await simulate(
      optionsOf(fragile, { shrinkLimit: 200, maxFailures: 1, seed: 'it’s' }),
    );
    const [found] = violations;
    expect(found).toMatchObject({ minimal: true, invariant: 'mixture', campaign: 3 });
    expect(found!.history.split('\n')).toHaveLength(2);
    const only = /--only '([^']+)'$/.exec(found!.replay)![1]!;
    expect(only).toMatch(/^3\/[A-Z]+\/\d$/);
    expect(found!.replay).toContain(`--seed 'it’s'`);

    let replayed: EpisodePlan | undefined;
    const again = optionsOf(
      async (plan) => {
        replayed = plan;
        return fragile(plan);
      },
      { seed: 'it’s', episode: found!.episode, only },
    );
    expect((await simulate(again)).violations).toHaveLength(1);
    expect(replayed!.campaigns).toHaveLength(1);
    expect(replayed!.campaigns[0]!.faults).toHaveLength(1);
  });

  it('says that a history may not be the shortest when the search was ended', async () => {
    const { violations } = await simulate(optionsOf(fragile, { shrinkLimit: 2, maxFailures: 1 }));
    expect(violations[0]!.minimal).toBe(false);
    expect(violationText(violations[0]!)).toContain('a history that fails');
  });

  it('tells a violation in one line, and at the end how many there were of each kind', async () => {
    const lines: string[] = [];
    const both = [VIOLATION, { ...VIOLATION, invariant: 'traffic' as const }];
    const report = await simulate(
      optionsOf(
        async (plan) =>
          resultOf(plan, { violations: plan.episode === 1 ? both : both.slice(0, plan.episode) }),
        { onViolation: (violation) => lines.push(violationLine(violation)), campaigns: 60 },
      ),
    );
    expect(lines).toEqual([
      expect.stringMatching(
        /^VIOLATION mixture, seed 7, episode 1: can-ota simulate --seed 7 .*1 --/,
      ),
      expect.stringMatching(
        /^VIOLATION traffic, seed 7, episode 1: can-ota simulate --seed 7 .*1 --/,
      ),
      expect.stringMatching(
        /^VIOLATION mixture, seed 7, episode 2: can-ota simulate --seed 7 .*2 --/,
      ),
      expect.stringMatching(
        /^VIOLATION traffic, seed 7, episode 2: can-ota simulate --seed 7 .*2 --/,
      ),
    ]);
    expect(kindsText({ ...report, violations: report.violations.slice(0, 3) }).split('\n')).toEqual(
      [
        'seed 7, faults all: 60 campaigns in 3 episodes',
        '  success: 30 (50 %)',
        '  rolled back: 30 (50 %)',
        '  rejected: 0 (0 %)',
        '  safe state: 0 (0 %)',
        '  VIOLATION mixture: 2, one in 30 campaigns, in episodes 1, 2',
        '  VIOLATION traffic: 1, one in 60 campaigns, in episodes 1',
      ],
    );
    expect(kindsText({ ...report, violations: [] })).toMatch(/ {2}no violations$/);
  });

  it('takes an episode that throws for a violation', async () => {
    const { violations } = await simulate(
      optionsOf(() => Promise.reject(new Error('oops')), { maxFailures: 1 }),
    );
    expect(violations).toMatchObject([{ invariant: 'crash', text: expect.stringMatching('oops') }]);
  });

  it('begins no other episode when its time is over', async () => {
    let left = 2;
    const change = { campaigns: undefined, more: () => left > 0 };
    const report = await simulate(
      optionsOf(async (plan) => {
        left--;
        return resultOf(plan);
      }, change),
    );
    expect(report).toMatchObject({ episodes: 2, campaigns: 40 });
  });

  it('ends between two episodes when somebody wants it to', async () => {
    let episodes = 0;
    const report = await simulate(
      optionsOf(
        async (plan) => {
          episodes++;
          return resultOf(plan);
        },
        { stopped: () => episodes === 1 },
      ),
    );
    expect(report).toMatchObject({ episodes: 1, campaigns: 20 });
  });
});

/** Ends the episode that the test wants next, whichever was started first. */
class Workers {
  readonly begun: EpisodePlan[] = [];
  most = 0;
  readonly #open: (() => void)[] = [];
  readonly #pick: (open: number) => number;
  readonly #judge: RunEpisode;
  #scheduled = false;

  constructor(judge: RunEpisode, pick: (open: number) => number) {
    this.#judge = judge;
    this.#pick = pick;
  }

  readonly run: RunEpisode = async (plan) => {
    this.begun.push(plan);
    await new Promise<void>((resolve) => {
      this.#open.push(resolve);
      this.most = Math.max(this.most, this.#open.length);
      this.#schedule();
    });
    return this.#judge(plan);
  };

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#open.splice(this.#pick(this.#open.length), 1)[0]?.();
      if (this.#open.length > 0) this.#schedule();
    });
  }
}

describe('several episodes at a time', () => {
  /** Episodes 3 and 4 fail, and some end before all their campaigns have run. */
  const judge: RunEpisode = async (plan) => {
    const result = await fragile(plan);
    const { endings, violations } = result;
    if (plan.episode === 1) return { ...result, violations: [], endings: endings.slice(0, 7) };
    return plan.episode < 3 ? { ...result, violations: [] } : { ...result, violations };
  };
  const orders: readonly (readonly [what: string, pick: (open: number) => number])[] = [
    ['the first that was begun ends first', () => 0],
    ['the last that was begun ends first', (open) => open - 1],
    ['one in the middle ends first', (open) => Math.floor(open / 2)],
  ];

  async function played(jobs: number, pick: (open: number) => number, campaigns = 110) {
    const workers = new Workers(judge, pick);
    const told: string[] = [];
    const report = await simulate(
      optionsOf(workers.run, {
        ...{ jobs, campaigns, shrinkLimit: 30 },
        onEpisode: ({ episodes, digest }) => told.push(`${episodes} ${digest}`),
        onViolation: (violation) => told.push(violationText(violation)),
      }),
    );
    return { report, told, workers };
  }

  describe.each(orders)('where %s', (_what, pick) => {
    it.each([2, 3, 8])('and %i jobs: the same is told in the same order', async (jobs) => {
      for (const campaigns of [15, 45, 47, 110, 1000]) {
        const alone = await played(1, pick, campaigns);
        const { report, told, workers } = await played(jobs, pick, campaigns);
        expect(report).toEqual(alone.report);
        expect(told).toEqual(alone.told);
        expect(alone.workers.most).toBe(1);
        // A shorter history also waits until a worker is free.
        expect(workers.most).toBeLessThanOrEqual(jobs + 1);
        if (campaigns === 1000) expect(workers.most).toBeGreaterThanOrEqual(jobs);
      }
    });
  });

  it('names the episode whose worker has died, when its turn has come', async () => {
    const told: number[] = [];
    const dies: RunEpisode = async (plan) => {
      if (plan.episode === 2) throw new WorkerError('episode 2: its worker process ended');
      return resultOf(plan);
    };
    const change = {
      jobs: 4,
      onEpisode: ({ episodes }: { episodes: number }) => told.push(episodes),
    };
    await expect(simulate(optionsOf(dies, change))).rejects.toThrow('episode 2: its worker');
    expect(told).toEqual([1, 2]);
  });

  it('ends with what was told so far when the workers are ended on purpose', async () => {
    const ended: RunEpisode = async (plan) => {
      if (plan.episode === 1) throw new WorkerError('the workers were ended');
      return resultOf(plan);
    };
    let stopped = false;
    const onEpisode = () => {
      stopped = true;
    };
    const report = await simulate(optionsOf(ended, { jobs: 2, onEpisode, stopped: () => stopped }));
    expect(report).toMatchObject({ episodes: 1, campaigns: 20 });
  });
});
