// The remote features beside the campaigns of one TMU: they do not disturb each other, and start and end with the daemon.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readCommands } from '../../src/cli/state/state-services.ts';
import { readStatus, statusLines } from '../../src/cli/state/status.ts';
import { catalogueDigest } from '../../src/contract/catalogue-digest.ts';
import type { SyncRequest } from '../../src/contract/sync.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import { EcuGate } from '../../src/tmu/remote/ecu-gate.ts';
import { SealedBackend } from '../../src/tmu/remote/sealed-backend.ts';
import type { TmuOptions } from '../../src/tmu/tmu.ts';
import {
  AWAY,
  CATALOGUE,
  FakeServiceBackend,
  ModelEcus,
  ServicesWorld,
  VIN,
} from './remote-support.ts';
import { bytesOf, vehicle, World } from './support.ts';

/** A TMU with remote features; a campaign for EDT and INV waits at the backend. */
function world(change: Partial<TmuOptions> = {}) {
  const w = new World();
  const ecus = new ModelEcus(w.clock);
  const backend = new FakeServiceBackend(w.clock);
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
  const options = { services: { ecus, backend: async () => backend }, ...change };
  const states = (id: string) =>
    w
      .eventsOf('command')
      .filter((event) => event.id === id)
      .map(({ state }) => state);
  return { w, ecus, backend, options, states };
}

async function runFor(w: World, ms: number, options: Partial<TmuOptions>): Promise<void> {
  const abort = new AbortController();
  const tmu = w.tmu({ pollMs: 60_000, ...options });
  const running = tmu.run(abort.signal);
  await w.clock.advance(ms);
  abort.abort();
  await w.clock.within(60_000, running);
  await tmu.close();
}

describe('a command and a campaign', () => {
  it('never touch an ECU at the same time: the command runs afterwards', async () => {
    const { w, ecus, backend, options, states } = world();
    const touched = ['stage', 'activate', 'verify', 'confirm', 'commit', 'rollback'];
    for (const name of ['EDT', 'INV']) {
      w.ecu(name).stageMs = 20_000;
      w.ecu(name).onCall = (ecu, call) => {
        if (call === 'stage') backend.order(`during-${ecu.name}`, { ecu: 'INV', inMs: 900_000 });
        if (touched.includes(call) && ecus.busy.has(ecu.name)) {
          throw new Error(`${call} of ${ecu.name} while a command runs`);
        }
      };
    }
    let isOver = false;
    ecus.onRun = () => {
      isOver ||= w.eventsOf('outcome').some(({ outcome }) => outcome === 'SUCCESS');
      if (!isOver) throw new Error('a command ran in the campaign');
    };
    await runFor(w, 120_000, options);
    expect(w.eventsOf('outcome')[0]?.outcome).toBe('SUCCESS');
    expect(states('during-EDT')).toEqual(['delivered', 'executing', 'completed']);
    // The operator was told that it waits.
    const told = backend.reports.filter(({ id }) => id === 'during-EDT').map(({ state }) => state);
    expect(told[0]).toBe('delivered');
    expect([...ecus.runs.values()]).toEqual([1, 1]);
  });

  /** The release comes when the command has begun. */
  function releaseLater({ w }: ReturnType<typeof world>): void {
    const { releases } = w.backend;
    w.backend.releases = [];
    w.clock.after('release', 500, () => {
      w.backend.releases = releases;
    });
  }

  it('that runs already is waited for by the campaign', async () => {
    const made = world({ pollMs: 1000 });
    const { w, ecus, backend, options } = made;
    releaseLater(made);
    backend.order('long', { inMs: 900_000 });
    ecus.runMs = 40_000;
    let beganIn = '';
    ecus.onRun = (_order, moment) => {
      if (moment === 'before') beganIn = w.eventsOf('state').at(-1)?.state ?? 'none';
    };
    for (const name of ['EDT', 'INV']) {
      w.ecu(name).onCall = (_ecu, call) => {
        if (call === 'stage' && ecus.busy.has('INV')) throw new Error('staged too early');
      };
    }
    await runFor(w, 120_000, options);
    expect(backend.finalOf('long')).toMatchObject({ state: 'completed', runs: 1 });
    expect(['none', 'idle', 'checking']).toContain(beganIn);
    expect(w.eventsOf('outcome').map(({ outcome }) => outcome)).toContain('SUCCESS');
  });

  it('of which nobody knows whether it ran is settled first, also after a restart in the campaign', async () => {
    const made = world({ pollMs: 1000 });
    const { w, ecus, backend, options } = made;
    releaseLater(made);
    backend.order('lost', { inMs: 900_000 });
    ecus.runFaults = ['lost after'];
    ecus.unknowns = 4;
    for (const name of ['EDT', 'INV']) {
      w.ecu(name).onCall = (_ecu, call) => {
        if (call === 'stage' && ecus.unknowns > 0) throw new Error('staged too early');
      };
    }
    await runFor(w, 4000, options);
    expect(w.eventsOf('state').at(-1)?.state).toBe('staging');
    expect(w.ecu('INV').calls).not.toContain('stage');
    await runFor(w, 180_000, options);
    expect(backend.finalOf('lost')).toMatchObject({ state: 'completed', runs: 1 });
    expect(w.eventsOf('outcome').map(({ outcome }) => outcome)).toContain('SUCCESS');
  });

  it('expires while its ECU is busy', async () => {
    const { w, ecus, backend, options } = world();
    w.ecu('EDT').stageMs = 60_000;
    w.ecu('EDT').onCall = (_ecu, call) => {
      if (call === 'stage') backend.order('short', { inMs: 20_000 });
    };
    await runFor(w, 50_000, options);
    expect(backend.finalOf('short')).toMatchObject({ state: 'expired', runs: 0 });
    expect(ecus.runs.size).toBe(0);
  });

  it('keep out of the way of a gateway that is programmed, on all ECUs', async () => {
    const { w, ecus, backend, options } = world();
    w.backend.releases = [];
    w.backend.release('CGW', '2.0.0', bytesOf(5000, 3));
    w.ecu('CGW').stageMs = 30_000;
    w.ecu('CGW').onCall = (_ecu, call) => {
      if (call === 'stage') backend.order('other', { inMs: 900_000 });
    };
    await runFor(w, 25_000, options);
    expect(backend.stateOf('other')).toBe('delivered');
    await runFor(w, 60_000, options);
    expect(ecus.runs.get('other')).toBe(1);
  });
});

