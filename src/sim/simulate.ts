// Episode after episode under one seed, until enough campaigns have been through; what fails is shrunk.

import { createHash } from 'node:crypto';
import { describeError } from '../core/errors.ts';
import type { EpisodeResult, RunEpisode } from './episode.ts';
import { FAULT_CATEGORIES, type FaultCategory, type ProfileEntry } from './faults/catalogue.ts';
import type { Ending, Violation } from './invariants.ts';
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
  /** For the report and the replay command; what it does is in `runEpisode`. */
  readonly sabotage: string | undefined;
  readonly runEpisode: RunEpisode;
  /** Real time, ms. */
  readonly nowMs: () => number;
  /** Whether another episode is begun, after so many campaigns. */
  readonly more: (campaigns: number) => boolean;
  /** Campaigns at which the last episode ends; undefined: it is played to its end. */
  readonly campaigns: number | undefined;
  /** Only this one. */
  readonly episode?: number;
  /** With `episode`: what is left of it (`selectionText`). */
  readonly only?: string;
  /** Histories tried to find a shorter one; 0: none. */
  readonly shrinkLimit: number;
  /** Episodes with violations after which it ends: one broken thing breaks many. */
  readonly maxFailures: number;
  readonly onEpisode?: (soFar: SimulationReport) => void;
  readonly onViolation?: (violation: FoundViolation) => void;
  /** Tells that it is looking for a shorter history. */
  readonly onShrinking?: (invariant: string, tried: number) => void;
  /** Shares of the processor's time, when they are known. */
  readonly limits?: () => Readonly<Record<string, number>>;
  /** Whether somebody wants it to end. */
  readonly stopped?: () => boolean;
}

/** Never rejects for what goes wrong in an episode: that is a violation. */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulateOptions;
  readonly #startMs: number;
  readonly #digest = createHash('sha256');
  readonly #endings: Record<Ending, number> = {
    success: 0,
    rolledBack: 0,
    rejected: 0,
    safeState: 0,
  };
  readonly #faults = Object.fromEntries(
    FAULT_CATEGORIES.map((category) => [category, 0]),
  ) as Record<FaultCategory, number>;
  readonly #violations: FoundViolation[] = [];
  #campaigns = 0;
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
    const { episode, more, maxFailures, stopped } = this.#options;
    if (episode !== undefined) {
      await this.#play(episode);
    } else {
      for (let next = 0; more(this.#campaigns) && this.#failures < maxFailures; next++) {
        if (stopped?.() === true) break;
        await this.#play(next);
      }
    }
    return this.#report();
  }

  async #play(episode: number): Promise<void> {
    const { runEpisode, onEpisode, vehicles } = this.#options;
    const full = planEpisode(this.#options, episode);
    const plan = this.#cut(full);
    const result = await runEpisode(plan).catch((error: unknown) => crashed(error));
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

  /** To what was asked for, or to the campaigns that are still missing. */
  #cut(full: EpisodePlan): EpisodePlan {
    const { only, campaigns, vehicles } = this.#options;
    if (only !== undefined) return selectFrom(full, only);
    if (campaigns === undefined) return full;
    const missing = Math.ceil((campaigns - this.#campaigns) / vehicles);
    return {
      ...full,
      campaigns: full.campaigns.slice(0, Math.min(CAMPAIGNS_PER_EPISODE, missing)),
    };
  }

  /** One of each invariant; the first is shrunk, as the others mostly follow from it. */
  async #found(
    full: EpisodePlan,
    plan: EpisodePlan,
    violations: readonly Violation[],
  ): Promise<void> {
    const { onViolation } = this.#options;
    // What comes after it has nothing to do with it.
    const upTo = {
      ...plan,
      campaigns: plan.campaigns.filter(({ number }) => number <= violations[0]!.campaign),
    };
    const shortest = await this.#shrink(upTo.campaigns.length > 0 ? upTo : plan, violations[0]!);
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
    const { shrinkLimit, runEpisode, onShrinking, stopped } = this.#options;
    if (shrinkLimit === 0) return { plan, minimal: false };
    let tried = 0;
    return shrink(plan, {
      limit: shrinkLimit,
      fails: async (smaller) => {
        if (stopped?.() === true) return false;
        onShrinking?.(invariant, ++tried);
        const result = await runEpisode(smaller).catch((error: unknown) => crashed(error));
        return result.violations.some((other) => other.invariant === invariant);
      },
    });
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
      ...(sabotage === undefined ? {} : { sabotage }),
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

function crashed(error: unknown): EpisodeResult {
  const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
  const text = `${describeError(error)} ${where}`.trim();
  return {
    endings: [],
    proofs: 0,
    violations: [{ invariant: 'crash', campaign: 0, atMs: 0, text }],
    virtualMs: 0,
    frames: 0,
    digest: '',
    faults: {},
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
