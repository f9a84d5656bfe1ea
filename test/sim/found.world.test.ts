// Histories that once violated an invariant, with the seed that found them; each stays as it was drawn.
// Histories about a bus that stays silent are also in silence.test.ts, with moments that are looked up.

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
      smallDevice: false,
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
      smallDevice: false,
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
      smallDevice: false,
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
      smallDevice: false,
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
      smallDevice: false,
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
      smallDevice: false,
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
  [
    'seed 3, episode 2: a TMU that was cut in the silence kept INV silent by reading its telemetry',
    {
      seed: '3/2',
      episode: 2,
      vehicles: 1,
      singleBank: [],
      chunked: true,
      otherMake: null,
      smallDevice: false,
      campaigns: [
        {
          number: 4,
          ecus: ['EDT'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'services',
                kind: 'configure',
                at: { on: 'state', state: 'staging', delayMs: 1445 },
                pollInterval: 3,
                uploadInterval: 15,
                dids: 1,
              },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['INV'],
        },
        {
          number: 8,
          ecus: ['EDT'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'power',
                kind: 'cut',
                at: { on: 'frame', n: 2127 },
                machines: ['TMU'],
                offMs: 4377,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'ecu',
                kind: 'wrong-answers',
                ecu: 'EDT',
                at: { on: 'time', ms: 5522 },
                answers: 10,
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
    'seed 201, episode 1: the end of the silence was lost while the TMU was off the bus',
    {
      seed: '201/1',
      episode: 1,
      vehicles: 1,
      singleBank: ['INV'],
      chunked: false,
      otherMake: null,
      smallDevice: false,
      campaigns: [
        {
          number: 4,
          ecus: ['BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'services',
                kind: 'configure',
                at: { on: 'frame', n: 1690 },
                pollInterval: 3,
                uploadInterval: 14,
                dids: 2,
              },
            },
          ],
          forced: true,
          encrypted: false,
          proof: ['CGW'],
        },
        {
          number: 19,
          ecus: ['EDT'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'bus',
                kind: 'bus-off',
                at: { on: 'frame', n: 2118 },
                machine: 'TMU',
                forMs: 2093,
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
  [
    'seed 201, episode 10: the same, and then the power of the TMU',
    {
      seed: '201/10',
      episode: 10,
      vehicles: 1,
      singleBank: ['EDT'],
      chunked: false,
      otherMake: null,
      smallDevice: false,
      campaigns: [
        {
          number: 5,
          ecus: ['BMS'],
          faults: [],
          forced: false,
          encrypted: false,
          proof: ['EDT'],
        },
        {
          number: 6,
          ecus: ['BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'services',
                kind: 'configure',
                at: { on: 'frame', n: 2412 },
                pollInterval: 3,
                uploadInterval: 15,
                dids: 1,
              },
            },
          ],
          forced: false,
          encrypted: true,
          proof: ['INV'],
        },
        {
          number: 15,
          ecus: ['CGW', 'INV', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'bus',
                kind: 'bus-off',
                at: { on: 'frame', n: 4064 },
                machine: 'TMU',
                forMs: 1194,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'power',
                kind: 'cut',
                at: { on: 'write', machine: 'TMU', n: 40 },
                machines: ['TMU'],
                offMs: 3542,
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
  [
    'seed 968562, episode 2: the next release was judged by a campaign that was put off behind an attacker',
    {
      seed: '968562/2',
      episode: 2,
      vehicles: 1,
      singleBank: [],
      chunked: true,
      otherMake: null,
      smallDevice: true,
      campaigns: [
        {
          number: 17,
          ecus: ['CGW', 'EDT'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'vehicle',
                kind: 'moving',
                at: { on: 'write', machine: 'EDT', n: 7 },
                forMs: 59250,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'attacker',
                kind: 'opportunist',
                at: { on: 'frame', n: 4530 },
                forMs: 20000,
                everyMs: 66,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'server',
                kind: 'power-cut',
                at: { on: 'state', state: 'downloading', delayMs: 2119 },
                write: 0,
                forMs: 20511,
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
    'seed 17959618593, episode 16: an image was believed to be there before a single bank had restarted into it',
    {
      seed: '17959618593/16',
      episode: 16,
      vehicles: 1,
      singleBank: ['EDT'],
      chunked: false,
      otherMake: {
        security: 'none',
        knows: ['dtcSetting', 'preconditions', 'fingerprint', 'erase', 'checkMemory'],
        answerMs: 45,
        bootMs: 878,
        eraseMs: 3312,
        blockLength: 377,
      },
      smallDevice: false,
      campaigns: [
        {
          number: 1,
          ecus: ['OBC'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'make',
                kind: 'lingers',
                at: { on: 'state', state: 'activating', delayMs: 0 },
                forMs: 3600000,
                amount: 873,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'disk',
                kind: 'full',
                at: { on: 'write', machine: 'OBC', n: 17 },
                machine: 'OBC',
                forMs: 43327,
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
    'seed 17959618593, episode 23: a refusal behind responsePending was taken for nothing changed',
    {
      seed: '17959618593/23',
      episode: 23,
      vehicles: 1,
      singleBank: [],
      chunked: true,
      otherMake: {
        security: 'none',
        knows: ['preconditions', 'checkMemory', 'dependencies', 'troubleCodes', 'activeSession'],
        answerMs: 2,
        bootMs: 2500,
        eraseMs: 4986,
        blockLength: 669,
      },
      smallDevice: true,
      campaigns: [
        {
          number: 18,
          ecus: ['OBC'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'ecu',
                kind: 'wrong-answers',
                ecu: 'OBC',
                at: { on: 'time', ms: 4282 },
                answers: 2,
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
    'seed 17959611962, episode 132: an ECU that restarts before it answers 10 02 was given up',
    {
      seed: '17959611962/132',
      episode: 132,
      vehicles: 1,
      singleBank: ['EDT'],
      chunked: false,
      otherMake: {
        security: 'xor',
        knows: ['communication', 'fingerprint', 'dependencies', 'troubleCodes', 'activeSession'],
        answerMs: 42,
        bootMs: 1724,
        eraseMs: 3767,
        blockLength: 964,
      },
      smallDevice: false,
      campaigns: [
        {
          number: 15,
          ecus: ['INV', 'OBC'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'make',
                kind: 'slow-reset',
                at: { on: 'time', ms: 2585 },
                forMs: 3600000,
                amount: 4897,
              },
            },
          ],
          forced: false,
          encrypted: true,
          proof: ['INV'],
        },
      ],
    },
  ],
  [
    'seed 17959611962, episode 125: an ECU that an attacker had just reset was called dead',
    {
      seed: '17959611962/125',
      episode: 125,
      vehicles: 1,
      singleBank: ['INV'],
      chunked: false,
      otherMake: {
        security: 'xor',
        knows: ['communication', 'preconditions', 'erase', 'checkMemory', 'dependencies'],
        answerMs: 44,
        bootMs: 1712,
        eraseMs: 1381,
        blockLength: 711,
      },
      smallDevice: false,
      campaigns: [
        { number: 4, ecus: ['CGW'], faults: [], forced: true, encrypted: false, proof: ['EDT'] },
        {
          number: 5,
          ecus: ['EDT', 'INV', 'BMS', 'OBC'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'attacker',
                kind: 'flood',
                at: { on: 'state', state: 'downloading', delayMs: 48 },
                forMs: 23363,
                everyMs: 1,
              },
            },
          ],
          forced: false,
          encrypted: true,
          proof: ['BMS'],
        },
      ],
    },
  ],
  [
    'seed 774411903, episode 8: a bootloader that was stuck in its erase was believed the old version that it had read before',
    {
      seed: '774411903/8',
      episode: 8,
      vehicles: 1,
      singleBank: [],
      chunked: true,
      otherMake: {
        security: 'xor',
        knows: [
          'dtcSetting',
          'preconditions',
          'erase',
          'checkMemory',
          'troubleCodes',
          'activeSession',
        ],
        answerMs: 3,
        bootMs: 1444,
        eraseMs: 5326,
        blockLength: 674,
      },
      smallDevice: false,
      campaigns: [
        {
          number: 9,
          ecus: ['OBC'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'ecu',
                kind: 'stuck',
                ecu: 'OBC',
                at: { on: 'state', state: 'activating', delayMs: 2538 },
                forMs: 1961058,
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
  [
    'seed 305571828, episode 17: the CGW was erased, which had been off the bus while the driver withdrew on it',
    {
      seed: '305571828/17',
      episode: 17,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      smallDevice: true,
      campaigns: [
        {
          number: 1,
          ecus: ['CGW', 'EDT', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'bus',
                kind: 'bus-off',
                at: { on: 'write', machine: 'BMS', n: 33 },
                machine: 'CGW',
                forMs: 4358,
              },
            },
            {
              vehicle: 0,
              fault: { category: 'driver', kind: 'withdraw', at: { on: 'frame', n: 5844 } },
            },
            {
              vehicle: 0,
              fault: {
                category: 'attacker',
                kind: 'requests',
                at: { on: 'frame', n: 1494 },
                forMs: 22107,
                everyMs: 197,
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
    'seed 305571828, episode 31: an ECU that a later attempt took back was believed to run the new image',
    {
      seed: '305571828/31',
      episode: 31,
      vehicles: 1,
      singleBank: ['INV'],
      chunked: true,
      otherMake: null,
      smallDevice: true,
      campaigns: [
        { number: 1, ecus: ['BMS'], faults: [], forced: false, encrypted: true, proof: ['BMS'] },
        {
          number: 2,
          ecus: ['INV', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'disk',
                kind: 'full',
                at: { on: 'write', machine: 'BMS', n: 39 },
                machine: 'BMS',
                forMs: 9677,
              },
            },
          ],
          forced: true,
          encrypted: false,
          proof: ['INV'],
        },
      ],
    },
  ],
  [
    'seed 1516609108, episode 134: a record that could not be read again cut off the journal behind it',
    {
      seed: '1516609108/134',
      episode: 134,
      vehicles: 1,
      singleBank: [],
      chunked: true,
      otherMake: null,
      smallDevice: false,
      campaigns: [
        {
          number: 19,
          ecus: ['EDT', 'INV', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'attacker',
                kind: 'flood',
                at: { on: 'write', machine: 'TMU', n: 85 },
                forMs: 10654,
                everyMs: 1,
              },
            },
          ],
          forced: false,
          encrypted: false,
          proof: ['CGW'],
        },
        {
          number: 20,
          ecus: ['CGW'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'power',
                kind: 'cut',
                at: { on: 'state', state: 'verifying', delayMs: 2 },
                machines: ['TMU', 'CGW', 'EDT', 'INV', 'BMS'],
                offMs: 16,
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
    'seed 611290543, episode 41: a campaign that was put off while the battery was low was judged by the next release',
    {
      seed: '611290543/41',
      episode: 41,
      vehicles: 1,
      singleBank: [],
      chunked: false,
      otherMake: null,
      smallDevice: false,
      campaigns: [
        {
          number: 4,
          ecus: ['BMS'],
          faults: [
            { vehicle: 0, fault: { category: 'network', kind: 'cut', nth: 1, exchanges: 1 } },
            { vehicle: 0, fault: { category: 'ecu', kind: 'self-test', ecu: 'BMS' } },
          ],
          forced: false,
          encrypted: false,
          proof: ['CGW'],
        },
        { number: 5, ecus: ['BMS'], faults: [], forced: false, encrypted: false, proof: ['INV'] },
        {
          number: 6,
          ecus: ['EDT', 'BMS'],
          faults: [],
          forced: true,
          encrypted: false,
          proof: ['EDT'],
        },
        { number: 10, ecus: ['CGW'], faults: [], forced: false, encrypted: false, proof: ['BMS'] },
        {
          number: 11,
          ecus: ['EDT', 'INV', 'BMS'],
          faults: [
            {
              vehicle: 0,
              fault: {
                category: 'vehicle',
                kind: 'low-battery',
                at: { on: 'write', machine: 'TMU', n: 29 },
                forMs: 57885,
              },
            },
            {
              vehicle: 0,
              fault: {
                category: 'attacker',
                kind: 'requests',
                at: { on: 'state', state: 'staging', delayMs: 382 },
                forMs: 10256,
                everyMs: 55,
              },
            },
          ],
          forced: true,
          encrypted: false,
          proof: ['BMS'],
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
