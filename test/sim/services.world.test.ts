// The invariants of configuration, commands and telemetry: a healthy world passes, and each tampered world fails.

import { describe, expect, it } from 'vitest';
import { CHUNK_FAULT_NAMES } from '../../src/contract/chunked/faults.ts';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { commandFaults } from '../../src/sim/invariants/command.ts';
import { configurationFaults } from '../../src/sim/invariants/configuration.ts';
import { telemetryFaults } from '../../src/sim/invariants/telemetry.ts';
import { planEpisode } from '../../src/sim/scenario.ts';
import { ServicesView } from '../../src/sim/services-facts.ts';
import { createWorld } from '../../src/sim/world.ts';

const MINUTE_MS = 60_000;

/** A vehicle with a configuration, commands and telemetry, and its observer. */
async function healthy() {
  const world = await createWorld({ seed: 'services' });
  const [vehicle] = world.vehicles;
  const { server } = world;
  const observer = new ServicesView(vehicle!, server);
  const { vin } = vehicle!;
  await world.advance(MINUTE_MS / 4);
  const parameters = { pollInterval: 1, uploadInterval: 5, dids: ['INV.FD40'] };
  await server.operate('PUT', `/config/${vin}`, { parameters });
  const order = (action: string, given: object) =>
    server.operate('POST', `/commands/${vin}`, { ecu: 'INV', action, arguments: given });
  await order('setPowerLimit', { power: 70 });
  await order('calibrate', {});
  expect(observer.settled).toBe(false);
  expect(await world.until(() => observer.settled, 10 * MINUTE_MS)).toBe(true);
  await world.advance(MINUTE_MS);
  return { world, observer, database: server.database };
}

/** Names of the invariants that do not hold, one for each fault. */
function faultsIn(view: ServicesView): string[] {
  const facts = view.facts();
  return [
    ...[...commandFaults(facts)].map(() => 'command'),
    ...[...configurationFaults(facts)].map(() => 'configuration'),
    ...[...telemetryFaults(facts)].map(() => 'telemetry'),
  ];
}

describe('the invariants of the services', () => {
  it('finds nothing in a healthy world', async () => {
    const { world, observer } = await healthy();
    expect(faultsIn(observer)).toEqual([]);
    expect(observer.unsettled).toBeUndefined();
    world.close();
  });

  it.each([
    ['command', "update commands set runs = 2 where action = 'calibrate'"],
    ['command', "update commands set runs = 0 where action = 'setPowerLimit'"],
    ['command', "update commands set state = 'failed' where action = 'calibrate'"],
    ['command', "delete from commands where action = 'calibrate'"],
    ['command', `update commands set arguments = '{"power":71}' where action = 'setPowerLimit'`],
    ['configuration', "update configurations set in_force = '{}'"],
    ['telemetry', 'update telemetry_senders set lost = 1'],
    ['telemetry', 'update telemetry_senders set batches = batches - 1'],
    [
      'telemetry',
      "insert into telemetry_samples select 'x', vin, did, at, count, mean, min, max, unit, raw, received_at from telemetry_samples limit 1",
    ],
  ])('finds a %s that is not as it is told: %s', async (invariant, change) => {
    const { world, observer, database } = await healthy();
    database.exec(change);
    expect(faultsIn(observer)).toEqual([invariant]);
    world.close();
  });

  it.each([
    "update commands set state = 'executing' where action = 'calibrate'",
    'update configurations set results = null',
  ])('waits for what is open: %s', async (change) => {
    const { world, observer, database } = await healthy();
    database.exec(change);
    expect(observer.settled).toBe(false);
    expect(observer.unsettled).toEqual(expect.any(String));
    world.close();
  });
});

describe('an episode', () => {
  const run = createEpisodeRunner({ imageBytes: 4096, sabotage: undefined });

  it.each(['services', ...CHUNK_FAULT_NAMES] as const)('with %s alone ends well', async (name) => {
    const options = { seed: 'services', categories: [name], imageBytes: 4096, vehicles: 1 };
    const plan = planEpisode(options, 0, 4);
    if (name !== 'services') expect(plan.chunked).toBe(true);
    const { violations, faults, endings } = await run(plan);
    expect(violations).toEqual([]);
    expect(endings).toHaveLength(4);
    expect(Object.keys(faults)).toEqual([name === 'services' ? 'services' : 'backend']);
  });
});
