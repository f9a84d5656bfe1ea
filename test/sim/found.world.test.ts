// Histories that once broke an invariant, with the seed that found them: each stays as it was drawn.

import { expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import type { EpisodePlan } from '../../src/sim/scenario.ts';

const found: readonly (readonly [what: string, plan: EpisodePlan])[] = [
  [
    'seed 1, episode 17: an ECU with two requests waiting behind its answer was busy for ever',
    {
      seed: '1/17',
      episode: 17,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 6,
          ecus: ['EDT', 'INV'],
          faults: [],
          forced: false,
          encrypted: false,
          proof: ['BMS'],
        },
        {
          number: 7,
          ecus: ['BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'bus',
                kind: 'second-tester',
                at: { on: 'frame', n: 1184 },
                ecu: 'BMS',
                requests: 13,
              },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['EDT'],
        },
      ],
    },
  ],
  [
    'seed 1, episode 32: the same, where a babbling node held the answer back',
    {
      seed: '1/32',
      episode: 32,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 5,
          ecus: ['BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'bus',
                kind: 'babble',
                at: { on: 'time', ms: 2214 },
                forMs: 2357,
              },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['CGW'],
        },
      ],
    },
  ],
  [
    'seed 1, episode 21: the CGW was erased 19 s after the driver had taken his approval back on it',
    {
      seed: '1/21',
      episode: 21,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 1,
          ecus: ['CGW', 'EDT', 'INV'],
          faults: [
            { vehicle: 0, fault: { category: 'network', kind: 'delay', nth: 23, exchanges: 10 } },
            {
              vehicle: 0,
              fault: { category: 'driver', kind: 'withdraw', at: { on: 'time', ms: 9898 } },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['BMS'],
        },
      ],
    },
  ],
  [
    'seed soak-a, episode 5: the CGW lost its power and with it a withdrawal, and was erased again',
    {
      seed: 'soak-a/5',
      episode: 5,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 3,
          ecus: ['EDT', 'INV'],
          faults: [],
          proof: ['BMS'],
          forced: false,
          encrypted: false,
        },
        {
          number: 8,
          ecus: ['CGW'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'disk',
                kind: 'torn',
                at: { on: 'write', machine: 'CGW', n: 16 },
                machine: 'CGW',
                offMs: 34,
              },
            },
            {
              vehicle: 0,
              fault: { category: 'driver', kind: 'withdraw', at: { on: 'frame', n: 1000 } },
            },
            {
              vehicle: 0,
              fault: {
                category: 'disk',
                kind: 'torn',
                at: { on: 'write', machine: 'CGW', n: 24 },
                machine: 'CGW',
                offMs: 8999,
              },
            },
          ],
          proof: ['BMS'],
          forced: false,
          encrypted: false,
        },
      ],
    },
  ],
  [
    'seed soak-a, episode 15: a TMU that came back went on staging what the driver had withdrawn meanwhile',
    {
      seed: 'soak-a/15',
      episode: 15,
      vehicles: 1,
      singleBank: ['CGW'],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 4,
          ecus: ['INV', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'driver',
                kind: 'withdraw',
                at: { on: 'write', machine: 'TMU', n: 69 },
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'power',
                kind: 'cut',
                at: { on: 'write', machine: 'TMU', n: 70 },
                machines: ['TMU'],
                offMs: 7394,
              },
            },
          ],
          proof: ['INV'],
          forced: false,
          encrypted: false,
        },
      ],
    },
  ],
  [
    'seed 1, episode 0 of power and disk: an erased ECU was believed what it still ran from RAM',
    {
      seed: '1/0',
      episode: 0,
      vehicles: 1,
      singleBank: ['BMS'],
      chunked: false,
      otherMake: null,
      campaigns: [
        {
          number: 2,
          ecus: ['BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'disk',
                kind: 'full',
                at: { on: 'write', machine: 'BMS', n: 32 },
                machine: 'BMS',
                forMs: 54894,
              },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['INV'],
        },
      ],
    },
  ],
];

it.each(found)('%s', async (_what, plan) => {
  const run = createEpisodeRunner({ imageBytes: 16_384, sabotage: undefined });
  const { violations, endings } = await run(plan);
  expect(violations).toEqual([]);
  expect(endings).toHaveLength(plan.campaigns.length);
});
