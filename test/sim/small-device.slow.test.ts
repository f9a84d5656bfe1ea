// The small device of a simulated world: updated with each campaign, also with power cuts at many of its writes.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import type { Observation } from '../../src/sim/invariants/invariant.ts';
import { Invariants } from '../../src/sim/invariants.ts';
import { ECU_NAMES } from '../../src/sim/machine-names.ts';
import type { CampaignPlan, EpisodePlan } from '../../src/sim/scenario.ts';
import { NOT_FITTED } from '../../src/sim/vehicle-contents.ts';
import { createWorld } from '../../src/sim/world.ts';

const HOUR_MS = 3_600_000;

const run = createEpisodeRunner({ imageBytes: 3000, sabotage: undefined, limitMs: HOUR_MS });

function plan(...faults: CampaignPlan['faults'][]): EpisodePlan {
  return {
    ...{ seed: 'device', episode: 0, vehicles: 1, singleBank: [], chunked: false },
    ...{ otherMake: null, smallDevice: true },
    campaigns: faults.map((some, index) => ({
      number: index + 1,
      ecus: ['EDT'],
      faults: some,
      forced: false,
      encrypted: false,
      proof: ['EDT'],
    })),
  };
}

describe('a small device', () => {
  it.each(['chacha20-poly1305', 'hmac'] as const)(
    'comes to each release with %s',
    async (suite) => {
      const session = { proof: 'shared-key', suite } as const;
      const world = await createWorld({
        ...{ seed: 'device', imageBytes: 3000, smallDevice: true, session },
      });
      const device = world.smallDevice!;
      for (const version of ['2.0.0', '3.0.0']) {
        await world.releaseForDevice();
        expect(device.atRest).toBe(false);
        expect(await world.until(() => device.atRest, HOUR_MS)).toBe(true);
        expect(device.held?.version).toBe(version);
      }
      expect(device.transfers().map(({ state, version }) => [state, version])).toEqual([
        ['success', '2.0.0'],
        ['success', '3.0.0'],
      ]);
      const opened = world.server.database.prepare('select distinct suite from sealed_sessions');
      expect(opened.all()).toEqual([{ suite }]);
      world.close();
    },
  );

  it.each(['cut', 'torn'] as const)('survives that it is %s at any of its writes', async (kind) => {
    const faults = Array.from({ length: 8 }, (_none, index) => [
      {
        vehicle: 0,
        fault: { category: 'device', kind, write: 1 + 3 * index, forMs: 700 } as const,
      },
    ]);
    const { violations, faults: happened } = await run(plan(...faults));
    expect(violations).toEqual([]);
    expect(happened.device).toBeGreaterThan(6);
  });

  it('comes back to what it ran when the backend cannot be asked during its trial', async () => {
    const fault = { category: 'device', kind: 'away', write: 27, forMs: 100_000 } as const;
    const { violations, endings } = await run(plan([{ vehicle: 0, fault }], []));
    expect(violations).toEqual([]);
    expect(endings).toEqual(['success', 'success']);
  });
});

type Body = Observation extends infer O ? (O extends Observation ? Omit<O, 'atMs'> : never) : never;

describe('the invariant of the small device', () => {
  const boot = (held: string | undefined, says: string | null): Body => ({
    kind: 'device-boot',
    held,
    says,
  });
  const rest = (held: string | undefined, completed: string[] = []): Body => ({
    kind: 'device-rest',
    ...{ held, newest: '2.0.0', before: '1.0.0', completed },
  });

  it.each<readonly [string, number, readonly Body[]]>([
    ['a release, and what it ran before', 0, [boot('2.0.0', '2.0.0'), rest('2.0.0', ['2.0.0'])]],
    ['that it came back', 0, [boot('1.0.0', '1.0.0'), rest('1.0.0')]],
    ['bytes that nobody released', 1, [boot(undefined, '2.0.0')]],
    ['another name for what it boots', 1, [boot('1.0.0', '2.0.0')]],
    ['nothing to run', 1, [boot(undefined, null)]],
    ['another version than it holds', 1, [{ kind: 'device-says', held: '1.0.0', says: '2.0.0' }]],
    ['a third version at the end', 1, [rest('0.9.0')]],
    ['a success that never was', 1, [boot('1.0.0', '1.0.0'), rest('1.0.0', ['2.0.0'])]],
  ])('judges %s', (_what, count, bodies) => {
    const invariants = new Invariants({
      released: () => {
        throw new Error('no boot of an ECU here');
      },
      withdrawalGraceMs: 0,
      approvalNeeded: true,
    });
    const contents = Object.fromEntries(ECU_NAMES.map((ecu) => [ecu, NOT_FITTED]));
    const wanted = Object.fromEntries(ECU_NAMES.map((ecu) => [ecu, NOT_FITTED.sha256]));
    const start = { kind: 'start', campaign: 1, proof: false, forced: false, contents, wanted };
    for (const body of [start, ...bodies]) {
      invariants.observe({ ...body, atMs: 0 } as unknown as Observation);
    }
    expect(invariants.violations.map(({ invariant }) => invariant)).toEqual(
      Array.from({ length: count }, () => 'small-device'),
    );
  });
});
