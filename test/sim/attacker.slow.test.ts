// The attacker: what it sends, and that it ends after its time.

import { describe, expect, it } from 'vitest';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { toHex } from '../../src/core/bytes.ts';
import { type Attack, Eavesdropper, startAttack } from '../../src/sim/attacker.ts';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import type { CampaignPlan } from '../../src/sim/scenario.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { createWorld } from '../../src/sim/world.ts';

const LIMIT_MS = 3_600_000;

/** Frames of the attacker within a second, as `id#data`. */
async function sent(attack: Attack, heard = [classicFrame(0x7e1, Uint8Array.of(2, 0x3e, 0))]) {
  const world = await createWorld({ seed: 'attacker', imageBytes: 3000 });
  const { wire, vehicle } = world.vehicles[0]!;
  const frames: string[] = [];
  wire.trace = ({ frame, from }) => {
    if (from === 'attacker') frames.push(`${frame.id.toString(16)}#${toHex(frame.data)}`);
  };
  const random = seededRandom('attacker');
  const { clock } = world;
  const stop = startAttack({ wire, vehicle, clock, random, attack, everyMs: 10 }, heard);
  const other = wire.attach('other');
  // The display reports that a key was right.
  other.send(classicFrame(0x7e9, Uint8Array.of(2, 0x67, 2, 0, 0, 0, 0, 0)));
  await world.advance(1000);
  stop();
  const count = frames.length;
  await world.advance(1000);
  expect(frames).toHaveLength(count);
  world.close();
  return frames;
}

describe('an attacker', () => {
  it('injects requests, each as a single frame', async () => {
    const frames = await sent('requests');
    expect(frames.length).toBeGreaterThan(80);
    expect(frames).toContainEqual(expect.stringMatching(/^7e\d#0431010211/));
    expect(frames).toContainEqual(expect.stringMatching(/^7e\d#021101/));
  });

  it('injects answers under the identifiers of ECUs', async () => {
    const frames = await sent('answers');
    expect(frames).toContainEqual(expect.stringMatching(/^7e[89ab]#0471010211/));
    expect(frames).toContainEqual(expect.stringMatching(/^7e[89ab]#025101/));
  });

  it('says again what it has heard', async () => {
    expect(new Set(await sent('replay'))).toEqual(new Set(['7e1#023e00']));
  });

  it('waits for a key that was right, confirms, raises the counter and resets the others', async () => {
    const frames = await sent('opportunist');
    expect(frames.slice(0, 2)).toEqual(['7e1#0431010211cccccc', '7e1#0431010213cccccc']);
    expect(frames.slice(2)).toContain('7e2#021101cccccccccc');
    expect(frames.slice(2)).not.toContain('7e1#021101cccccccccc');
  });

  it('hears requests, and not itself', async () => {
    const world = await createWorld({ seed: 'attacker', imageBytes: 3000 });
    const ear = new Eavesdropper(world.vehicles[0]!.vehicle);
    const frame = classicFrame(0x7e1, Uint8Array.of(2, 0x3e, 0));
    ear.hear(frame, 'TMU');
    ear.hear(frame, 'attacker');
    ear.hear(classicFrame(0x123, Uint8Array.of(1)), 'EDT');
    expect(ear.heard).toEqual([frame]);
    world.close();
  });

  it.each(['answers', 'replay', 'flood'] as const)(
    'leaves nothing stuck behind by %s',
    async (kind) => {
      const at = { on: 'state', state: 'activating', delayMs: 0 } as const;
      const fault = { category: 'attacker', kind, at, forMs: 3000, everyMs: 20 } as const;
      const faults = [{ vehicle: 0, fault }];
      const campaign: CampaignPlan = {
        ...{ number: 1, ecus: ['EDT', 'INV'], faults, forced: false, encrypted: false },
        proof: ['BMS'],
      };
      const facts = { seed: 'attacker', episode: 0, vehicles: 1, singleBank: [], chunked: false };
      const plan = { ...facts, otherMake: null, smallDevice: false, campaigns: [campaign] };
      const run = createEpisodeRunner({ imageBytes: 3000, sabotage: undefined, limitMs: LIMIT_MS });
      const { violations, faults: happened, proofs } = await run(plan);
      expect(violations.map(({ invariant }) => invariant)).not.toContain('stuck');
      expect(happened).toEqual({ attacker: 1 });
      expect(proofs).toBe(1);
    },
  );
});
