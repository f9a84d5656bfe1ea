// The backend loses its power: acknowledged data is there afterwards, data that was not synced is not.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import type { CampaignPlan } from '../../src/sim/scenario.ts';
import { createWorld } from '../../src/sim/world.ts';

const LIMIT_MS = 3_600_000;

describe('the power of the backend', () => {
  it('takes what was not synced, and undoes what was not committed', async () => {
    const world = await createWorld({ seed: 'server power', imageBytes: 3000 });
    const { server } = world;
    const images = await world.release([{ ecu: 'EDT' }]);
    const [image] = images;
    expect(server.lost(images)).toEqual([]);
    server.database.exec('BEGIN; DELETE FROM reports; DELETE FROM audit');
    server.cut();
    expect(server.running).toBe(false);
    expect(server.database.isTransaction).toBe(false);
    expect(server.lost(images)).toEqual([]);
    await server.start();
    expect(server.running).toBe(true);
    server.disk.put(`images/${image!.sha256}`, new Uint8Array(3));
    expect(server.lost(images)).toEqual([image!.name]);
    expect(createHash('sha256').update(image!.image).digest('hex')).toBe(image!.sha256);
    world.close();
  });

  it('shows when an answer came before the bytes were durable', async () => {
    const world = await createWorld({ seed: 'server power', imageBytes: 3000 });
    world.server.disk.noFsync = true;
    const images = await world.release([{ ecu: 'EDT' }, { ecu: 'INV' }, { ecu: 'BMS' }]);
    world.server.cut();
    expect(world.server.lost(images).length).toBeGreaterThan(0);
    world.close();
  });

  it('comes and goes in every state of a campaign, and the vehicle ends well', async () => {
    const run = createEpisodeRunner({ imageBytes: 3000, sabotage: undefined, limitMs: LIMIT_MS });
    const states = ['downloading', 'staging', 'activating', 'verifying', 'committing'] as const;
    const campaigns = states.map((state, index): CampaignPlan => {
      const at = { on: 'state', state, delayMs: 0 } as const;
      const fault = { category: 'server', kind: 'power-cut', at, write: 0, forMs: 4000 } as const;
      const faults = [{ vehicle: 0, fault }];
      const ecus = ['EDT', 'INV'] as const;
      return { number: index + 1, ecus, faults, forced: false, encrypted: true, proof: ['BMS'] };
    });
    const facts = { seed: 'server', episode: 0, vehicles: 1, singleBank: [], chunked: false };
    const plan = { ...facts, otherMake: null, smallDevice: false, campaigns };
    const { violations, endings, faults } = await run(plan);
    expect(violations).toEqual([]);
    expect(endings).toHaveLength(states.length);
    expect(faults).toEqual({ server: states.length });
  });
});