describe('the approval of the configuration', () => {
  const phases = (w: World) => w.approver.asked.map(({ phase }) => phase);

  it('asks the driver in more phases, and never in fewer', async () => {
    const { w, backend, options } = world();
    w.backend.releases = [];
    backend.want({ approval: { download: 'ask', activate: 'ask' } });
    await w.once(options);
    w.backend.release('INV', '2.0.0', bytesOf(7000, 2));
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(phases(w)).toEqual(['download', 'install', 'activate']);
  });

  it('also where the vehicle file asks nobody', async () => {
    const approval = { download: 'none', install: 'none', activate: 'none' } as const;
    const quiet = { ...vehicle, policy: { ...vehicle.policy, approval } };
    const { w, backend, options } = world({ vehicle: quiet });
    backend.want({ approval: { install: 'ask' } });
    // The first campaign began before the configuration was there and keeps its own settings.
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(phases(w)).toEqual([]);
    w.backend.release('INV', '3.0.0', bytesOf(7000, 4));
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(phases(w)).toEqual(['install']);
  });

  it('that changes in the middle of a campaign is for the next one', async () => {
    const approval = { download: 'none', install: 'none', activate: 'none' } as const;
    const quiet = { ...vehicle, policy: { ...vehicle.policy, approval } };
    const { w, backend, options } = world({ vehicle: quiet });
    w.ecu('EDT').stageMs = 30_000;
    w.ecu('EDT').onCall = (_ecu, call) => {
      if (call === 'stage') backend.want({ approval: { install: 'ask', activate: 'ask' } });
    };
    await runFor(w, 120_000, options);
    expect(w.eventsOf('configuration')).toHaveLength(1);
    expect(w.eventsOf('outcome')[0]?.outcome).toBe('SUCCESS');
    expect(phases(w)).toEqual([]);
  });
});

