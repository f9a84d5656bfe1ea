// Finds the shortest history that still fails: leaves out campaigns and faults while the same invariant fails.

import { itemAt } from '../core/present.ts';
import type { CampaignPlan, EpisodePlan } from './scenario.ts';

export interface ShrinkOptions {
  /** Whether the history still fails in the same way. Never called twice for the same history. */
  readonly fails: (plan: EpisodePlan) => Promise<boolean>;
  /** Maximum number of histories that are tried. */
  readonly limit: number;
}

export interface Shrunk {
  readonly plan: EpisodePlan;
  readonly tried: number;
  /** No single campaign, fault or ECU can be left out any more. False: the limit was reached. */
  readonly minimal: boolean;
}

/**
 * Delta debugging (Zeller 2002) over the campaigns, then over all faults together, then over the ECUs of each
 * campaign, repeated until nothing can be left out. `plan` itself must fail.
 */
export async function shrink(plan: EpisodePlan, options: ShrinkOptions): Promise<Shrunk> {
  const trial = new Trial(options);
  let current = plan;
  try {
    for (let size = Infinity; sizeOf(current) < size; ) {
      size = sizeOf(current);
      current = await trial.campaigns(current);
      current = await trial.faults(current);
      current = await trial.ecus(current);
    }
    return { plan: current, tried: trial.tried, minimal: true };
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    return { plan: trial.best ?? current, tried: trial.tried, minimal: false };
  }
}

class LimitReached extends Error {}

/** Number of campaigns, faults and ECUs; every step of shrinking lowers it. */
function sizeOf({ campaigns }: EpisodePlan): number {
  return campaigns.reduce((sum, { faults, ecus }) => sum + 1 + faults.length + ecus.length, 0);
}

class Trial {
  readonly #options: ShrinkOptions;
  readonly #known = new Map<string, boolean>();
  /** The smallest history that has failed so far. */
  best: EpisodePlan | undefined;

  constructor(options: ShrinkOptions) {
    this.#options = options;
  }

  get tried(): number {
    return this.#known.size;
  }

  async campaigns(plan: EpisodePlan): Promise<EpisodePlan> {
    const campaigns = await this.#minimise(plan.campaigns, (kept) => ({
      ...plan,
      campaigns: kept,
    }));
    return { ...plan, campaigns };
  }

  async faults(plan: EpisodePlan): Promise<EpisodePlan> {
    const all = plan.campaigns.flatMap(({ faults }, campaign) =>
      faults.map((planned) => ({ campaign, planned })),
    );
    const withFaults = (kept: readonly (typeof all)[number][]): EpisodePlan => ({
      ...plan,
      campaigns: plan.campaigns.map((campaign, index) => ({
        ...campaign,
        faults: kept.filter((one) => one.campaign === index).map(({ planned }) => planned),
      })),
    });
    return withFaults(await this.#minimise(all, withFaults));
  }

  async ecus(plan: EpisodePlan): Promise<EpisodePlan> {
    let current = plan;
    for (const [index, { ecus: all }] of plan.campaigns.entries()) {
      for (const ecu of all) {
        const campaign = itemAt(current.campaigns, index);
        const ecus = campaign.ecus.filter((other) => other !== ecu);
        if (ecus.length === 0) continue;
        const smaller = replaced(current, index, { ...campaign, ecus });
        if (await this.#fails(smaller)) current = smaller;
      }
    }
    return current;
  }

  /** ddmin: leaves out halves, quarters and so on, and finally each single item. */
  async #minimise<T>(
    items: readonly T[],
    planOf: (kept: readonly T[]) => EpisodePlan,
  ): Promise<readonly T[]> {
    let current = [...items];
    if (current.length > 0 && (await this.#fails(planOf([])))) return [];
    for (let parts = 2; current.length > 1; ) {
      const size = Math.ceil(current.length / parts);
      let smaller: T[] | undefined;
      for (let from = 0; from < current.length && smaller === undefined; from += size) {
        const kept = [...current.slice(0, from), ...current.slice(from + size)];
        if (await this.#fails(planOf(kept))) smaller = kept;
      }
      if (smaller !== undefined) {
        current = smaller;
        parts = Math.max(2, parts - 1);
      } else if (size > 1) {
        parts = Math.min(current.length, parts * 2);
      } else {
        break;
      }
    }
    return current;
  }

  async #fails(plan: EpisodePlan): Promise<boolean> {
    const key = JSON.stringify(plan.campaigns);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= this.#options.limit) throw new LimitReached();
    // An episode without campaigns shows nothing and cannot fail.
    const fails = plan.campaigns.length > 0 && (await this.#options.fails(plan));
    this.#known.set(key, fails);
    if (fails && (this.best === undefined || sizeOf(plan) < sizeOf(this.best))) this.best = plan;
    return fails;
  }
}

function replaced(plan: EpisodePlan, index: number, campaign: CampaignPlan): EpisodePlan {
  return { ...plan, campaigns: plan.campaigns.with(index, campaign) };
}
