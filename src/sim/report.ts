// The result of a simulation, as the JSON object of its last line and as text.

import type { FaultCategory, ProfileEntry } from './faults/catalogue.ts';
import { type InvariantName, invariantText } from './invariants/catalogue.ts';
import { profileText } from './profiles.ts';

/** A violated invariant, with everything that is needed to reproduce it. */
export interface FoundViolation {
  readonly invariant: InvariantName;
  readonly text: string;
  readonly seed: string;
  readonly episode: number;
  /** Campaign from 1, within the episode. */
  readonly campaign: number;
  /** Virtual time of the episode. */
  readonly atMs: number;
  /** The shortest history that still fails: one line for each campaign and fault. */
  readonly history: string;
  /** False: the search for a shorter history was stopped or not started. */
  readonly minimal: boolean;
  /** The command that reproduces it. */
  readonly replay: string;
}

type FaultCounts = Readonly<Record<FaultCategory, number>>;

/** The last line of `can-ota simulate --json`. The first ten members are a contract. */
export interface SimulationReport {
  /** Campaigns with faults, of all vehicles. */
  readonly campaigns: number;
  readonly success: number;
  readonly rolledBack: number;
  /** Ended before any ECU was touched: rejected or deferred by the driver, cancelled, a condition, a bad download. */
  readonly rejected: number;
  /** Campaigns that ended in a declared mixed state. */
  readonly safeState: number;
  readonly violations: readonly FoundViolation[];
  readonly virtualSeconds: number;
  readonly seconds: number;
  /** Faults that really happened, by category. */
  readonly faults: FaultCounts;
  /** Digest of everything that happened: equal for equal seeds. */
  readonly digest: string;
  readonly seed: string;
  readonly profile: string;
  readonly sabotage?: string;
  readonly vehicles: number;
  readonly imageBytes: number;
  readonly episodes: number;
  /** Campaigns without faults that followed; each of them must succeed. */
  readonly proofs: number;
  readonly frames: number;
  readonly campaignsPerSecond: number;
  /** Shares of processor time, measured on the first episodes; empty where nothing was measured. */
  readonly limits: Readonly<Record<string, number>>;
}

export function reportText(report: SimulationReport): string {
  const { success, rolledBack, rejected, safeState, faults } = report;
  const drawn = Object.entries(faults)
    .filter(([, count]) => count > 0)
    .map(([category, count]) => `${category} ${count}`);
  const limits = Object.entries(report.limits)
    .sort(([, a], [, b]) => b - a)
    .map(([what, share]) => `${what} ${Math.round(100 * share)} %`);
  return [
    `seed ${report.seed}, faults ${report.profile}: ${report.campaigns} campaigns in ${report.episodes} episodes, ${report.proofs} proofs`,
    `  success ${success}, rolled back ${rolledBack}, rejected ${rejected}, safe state ${safeState}`,
    `  faults: ${drawn.join(', ') || 'none'}`,
    `  ${report.virtualSeconds} virtual seconds and ${report.frames} frames in ${report.seconds} s: ${report.campaignsPerSecond} campaigns/s`,
    ...(limits.length === 0 ? [] : [`  time went to: ${limits.join(', ')}`]),
    `  digest ${report.digest}`,
    report.violations.length === 0
      ? '  no violations'
      : `  ${report.violations.length} violation${report.violations.length === 1 ? '' : 's'}`,
  ].join('\n');
}

export function violationText(violation: FoundViolation): string {
  const { invariant, text, seed, episode, campaign, atMs, minimal } = violation;
  return [
    `VIOLATION ${invariant}: ${invariantText(invariant)}`,
    `  ${text}`,
    `  seed ${seed}, episode ${episode}, campaign ${campaign}, at ${(atMs / 1000).toFixed(3)} s`,
    `  ${minimal ? 'the shortest history that still fails' : 'a history that fails'}:`,
    ...violation.history.split('\n').map((line) => `    ${line}`),
    `  replay: ${violation.replay}`,
  ].join('\n');
}

/** A violation in one line: its invariant, its place, and the command that reproduces it. */
export function violationLine({ invariant, seed, episode, replay }: FoundViolation): string {
  return `VIOLATION ${invariant}, seed ${seed}, episode ${episode}: ${replay}`;
}

/** How the campaigns ended, and how often each invariant was violated. */
export function kindsText(report: SimulationReport): string {
  const { campaigns, success, rolledBack, rejected, safeState, violations } = report;
  const share = (count: number): string =>
    campaigns === 0 ? '' : ` (${Math.round((100 * count) / campaigns)} %)`;
  const endings = { success, 'rolled back': rolledBack, rejected, 'safe state': safeState };
  const kinds = Map.groupBy(violations, ({ invariant }) => invariant);
  return [
    `seed ${report.seed}, faults ${report.profile}: ${campaigns} campaigns in ${report.episodes} episodes`,
    ...Object.entries(endings).map(([ending, count]) => `  ${ending}: ${count}${share(count)}`),
    ...[...kinds]
      .sort(([, a], [, b]) => b.length - a.length)
      .map(([invariant, found]) => {
        const episodes = found.map(({ episode }) => episode).join(', ');
        const often = `one in ${Math.round(campaigns / found.length)} campaigns`;
        return `  VIOLATION ${invariant}: ${found.length}, ${often}, in episodes ${episodes}`;
      }),
    ...(violations.length === 0 ? ['  no violations'] : []),
  ].join('\n');
}

export interface ReplayFacts {
  readonly seed: string;
  readonly categories: readonly ProfileEntry[];
  readonly episode: number;
  readonly vehicles: number;
  readonly imageBytes: number;
  readonly sabotage: string | undefined;
  /** The rest of the episode, as `selectionText` writes it. */
  readonly only: string;
}

export function replayCommand(facts: ReplayFacts): string {
  const { seed, categories, episode, vehicles, imageBytes, sabotage, only } = facts;
  return [
    `can-ota simulate --seed ${quoted(seed)} --faults ${profileText(categories)}`,
    `--vehicles ${vehicles} --image-bytes ${imageBytes}`,
    ...(sabotage === undefined ? [] : [`--sabotage ${sabotage}`]),
    `--episode ${episode} --only '${only}'`,
  ].join(' ');
}

function quoted(seed: string): string {
  return /^[\w.-]+$/.test(seed) ? seed : `'${seed.replaceAll("'", `'\\''`)}'`;
}
