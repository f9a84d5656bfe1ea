// What the vehicle file decides about a campaign: ranks, limits of retries, and health checks of new software.

import { describe, expect, it } from 'vitest';
import {
  DEFAULT_RETRY_POLICY,
  FAILURE_KINDS,
  retryPolicySchema,
} from '../../src/campaign/retry-policy.ts';
import { campaignConfigOf } from '../../src/tmu/campaign-config.ts';
import { TmuMemory } from '../../src/tmu/memory.ts';
import { Outbox } from '../../src/tmu/outbox.ts';
import { plannedEcus } from '../../src/tmu/ranks.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { bytesOf, vehicle, World } from './support.ts';

type Changes = { order?: number; dependsOn?: string[]; single?: boolean; bus?: string };

function fleet(changes: Record<string, Changes>): Vehicle {
  const ecus = Object.entries(changes).map(([name, { single, ...rest }], index) => {
    const ecu = vehicle.ecus[index % 3]!;
    const activation = single === true ? 'reset' : 'bank';
    return { ...ecu, name, ...rest, programming: { ...ecu.programming, activation } } as const;
  });
  return { ...vehicle, buses: { main: vehicle.buses.main!, body: vehicle.buses.main! }, ecus };
}

const ranks = (changes: Record<string, Changes>): string =>
  plannedEcus(fleet(changes))
    .map(({ name, rank }) => `${name}${rank}`)
    .join(' ');

describe('ranks', () => {
  it('hold ECUs of equal order together, and rise', () => {
    expect(ranks({ C: { order: 5 }, A: { order: 1 }, B: { order: 1 } })).toBe('A0 B0 C1');
  });

  it('part whoever depends on another', () => {
    expect(ranks({ A: { order: 1, dependsOn: ['B'] }, B: { order: 1 }, C: { order: 1 } })).toBe(
      'B0 A1 C1',
    );
  });

  it('leave an ECU with one bank alone', () => {
    const order = 1;
    expect(ranks({ A: { order }, B: { order, single: true }, C: { order }, D: { order } })).toBe(
      'A0 B1 C2 D2',
    );
    expect(ranks({ A: { order, single: true }, B: { order, single: true } })).toBe('A0 B1');
  });

  it('come with the bus of the ECU', () => {
    const planned = plannedEcus(fleet({ A: { bus: 'body' }, B: {} }));
    expect(planned.map(({ bus }) => bus).sort()).toEqual(['body', 'main']);
  });
});

describe('the limits of retries', () => {
  const retrying = (retry: Vehicle['policy']['retry']): Vehicle => ({
    ...vehicle,
    policy: { ...vehicle.policy, retry },
  });

  it('are the built-in ones, but for what the vehicle file says', () => {
    const silent = { tries: 7, seconds: 60 };
    expect(campaignConfigOf(retrying({ silent })).retry).toEqual({
      ...DEFAULT_RETRY_POLICY,
      silent,
    });
  });

  it('of a vehicle file are such as the journal takes, to the last one', () => {
    const most = { tries: 100, seconds: 86_400 };
    const all = Object.fromEntries(FAILURE_KINDS.map((kind) => [kind, most]));
    const raw = { ...JSON.parse(JSON.stringify(vehicle)), policy: { retry: all } };
    const { retry } = campaignConfigOf(vehicleSchema.parse(raw));
    expect(retryPolicySchema.parse(retry)).toEqual(all);
  });

  it('hold: an ECU that stays silent is tried that often', async () => {
    const w = new World();
    w.backend.release('EDT', '2.0.0', bytesOf(500, 1));
    w.ecu('EDT').fail('stage', ...Array.from({ length: 50 }, () => 'SILENT' as const));
    const result = await w.once({ vehicle: retrying({ silent: { tries: 5, seconds: 3600 } }) });
    expect(result).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'SILENT' });
    expect(w.ecu('EDT').calls.filter((call) => call === 'stage')).toHaveLength(5);
  });
});

describe('new software', () => {
  async function checksWith(diagnostics: Vehicle['policy']['diagnostics']) {
    const w = new World();
    w.backend.release('EDT', '2.0.0', bytesOf(500, 1));
    const edt = w.ecu('EDT');
    const stage = edt.stage.bind(edt);
    edt.stage = async (...given) => {
      const done = await stage(...given);
      return done.ok ? { ...done, value: { ...done.value, dtcs: ['C01200'] } } : done;
    };
    const result = await w.once({
      vehicle: { ...vehicle, policy: { ...vehicle.policy, diagnostics } },
    });
    expect(result.outcome).toBe('SUCCESS');
    return edt.checks;
  }

  it('is watched as long as the vehicle file says, against the trouble codes of before', async () => {
    expect(await checksWith({ heartbeatSeconds: 3.5, troubleCodes: 'compare' })).toEqual({
      knownDtcs: ['C01200'],
      heartbeatMs: 3500,
    });
    expect(await checksWith({ heartbeatSeconds: 0, troubleCodes: 'ignore' })).toEqual({
      knownDtcs: undefined,
      heartbeatMs: 0,
    });
  });
});

/** A slow disk. */
function slowStorage(): FaultStorage {
  const storage = new FaultStorage();
  const replace = storage.replace.bind(storage);
  storage.replace = async (name, bytes) => {
    await new Promise((resolve) => setImmediate(resolve));
    await replace(name, bytes);
  };
  return storage;
}

it('the outbox loses nothing when two come at the same time', async () => {
  const storage = slowStorage();
  const outbox = await Outbox.open(storage);
  const report = { vin: 'v', outcome: 'SUCCESS', ecus: [] };
  const answer = { order: 'o1', accepted: true, reason: '' };
  await Promise.all([
    outbox.put('a', report, { checkin: true }),
    outbox.putAnswer({ vin: 'v', campaign: 'c', state: 'staging', answer }),
    outbox.putAnswer({ vin: 'v', campaign: 'c', state: 'idle', answer }),
    outbox.put('b', report),
  ]);
  expect((await Outbox.open(storage)).size).toBe(4);
});

describe('the memory', () => {
  it('loses no change when two come at the same time', async () => {
    const storage = slowStorage();
    const { memory } = await TmuMemory.open(storage);
    const entry = { outcome: 'DEFERRED', count: 1, notBeforeWallMs: 1 } as const;
    await Promise.all([
      memory.update({ reportedAttack: 'FREEZE' }),
      memory.remember({ ...entry, key: 'a'.repeat(64) }),
      memory.remember({ ...entry, key: 'b'.repeat(64) }),
      memory.update({ reportedInventory: 'x' }),
    ]);
    const again = (await TmuMemory.open(storage)).memory.content;
    expect(again).toMatchObject({ reportedAttack: 'FREEZE', reportedInventory: 'x' });
    expect(again.remembered).toHaveLength(2);
  });

  it('of an earlier version is read', async () => {
    const storage = new FaultStorage();
    const { memory } = await TmuMemory.open(storage);
    await memory.update({ reportedInventory: 'x' });
    const {
      owedCommits: _o,
      traffic: _t,
      ...old
    } = JSON.parse(new TextDecoder().decode(storage.contents('state.json')));
    await storage.replace('state.json', new TextEncoder().encode(JSON.stringify(old)));
    const opened = await TmuMemory.open(storage);
    expect(opened.damaged).toBe(false);
    expect(opened.memory.content).toMatchObject({ owedCommits: [], traffic: null });
  });
});
