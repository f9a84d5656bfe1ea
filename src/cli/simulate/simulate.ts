// `can-ota simulate`: runs thousands of campaigns with faults and reports how they really ended.

import { appendFileSync, closeSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Context } from '../../core/context.ts';
import { describeError, InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { canRedraw, silenceEcho, USUAL_COLUMNS } from '../../core/terminal.ts';
import { cutText } from '../../core/text-layout.ts';
import type { RunEpisode } from '../../sim/episode.ts';
import { createEpisodeRunner } from '../../sim/episode.ts';
import { EpisodePool } from '../../sim/episode-pool.ts';
import { triggerText } from '../../sim/faults/trigger.ts';
import { measuring } from '../../sim/limits.ts';
import { type PowerCutReport, powerCuts } from '../../sim/power-cuts.ts';
import { parseProfile } from '../../sim/profiles.ts';
import { reportText, type SimulationReport, violationText } from '../../sim/report.ts';
import { SABOTAGE_NAMES, sabotageOf } from '../../sim/sabotage.ts';
import { CAMPAIGNS_PER_EPISODE } from '../../sim/scenario.ts';
import { simulate } from '../../sim/simulate.ts';
import { type CommonOptions, runCommand } from '../context.ts';

export interface SimulateCommandOptions extends CommonOptions {
  readonly vehicles: number;
  readonly campaigns: number;
  readonly seed: string;
  readonly faults: string;
  readonly imageBytes: number;
  readonly episode?: number;
  readonly only?: string;
  readonly trace?: string;
  readonly sabotage?: string;
  readonly exhaustive?: boolean;
  readonly shrink: boolean;
  /** Missing: one job for each core. */
  readonly jobs?: number;
}

/** Maximum number of histories that are tried to find a shorter one. */
const SHRINK_LIMIT = 150;
const MAX_FAILURES = 3;
/** Number of episodes that the profiler measures. */
const MEASURED_EPISODES = 2;

export function simulateCommand(options: SimulateCommandOptions): Promise<void> {
  return runCommand(options, async (context) => {
    if (options.sabotage === 'list') {
      for (const name of SABOTAGE_NAMES) context.say(`${name}: ${sabotageOf(name).breaks}`);
      context.emit({ sabotages: SABOTAGE_NAMES });
      return ExitCode.success;
    }
    check(options);
    if (options.exhaustive === true) return runExhaustive(options, localRunner(options), context);
    if (options.trace === undefined) return runSeeds(options, context);
    const trace = new TraceFile(options.trace);
    try {
      return await runSeeds(options, context, trace);
    } finally {
      trace.close();
    }
  });
}

/** Runs the episodes in this process. */
function localRunner(
  { imageBytes, sabotage }: SimulateCommandOptions,
  trace?: TraceFile,
): RunEpisode {
  return createEpisodeRunner({
    imageBytes,
    sabotage: sabotage === undefined ? undefined : sabotageOf(sabotage),
    trace: trace && ((line) => trace.write(line)),
  });
}

function check({ episode, only, trace, exhaustive, vehicles }: SimulateCommandOptions): void {
  if (only !== undefined && episode === undefined) {
    throw new InputError('--only', 'needs --episode');
  }
  if (trace !== undefined && episode === undefined) {
    throw new InputError('--trace', 'needs --episode: the frames of all would be gigabytes');
  }
  if (exhaustive === true && (episode !== undefined || vehicles !== 1)) {
    throw new InputError(
      '--exhaustive',
      'is one campaign of one vehicle: no --episode, --vehicles 1',
    );
  }
}

/** With one job the episodes run in this process. */
async function runSeeds(
  options: SimulateCommandOptions,
  context: Context,
  trace?: TraceFile,
): Promise<ExitCode> {
  const progress = new ProgressLine();
  const { seed, vehicles, imageBytes, sabotage, episode, only, campaigns } = options;
  if (sabotage !== undefined) sabotageOf(sabotage);
  const episodes =
    episode === undefined ? Math.ceil(campaigns / (CAMPAIGNS_PER_EPISODE * vehicles)) : 1;
  const jobs = Math.min(options.jobs ?? availableParallelism(), episodes);
  const measured = Math.min(MEASURED_EPISODES, Math.max(1, Math.floor(episodes / jobs)));
  let limits: Readonly<Record<string, number>> = {};
  const onLimits = (told: typeof limits): void => {
    limits = told;
  };
  const pool =
    jobs === 1 ? undefined : new EpisodePool({ jobs, imageBytes, sabotage, measured, onLimits });
  context.signal.addEventListener('abort', () => pool?.close());
  const found = await simulate({
    seed,
    categories: parseProfile(options.faults),
    vehicles,
    imageBytes,
    sabotage,
    runEpisode: pool?.run ?? measuring(localRunner(options, trace), measured, onLimits),
    jobs,
    nowMs: () => performance.now(),
    campaigns: episode === undefined ? campaigns : undefined,
    ...defined({ episode, only }),
    // A history from --only is not shrunk further.
    shrinkLimit: options.shrink && only === undefined ? SHRINK_LIMIT : 0,
    maxFailures: MAX_FAILURES,
    onEpisode: (soFar) => progress.show(progressText(soFar, campaigns)),
    onShrinking: (invariant, tried) => progress.show(`${invariant}: shorter history ${tried}`),
    onViolation: (violation) => {
      progress.clear();
      process.stderr.write(`${violationText(violation)}\n`);
    },
    limits: () => limits,
    stopped: () => context.signal.aborted,
  }).finally(() => {
    progress.clear();
    pool?.close();
  });
  const report: SimulationReport = { ...found, limits };
  context.say(reportText(report));
  context.emit(report);
  if (context.signal.aborted) return context.interruption();
  return report.violations.length === 0 ? ExitCode.success : ExitCode.internal;
}

function progressText(soFar: SimulationReport, campaigns: number): string {
  const { success, rolledBack, rejected, safeState, violations, campaignsPerSecond } = soFar;
  return (
    `${soFar.campaigns}/${campaigns} campaigns, ${campaignsPerSecond}/s: success ${success}, rolled back ` +
    `${rolledBack}, rejected ${rejected}, safe state ${safeState}, violations ${violations.length}`
  );
}

async function runExhaustive(
  { seed, imageBytes }: SimulateCommandOptions,
  runEpisode: RunEpisode,
  context: Context,
): Promise<ExitCode> {
  const progress = new ProgressLine();
  const startMs = performance.now();
  const report = await powerCuts({
    seed,
    ecus: ['EDT', 'INV'],
    singleBank: [],
    runEpisode,
    offMs: 100,
    onCut: (done, of) => progress.show(`power cut ${done} of ${of}`),
    stopped: () => context.signal.aborted,
  });
  progress.clear();
  const seconds = Math.round((performance.now() - startMs) / 10) / 100;
  tellCuts(report, seconds, context);
  const { writes, frames, cuts, endings } = report;
  context.emit({
    seed,
    imageBytes,
    writes,
    frames,
    cuts,
    endings,
    violations: report.failed.flatMap(({ machines, at, result }) =>
      result.violations.map((violation) => ({ ...violation, machines, at })),
    ),
    seconds,
  });
  if (context.signal.aborted) return context.interruption();
  return report.failed.length === 0 ? ExitCode.success : ExitCode.internal;
}

function tellCuts(report: PowerCutReport, seconds: number, context: Context): void {
  for (const { machines, at, result } of report.failed) {
    for (const { invariant, text } of result.violations) {
      const where = `power cut of ${machines.join('+')} at ${triggerText(at)}`;
      process.stderr.write(`VIOLATION ${invariant}: ${where}: ${text}\n`);
    }
  }
  const endings = Object.entries(report.endings).map(([ending, count]) => `${ending} ${count}`);
  context.say(`${report.cuts} power cuts in ${seconds} s: ${endings.join(', ')}`);
}

/** One line on a terminal, rewritten between episodes. It has no timer, because a simulation must not use real time. */
class ProgressLine {
  readonly #shown = canRedraw(process.stderr);
  #silent = false;

  show(text: string): void {
    if (!this.#shown) return;
    // To the end of the process: what is typed belongs to the shell.
    if (!this.#silent) silenceEcho();
    this.#silent = true;
    // A line that wraps could not be taken back.
    const columns = (process.stderr.columns || USUAL_COLUMNS) - 1;
    process.stderr.write(`\r\x1b[K${cutText(text, columns)}`);
  }

  clear(): void {
    this.show('');
  }
}

/** Writes synchronously: while virtual time runs, nothing may wait for a real disk. */
class TraceFile {
  readonly #file: number;
  #lines: string[] = [];

  /** Throws InputError. */
  constructor(path: string) {
    try {
      this.#file = openSync(path, 'w');
    } catch (error) {
      throw new InputError('--trace', `${path} cannot be written: ${describeError(error)}`);
    }
  }

  write(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length >= 1000) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    if (this.#lines.length > 0) appendFileSync(this.#file, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }
}
