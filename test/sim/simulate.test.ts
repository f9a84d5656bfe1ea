// What the simulation makes of its episodes: counts, a digest, an end, and for each violation the way back to it.

import { describe, expect, it } from 'vitest';
import type { EpisodeResult, RunEpisode } from '../../src/sim/episode.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import type { Violation } from '../../src/sim/invariants.ts';
import { reportText, violationText } from '../../src/sim/report.ts';
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
    ...{ more: (done: number) => done < campaigns, maxFailures: 3 },
    ...change,
  };
}

/** Fails where campaign 3 still has one of its faults. */
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

  it('takes an episode that throws for a violation', async () => {
    const { violations } = await simulate(
      optionsOf(() => Promise.reject(new Error('oops')), { maxFailures: 1 }),
    );
    expect(violations).toMatchObject([{ invariant: 'crash', text: expect.stringMatching('oops') }]);
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
