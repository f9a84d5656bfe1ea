// Runs episode after episode under one seed until the limit of campaigns, and shrinks histories that fail. Several
// episodes may run at a time; the results and their order do not depend on how many.

import { createHash } from 'node:crypto';
import { defined } from '../core/optional.ts';
import { itemAt, present } from '../core/present.ts';
import { crashed } from './crash.ts';
import type { EpisodeResult, RunEpisode } from './episode.ts';
import { WorkerError } from './episode-pool.ts';
import { FAULT_CATEGORIES, type FaultCategory, type ProfileEntry } from './faults/catalogue.ts';
import type { CampaignEnding, Violation } from './invariants.ts';
import { profileText } from './profiles.ts';
import { type FoundViolation, replayCommand, type SimulationReport } from './report.ts';
import {
  CAMPAIGNS_PER_EPISODE,
  type EpisodePlan,
  episodeText,
  planEpisode,
  selectFrom,
  selectionText,
} from './scenario.ts';
import { shrink } from './shrink.ts';

export interface SimulateOptions {
  readonly seed: string;
  readonly categories: readonly ProfileEntry[];
  readonly vehicles: number;
  readonly imageBytes: number;
  /** Name for the report and the replay command; `runEpisode` contains the sabotage itself. */
  readonly sabotage: string | undefined;
  readonly runEpisode: RunEpisode;
  /** Episodes that may run at a time, 1 by default; with more than one, one history to shrink may wait there, too. */
  readonly jobs?: number;
  /** Real time, ms. */
  readonly nowMs: () => number;
  /** Limit of campaigns, which may end an episode early; undefined: no limit. */
  readonly campaigns: number | undefined;
  /** Whether another episode may begin, for time limits. */
  readonly more?: () => boolean;
  /** Runs only this episode. */
  readonly episode?: number;
  /** With `episode`: the part of it that is left (`selectionText`). */
  readonly only?: string;
  /** How many histories are tried to find a shorter one; 0: none. */
  readonly shrinkLimit: number;
  /** Limit of episodes with violations: one fault often violates many invariants. */
  readonly maxFailures: number;
  readonly onEpisode?: (soFar: SimulationReport) => void;
  readonly onViolation?: (violation: FoundViolation) => void;
  /** Called while a shorter history is searched for. */
  readonly onShrinking?: (invariant: string, tried: number) => void;
  /** Shares of processor time, once they are known. */
  readonly limits?: () => Readonly<Record<string, number>>;
  /** Whether the user wants it to end. */
  readonly stopped?: () => boolean;
}

/** An episode that was started, perhaps before its turn. */
interface Begun {
  readonly plan: EpisodePlan;
  readonly result: Promise<EpisodeResult>;
  /** Number of its campaigns, as far as it is known. */
  campaigns: number;
}

/** How many episodes for each job may be started while an earlier one is shrunk. */
const AHEAD = 4;

