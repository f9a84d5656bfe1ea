// One world: a seed replays exactly, faults are counted when they happen, and each kind of campaign end occurs.

import { describe, expect, it } from 'vitest';
import { parseLogLine } from '../../src/bus/candump-log.ts';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import type { Fault } from '../../src/sim/faults/catalogue.ts';
import { FAULT_CATEGORIES } from '../../src/sim/faults/catalogue.ts';
import type { CampaignPlan, EpisodePlan } from '../../src/sim/scenario.ts';
import { planEpisode } from '../../src/sim/scenario.ts';

const IMAGE_BYTES = 2000;

function campaign(number: number, change: Partial<CampaignPlan> = {}): CampaignPlan {
  return {
    ...{ number, ecus: ['EDT'], faults: [], forced: false, encrypted: false, proof: ['INV'] },
    ...change,
  };
}

function planOf(...campaigns: CampaignPlan[]): EpisodePlan {
  return {
    seed: 'episode',
    episode: 0,
    vehicles: 1,
    singleBank: [],
    chunked: false,
    otherMake: null,
    smallDevice: false,
    campaigns,
  };
}

const run = createEpisodeRunner({ imageBytes: IMAGE_BYTES, sabotage: undefined });
const withFault = (fault: Fault): EpisodePlan =>
  planOf(campaign(1, { faults: [{ vehicle: 0, fault }] }));

describe('an episode', () => {
  it('replays exactly from its seed, and differs from another', async () => {
    const options = { seed: 'replay', categories: FAULT_CATEGORIES, imageBytes: IMAGE_BYTES };
    const plan = planEpisode({ ...options, vehicles: 1 }, 0, 5);
    const lines: string[][] = [[], []];
    const [first, second] = [
      await createEpisodeRunner({
        imageBytes: IMAGE_BYTES,
        sabotage: undefined,
        trace: (line) => lines[0]!.push(line),
      })(plan),
      await createEpisodeRunner({
        imageBytes: IMAGE_BYTES,
        sabotage: undefined,
        trace: (line) => lines[1]!.push(line),
      })(plan),
    ];
    expect(second).toEqual(first);
    expect(lines[1]).toEqual(lines[0]);
    expect(lines[0]!.length).toBe(first.frames);
    expect((await run({ ...plan, seed: 'replay/1' })).digest).not.toBe(first.digest);
  });

  it('without faults is all success, with every kind of release', async () => {
    const result = await run(
      planOf(
        campaign(1, { ecus: ['CGW', 'EDT', 'BMS'] }),
        campaign(2, { forced: true }),
        campaign(3, { encrypted: true, ecus: ['EDT', 'INV'] }),
      ),
    );
    expect(result).toMatchObject({
      endings: ['success', 'success', 'success'],
      proofs: 3,
      violations: [],
      faults: {},
    });
  });

  it('traces frames that other tools read', async () => {
    const lines: string[] = [];
    const traced = createEpisodeRunner({
      imageBytes: IMAGE_BYTES,
      sabotage: undefined,
      trace: (line) => lines.push(line),
    });
    await traced(planOf(campaign(1)));
    expect(lines.length).toBeGreaterThan(1000);
    for (const line of lines) expect(parseLogLine(line)).toMatchObject({ interfaceName: 'sim0' });
  });

  it.each<[string, Fault, readonly string[]]>([
    ['a driver who denies', { category: 'driver', kind: 'deny', afterMs: 100 }, ['rejected']],
    [
      'a driver who is not there',
      { category: 'driver', kind: 'silence', afterMs: 0 },
      ['rejected'],
    ],
    [
      'a driver who waits for the ignition to be switched off',
      { category: 'driver', kind: 'later-ignition', afterMs: 100 },
      ['rejected'],
    ],
    [
      'an operator who cancels while ECUs are staged',
      {
        category: 'driver',
        kind: 'cancel',
        at: { on: 'state', state: 'staging', delayMs: 10 },
      },
      ['rejected'],
    ],
    [
      'an operator who cancels after the point of no return',
      {
        category: 'driver',
        kind: 'cancel',
        at: { on: 'state', state: 'committing', delayMs: 0 },
      },
      ['success'],
    ],
    [
      'a vehicle that drives off while ECUs are staged',
      {
        category: 'vehicle',
        kind: 'moving',
        at: { on: 'state', state: 'staging', delayMs: 200 },
        forMs: 5000,
      },
      ['rejected'],
    ],
    [
      'an image that does not come up',
      { category: 'ecu', kind: 'refuse-boot', ecu: 'EDT' },
      ['rolledBack'],
    ],
    [
      'an image that fails its self test',
      { category: 'ecu', kind: 'self-test', ecu: 'EDT' },
      ['rolledBack'],
    ],
    [
      'an image that stores a new trouble code',
      { category: 'ecu', kind: 'trouble-code', ecu: 'EDT' },
      ['rolledBack'],
    ],
  ])('with %s ends as it should', async (_who, fault, endings) => {
    const result = await run(withFault(fault));
    expect(result).toMatchObject({ endings, proofs: 1, violations: [] });
    expect(result.faults).toEqual({ [fault.category]: 1 });
  });

  it('counts only what happened', async () => {
    const never: Fault = {
      ...{ category: 'power', kind: 'cut', machines: ['TMU'], offMs: 10 },
      at: { on: 'frame', n: 10_000_000 },
    };
    expect(await run(withFault(never))).toMatchObject({ endings: ['success'], faults: {} });
  });

  it('rejects when something throws that nobody expects', async () => {
    const broken = createEpisodeRunner({
      imageBytes: IMAGE_BYTES,
      sabotage: {
        breaks: 'the vehicle file',
        world: () => ({}),
        vehicle: () => {
          throw new Error('a mistake');
        },
      },
    });
    await expect(broken(planOf(campaign(1)))).rejects.toThrow('a mistake');
  });
});