describe('contact', () => {
  it('is kept at its interval, and becomes rare while the backend is away', async () => {
    const w = new ServicesWorld();
    w.backend.catalogue = CATALOGUE;
    await w.live(105_000);
    expect(w.backend.syncs.length).toBeGreaterThanOrEqual(9);
    expect(w.backend.syncs.length).toBeLessThanOrEqual(14);
    let asked = 0;
    w.backend.sync = async () => {
      asked++;
      return AWAY;
    };
    await w.live(3_600_000);
    expect(asked).toBeLessThan(20);
    expect(w.eventsOf('contact').map(({ status }) => status)).toEqual(['found', 'lost']);
  });

  it('is not sought more often because there is news, while the backend is away', async () => {
    const w = new ServicesWorld();
    w.ecus.runMs = 1000;
    for (let n = 0; n < 10; n++) w.backend.order(`c${n}`);
    const sync = w.backend.sync.bind(w.backend);
    let asked = 0;
    w.backend.sync = async (request: SyncRequest) => {
      asked++;
      return asked === 1 ? sync(request) : AWAY;
    };
    await w.live(30_000);
    expect(w.ecus.runs.size).toBe(10);
    expect(asked).toBeLessThan(5);
  });

  it('heeds how long the backend wants to be left in peace', async () => {
    const w = new ServicesWorld();
    w.backend.syncFaults = [{ ...AWAY, code: 'HTTP_429', retryAfterMs: 300_000 }];
    await w.live(299_000);
    expect(w.backend.syncs).toEqual([]);
  });

  it('sends the catalogue when it is asked for, and never in a hurry twice', async () => {
    const w = new ServicesWorld();
    await w.live(1000);
    expect(w.backend.catalogue).toEqual(CATALOGUE);
    w.backend.spoil = (answer) => ({
      ...answer,
      commands: { ...answer.commands, wantsCatalogue: true },
    });
    const before = w.backend.syncs.length;
    await w.live(60_000);
    expect(w.backend.syncs.length - before).toBeLessThan(20);
    const digests = new Set(w.backend.syncs.map(({ request }) => request.commands.catalogueDigest));
    expect([...digests]).toEqual([catalogueDigest(CATALOGUE)]);
  });

  it('has a digest that does not depend on the order of names', () => {
    const { INV, EDT } = CATALOGUE;
    expect(catalogueDigest({ EDT: EDT!, INV: INV! })).toBe(
      catalogueDigest({ INV: INV!, EDT: EDT! }),
    );
    expect(catalogueDigest({ EDT: EDT! })).not.toBe(catalogueDigest(CATALOGUE));
  });

  it('survives what the listener, the disk and the backend throw', async () => {
    const w = new ServicesWorld();
    const sync = w.backend.sync.bind(w.backend);
    let calls = 0;
    w.backend.sync = async (request: SyncRequest) => {
      if (++calls < 3) throw new Error('a mistake of ours');
      return sync(request);
    };
    await w.live(120_000);
    expect(w.backend.syncs.length).toBeGreaterThan(2);
  });
});