/** Never rejects for an error in an episode: that is a violation. Throws WorkerError. */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulateOptions;
  readonly #startMs: number;
  readonly #digest = createHash('sha256');
  readonly #endings: Record<CampaignEnding, number> = {
    success: 0,
    rolledBack: 0,
    rejected: 0,
    safeState: 0,
  };
  readonly #faults = Object.fromEntries(
    FAULT_CATEGORIES.map((category) => [category, 0]),
  ) as Record<FaultCategory, number>;
  readonly #violations: FoundViolation[] = [];
  /** Campaigns of the reported episodes; the next episode to report is `#turn`. */
  #campaigns = 0;
  /** Started episodes from `#turn` on, without a gap. */
  readonly #begun = new Map<number, Begun>();
  #turn = 0;
  #running = 0;
  #shrinking = false;
  #proofs = 0;
  #episodes = 0;
  #failures = 0;
  #virtualMs = 0;
  #frames = 0;

  constructor(options: SimulateOptions) {
    this.#options = options;
    this.#startMs = options.nowMs();
  }

  async run(): Promise<SimulationReport> {
    const { episode } = this.#options;
    try {
      if (episode !== undefined) {
        const full = planEpisode(this.#options, episode);
        const plan = this.#cut(full, 0);
        await this.#take(full, plan, await this.#play(plan));
      } else {
        while (this.#goesOn()) await this.#playNext();
      }
    } catch (error) {
      // The user ended the run, and with it the workers.
      if (!(error instanceof WorkerError) || !this.#isStopped) throw error;
    }
    return this.#report();
  }

  get #isStopped(): boolean {
    return this.#options.stopped?.() === true;
  }

  #goesOn(): boolean {
    const { campaigns, more, maxFailures } = this.#options;
    if (this.#failures >= maxFailures || this.#isStopped) return false;
    if (campaigns !== undefined && this.#campaigns >= campaigns) return false;
    return this.#begun.has(this.#turn) || more === undefined || more();
  }

  async #playNext(): Promise<void> {
    const full = planEpisode(this.#options, this.#turn);
    const plan = this.#cut(full, this.#campaigns);
    // The episode was started before the campaigns of the earlier ones were known, so it may be cut too short.
    const early = this.#begun.get(this.#turn);
    if (early?.plan.campaigns.length !== plan.campaigns.length) this.#begin(this.#turn, plan);
    this.#beginMore();
    const result = await present(this.#begun.get(this.#turn), `episode ${this.#turn}`).result;
    this.#begun.delete(this.#turn++);
    await this.#take(full, plan, result);
  }

  #begin(episode: number, plan: EpisodePlan): void {
    const result = this.#play(plan);
    const begun: Begun = {
      plan,
      result,
      campaigns: plan.campaigns.length * this.#options.vehicles,
    };
    this.#begun.set(episode, begun);
    result
      .then(({ endings }) => {
        begun.campaigns = endings.length;
        this.#beginMore();
      })
      .catch(() => {}); // the error is handled when the turn of the episode has come
  }

  /** Starts as many episodes as may run beside the one whose turn it is. */
  #beginMore(): void {
    const { jobs = 1, campaigns, more, maxFailures } = this.#options;
    const most = jobs === 1 ? 1 : AHEAD * jobs;
    for (;;) {
      if (this.#running >= (this.#shrinking ? jobs - 1 : jobs) || this.#begun.size >= most) return;
      if (this.#failures >= maxFailures || this.#isStopped || more?.() === false) return;
      const soFar = [...this.#begun.values()].reduce(
        (sum, begun) => sum + begun.campaigns,
        this.#campaigns,
      );
      if (campaigns !== undefined && soFar >= campaigns) return;
      const episode = this.#turn + this.#begun.size;
      this.#begin(episode, this.#cut(planEpisode(this.#options, episode), soFar));
    }
  }

  /** Rejects only with WorkerError. */
  async #play(plan: EpisodePlan): Promise<EpisodeResult> {
    this.#running++;
    try {
      return await this.#options.runEpisode(plan);
    } catch (error) {
      if (error instanceof WorkerError) throw error;
      return crashed(error);
    } finally {
      this.#running--;
    }
  }

  async #take(full: EpisodePlan, plan: EpisodePlan, result: EpisodeResult): Promise<void> {
    const { onEpisode, vehicles } = this.#options;
    const { episode } = plan;
    this.#episodes++;
    this.#campaigns += result.endings.length;
    for (const ending of result.endings) this.#endings[ending]++;
    this.#proofs += result.proofs;
    this.#virtualMs += result.virtualMs;
    this.#frames += result.frames;
    for (const category of FAULT_CATEGORIES) this.#faults[category] += result.faults[category] ?? 0;
    this.#digest.update(`${episode} ${vehicles} ${result.digest}\n`);
    if (result.violations.length > 0) {
      this.#failures++;
      await this.#found(full, plan, result.violations);
    }
    onEpisode?.(this.#report());
  }

  /** Cuts the episode to `only`, or to the number of campaigns that are still missing after `soFar`. */
  #cut(full: EpisodePlan, soFar: number): EpisodePlan {
    const { only, campaigns, vehicles } = this.#options;
    if (only !== undefined) return selectFrom(full, only);
    if (campaigns === undefined) return full;
    const missing = Math.ceil((campaigns - soFar) / vehicles);
    return {
      ...full,
      campaigns: full.campaigns.slice(0, Math.min(CAMPAIGNS_PER_EPISODE, missing)),
    };
  }

  /** Reports the first violation of each invariant. Only the very first is shrunk: the others mostly follow from it. */
  async #found(
    full: EpisodePlan,
    plan: EpisodePlan,
    violations: readonly Violation[],
  ): Promise<void> {
    const { onViolation } = this.#options;
    const first = itemAt(violations, 0);
    // Later campaigns do not matter for it.
    const upTo = {
      ...plan,
      campaigns: plan.campaigns.filter(({ number }) => number <= first.campaign),
    };
    const shortest = await this.#shrink(upTo.campaigns.length > 0 ? upTo : plan, first);
    const firsts = violations.filter(
      (one, index) => violations.findIndex((two) => two.invariant === one.invariant) === index,
    );
    for (const [index, { invariant, campaign, atMs, text }] of firsts.entries()) {
      const { plan: history, minimal } = index === 0 ? shortest : { plan: upTo, minimal: false };
      const found: FoundViolation = {
        invariant,
        text,
        seed: this.#options.seed,
        episode: plan.episode,
        campaign,
        atMs: Math.round(atMs),
        history: episodeText(history),
        minimal,
        replay: replayCommand({
          ...this.#options,
          episode: plan.episode,
          only: selectionText(full, history),
        }),
      };
      this.#violations.push(found);
      onViolation?.(found);
    }
  }

  async #shrink(
    plan: EpisodePlan,
    { invariant }: Violation,
  ): Promise<{ readonly plan: EpisodePlan; readonly minimal: boolean }> {
    const { shrinkLimit, onShrinking } = this.#options;
    if (shrinkLimit === 0) return { plan, minimal: false };
    let tried = 0;
    this.#shrinking = true;
    try {
      return await shrink(plan, {
        limit: shrinkLimit,
        fails: async (smaller) => {
          if (this.#isStopped) return false;
          onShrinking?.(invariant, ++tried);
          const { violations } = await this.#play(smaller);
          return violations.some((other) => other.invariant === invariant);
        },
      });
    } finally {
      this.#shrinking = false;
    }
  }

  #report(): SimulationReport {
    const { seed, categories, sabotage, vehicles, imageBytes, nowMs, limits } = this.#options;
    const seconds = (nowMs() - this.#startMs) / 1000;
    return {
      campaigns: this.#campaigns,
      ...this.#endings,
      violations: [...this.#violations],
      virtualSeconds: round(this.#virtualMs / 1000),
      seconds: round(seconds),
      faults: { ...this.#faults },
      digest: this.#digest.copy().digest('hex'),
      seed,
      profile: profileText(categories),
      ...defined({ sabotage }),
      vehicles,
      imageBytes,
      episodes: this.#episodes,
      proofs: this.#proofs,
      frames: this.#frames,
      campaignsPerSecond: round(this.#campaigns / Math.max(seconds, 0.001)),
      limits: limits?.() ?? {},
    };
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
