// Shrinking finds the shortest history that still fails, and says when it ran out of tries.

import { describe, expect, it } from 'vitest';
import type { EcuName } from '../../src/sim/machine-names.ts';
import type { EpisodePlan, PlannedFault } from '../../src/sim/scenario.ts';
import { shrink } from '../../src/sim/shrink.ts';

const cut = (ms: number): PlannedFault => ({
  vehicle: 0,
  fault: {
    category: 'power',
    kind: 'cut',
    at: { on: 'time', ms },
    machines: ['TMU'],
    offMs: 10,
  },
});

const times = (plan: EpisodePlan): number[] =>
  plan.campaigns.flatMap(({ faults }) =>
    faults.map(({ fault }) => ('at' in fault && fault.at.on === 'time' ? fault.at.ms : -1)),
  );

/** Campaign n has the faults at 10n, 10n+1 and 10n+2. */
function planOf(campaigns: number, ecus: readonly EcuName[] = ['EDT', 'INV']): EpisodePlan {
  return {
    seed: 's',
    episode: 0,
    vehicles: 1,
    singleBank: [],
    chunked: false,
    otherMake: null,
    smallDevice: false,
    campaigns: Array.from({ length: campaigns }, (_none, n) => ({
      number: n + 1,
      ecus,
      faults: [cut(10 * n), cut(10 * n + 1), cut(10 * n + 2)],
      forced: false,
      encrypted: false,
      proof: ['BMS'],
    })),
  };
}

describe('shrink', () => {
  it('keeps the one fault that matters, in the one campaign, for the one ECU', async () => {
    const shrunk = await shrink(planOf(20), {
      limit: 500,
      fails: async (plan) => times(plan).includes(131),
    });
    expect(shrunk.minimal).toBe(true);
    expect(times(shrunk.plan)).toEqual([131]);
    expect(shrunk.plan.campaigns).toHaveLength(1);
    expect(shrunk.plan.campaigns[0]!.ecus).toHaveLength(1);
    expect(shrunk.tried).toBeLessThan(60);
  });

  it('keeps two faults of two campaigns that only fail together, in their order', async () => {
    const shrunk = await shrink(planOf(16), {
      limit: 1000,
      fails: async (plan) => times(plan).includes(32) && times(plan).includes(120),
    });
    expect(times(shrunk.plan)).toEqual([32, 120]);
    expect(shrunk.plan.campaigns).toHaveLength(2);
  });

  it('keeps a campaign without faults when the failure needs it', async () => {
    const shrunk = await shrink(planOf(9), {
      limit: 1000,
      fails: async (plan) => plan.campaigns.length >= 3,
    });
    expect(shrunk.plan.campaigns).toHaveLength(3);
    expect(times(shrunk.plan)).toEqual([]);
  });

  it('keeps the ECUs that the failure needs', async () => {
    const shrunk = await shrink(planOf(1, ['CGW', 'EDT', 'INV']), {
      limit: 1000,
      fails: async (plan) => plan.campaigns.some(({ ecus }) => ecus.includes('INV')),
    });
    expect(shrunk.plan.campaigns.map(({ ecus }) => ecus)).toEqual([['INV']]);
  });

  it('gives back the smallest history so far when the limit ends it', async () => {
    let tried = 0;
    const shrunk = await shrink(planOf(20), {
      limit: 6,
      fails: async (plan) => {
        tried++;
        return times(plan).includes(131);
      },
    });
    expect(shrunk.minimal).toBe(false);
    expect(tried).toBeLessThanOrEqual(6);
    expect(shrunk.plan.campaigns.length).toBeLessThan(20);
    expect(times(shrunk.plan)).toContain(131);
  });

  it('never asks twice about the same history', async () => {
    const asked: string[] = [];
    await shrink(planOf(8), {
      limit: 1000,
      fails: async (plan) => {
        asked.push(JSON.stringify(plan.campaigns));
        return times(plan).includes(41) && times(plan).includes(42);
      },
    });
    expect(new Set(asked).size).toBe(asked.length);
  });
});
