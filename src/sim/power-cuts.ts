// A power cut at every write and every frame of one campaign in turn: of each machine alone, and of all at once.

import { present } from '../core/present.ts';
import type { EpisodeResult, RunEpisode } from './episode.ts';
import type { Trigger } from './faults/trigger.ts';
import { ECU_NAMES, type EcuName, type MachineName, OUR_MACHINES } from './machine-names.ts';
import type { CampaignPlan, EpisodePlan } from './scenario.ts';

export interface PowerCutOptions {
  readonly seed: string;
  readonly ecus: readonly EcuName[];
  readonly singleBank: readonly EcuName[];
  readonly runEpisode: RunEpisode;
  /** Only every nth frame and write; 1 by default. */
  readonly frameStride?: number;
  readonly writeStride?: number;
  /** How long the power is off. */
  readonly offMs: number;
  readonly onCut?: (done: number, of: number) => void;
  readonly stopped?: () => boolean;
}

interface PowerCutCase {
  readonly plan: EpisodePlan;
  readonly machines: readonly MachineName[];
  readonly at: Trigger;
  readonly result: EpisodeResult;
}

export interface PowerCutReport {
  /** Writes of each machine and frames in the campaign without a cut. */
  readonly writes: Readonly<Record<MachineName, number>>;
  readonly frames: number;
  readonly cuts: number;
  /** Number of campaigns by ending. */
  readonly endings: Readonly<Record<string, number>>;
  readonly failed: readonly PowerCutCase[];
}

/** Throws the error of the episode without a cut, and an Error when that episode does not succeed. */
export async function powerCuts(options: PowerCutOptions): Promise<PowerCutReport> {
  const { runEpisode, onCut, stopped } = options;
  const whole = await runEpisode(planOf(options, []));
  if (whole.endings[0] !== 'success' || whole.violations.length > 0) {
    throw new Error(
      `the campaign without a cut ended as ${whole.endings[0]}: ${JSON.stringify(whole.violations)}`,
    );
  }
  const { writes, frames } = present(whole.first, 'the counts of the first campaign');
  const cases = cutsOf(options, writes, frames);
  const failed: PowerCutCase[] = [];
  const endings: Record<string, number> = {};
  let cuts = 0;
  for (const { machines, at } of cases) {
    if (stopped?.() === true) break;
    const plan = planOf(options, [
      { vehicle: 0, fault: { category: 'power', kind: 'cut', at, machines, offMs: options.offMs } },
    ]);
    const result = await runEpisode(plan);
    const ending = result.endings[0] ?? 'none';
    endings[ending] = (endings[ending] ?? 0) + 1;
    if (result.violations.length > 0) failed.push({ plan, machines, at, result });
    cuts++;
    onCut?.(cuts, cases.length);
  }
  return { writes, frames, cuts, endings, failed };
}

function planOf(
  { seed, ecus, singleBank }: PowerCutOptions,
  faults: CampaignPlan['faults'],
): EpisodePlan {
  const proof = ECU_NAMES.filter((ecu) => ecu === ecus[0]);
  return {
    seed,
    episode: 0,
    vehicles: 1,
    singleBank,
    chunked: false,
    otherMake: null,
    smallDevice: false,
    campaigns: [{ number: 1, ecus, faults, forced: false, encrypted: false, proof }],
  };
}

function cutsOf(
  { frameStride = 1, writeStride = 1 }: PowerCutOptions,
  writes: Readonly<Record<MachineName, number>>,
  frames: number,
): { machines: readonly MachineName[]; at: Trigger }[] {
  const cases: { machines: readonly MachineName[]; at: Trigger }[] = [];
  for (const machine of OUR_MACHINES) {
    for (let n = 1; n <= writes[machine]; n += writeStride) {
      const at = { on: 'write', machine, n } as const;
      // A cut of the machine alone, and of the whole vehicle at the same instant.
      cases.push({ machines: [machine], at }, { machines: OUR_MACHINES, at });
    }
  }
  for (let n = 1; n <= frames; n += frameStride) {
    const at = { on: 'frame', n } as const;
    for (const machine of OUR_MACHINES) cases.push({ machines: [machine], at });
    cases.push({ machines: OUR_MACHINES, at });
  }
  return cases;
}