describe('the daemon', () => {
  it('without services is as it was', async () => {
    const { w } = world();
    expect((await w.once()).outcome).toBe('SUCCESS');
    const names = await w.storage.list('');
    expect(names).not.toContain('commands.journal');
    expect(names).not.toContain('config.json');
  });

  it('in a single cycle takes the configuration, runs what is ordered, and reads once', async () => {
    const { w, ecus, backend, options } = world();
    backend.order('a', { inMs: 900_000 });
    backend.want({ dids: ['INV.FD40'] });
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(backend.finalOf('a')).toMatchObject({ state: 'completed', runs: 1 });
    expect(backend.configurations).toHaveLength(1);
    expect(ecus.reads).toHaveLength(1);
    expect(backend.batches).toMatchObject([{ number: 1, samples: [{ did: 'INV.FD40' }] }]);
    // The outcome is the last event: nothing follows it.
    expect(w.events.at(-1)!.kind).toBe('outcome');
  });

  it('in a single cycle does not wait for a backend that is away', async () => {
    const { w, backend, options } = world();
    backend.away = true;
    expect((await w.once(options)).outcome).toBe('SUCCESS');
    expect(w.eventsOf('contact').map(({ status }) => status)).toEqual(['lost']);
    expect(w.events.at(-1)!.kind).toBe('outcome');
  });

  it('that is stopped lets the ECU finish what it was asked for', async () => {
    const { w, ecus, backend, options } = world();
    w.backend.releases = [];
    backend.order('long', { inMs: 900_000 });
    ecus.runMs = 20_000;
    await runFor(w, 5000, options);
    expect(ecus.runs.get('long')).toBe(1);
    expect(w.clock.pending()).toEqual([]);
    await runFor(w, 1000, options);
    expect(backend.finalOf('long')).toMatchObject({ state: 'completed', runs: 1 });
  });

  it('tells from its files what is open, also when it is dead', async () => {
    const { w, ecus, backend, options } = world();
    w.backend.releases = [];
    backend.want({ pollInterval: 1, uploadInterval: 5, dids: ['EDT.FD01'] });
    backend.order('done', { action: 'setPowerLimit', arguments: { power: 60 }, inMs: 900_000 });
    await runFor(w, 2000, options);
    backend.order('open', { inMs: 900_000 });
    ecus.probe = async () => ({ kind: 'failed', code: 'SILENT', reason: 'asleep' });
    backend.uploadFaults = Array.from({ length: 100 }, () => 'away' as const);
    await runFor(w, 12_000, options);
    const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-services-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const disk = await DiskStorage.open(folder);
    for (const place of ['', 'telemetry']) {
      for (const name of await w.storage.list(place)) {
        const file = path.join(place, name);
        await disk.replace(file, w.storage.contents(file)!);
      }
    }
    const status = await readStatus(folder, w.clock);
    expect(status.services).toMatchObject({
      configuration: 1,
      commands: [{ id: 'open', ecu: 'INV', action: 'calibrate', state: 'delivered' }],
    });
    expect(status.services!.telemetry).toBeGreaterThanOrEqual(2);
    const text = statusLines(status).join('\n');
    expect(text).toMatch(/services: configuration 1, 1 command open, \d uploads of telemetry/);
    expect(text).toContain('open  INV calibrate  delivered');
    expect(await readCommands(folder)).toMatchObject([
      { id: 'done', state: 'completed', runs: 1, arguments: { power: 60 }, acknowledged: true },
      { id: 'open', state: 'delivered', runs: 0, acknowledged: false },
    ]);
    await writeFile(path.join(folder, 'commands.journal'), 'nonsense');
    expect(await readCommands(folder)).toEqual([]);
  });
});

describe('the gate', () => {
  it('lets one in at a time, in turn, and nobody where a campaign is', async () => {
    const gate = new EcuGate();
    const { signal } = new AbortController();
    const first = gate.tryEnter('INV')!;
    expect(gate.tryEnter('INV')).toBeUndefined();
    const second = gate.enter('INV', signal);
    gate.claim(['INV', 'EDT']);
    const settled = gate.settled(signal);
    first();
    first();
    expect(await settled).toBe(true);
    expect(gate.tryEnter('EDT')).toBeUndefined();
    gate.claim([]);
    const leave = await second;
    expect(gate.tryEnter('INV')).toBeUndefined();
    leave!();
    const last = gate.tryEnter('INV');
    expect(gate.tryEnter('INV')).toBeUndefined();
    last!();
    expect(gate.isClaimed('INV')).toBe(false);
  });

  it('lets go of whoever is called away', async () => {
    const gate = new EcuGate();
    const abort = new AbortController();
    gate.resume('INV');
    gate.claim(['INV']);
    const waiting = [gate.settled(abort.signal), gate.enter('INV', abort.signal)];
    abort.abort();
    expect(await Promise.all(waiting)).toEqual([false, undefined]);
  });
});

describe('over a sealed session', () => {
  const request = { vin: VIN } as SyncRequest;
  const batch = { vin: VIN, number: 3, sender: '0123456789abcdef', dropped: 0, samples: [] };
  const { signal } = new AbortController();
  const backend = (answer: unknown) =>
    new SealedBackend({ json: async () => answer, ask: async () => answer } as never);

  it('hands on what the backend says', async () => {
    expect(await backend(AWAY).sync(request, signal)).toBe(AWAY);
    expect(await backend(AWAY).upload(batch, signal)).toBe(AWAY);
    expect(await backend({ value: { stored: 3 } }).upload(batch, signal)).toEqual({ stored: 3 });
  });
});
