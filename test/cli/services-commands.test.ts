// `can-ota config`, `command` and `telemetry` against a backend in memory: what they ask, say, wait for, and their exit codes.

import { DatabaseSync } from 'node:sqlite';
import inject from 'light-my-request';
import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/auth/registry-commands.ts';
import { AuditLog } from '../../server/db/audit.ts';
import { DeviceStore } from '../../server/db/devices.ts';
import { createServer } from '../../server/server.ts';
import { loadWeb } from '../../server/web/assets.ts';
import { BackendError } from '../../src/cli/backend-connection.ts';
import { cancel, list, send } from '../../src/cli/command-command.ts';
import { history, set, show } from '../../src/cli/config-command.ts';
import { assignments, type OperatorWork } from '../../src/cli/operator.ts';
import { OperatorBackend, RefusedError } from '../../src/cli/operator-backend.ts';
import { createProgram } from '../../src/cli/program.ts';
import { show as showTelemetry } from '../../src/cli/telemetry-command.ts';
import { textTable } from '../../src/cli/text-table.ts';
import { InputError } from '../../src/core/errors.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { DEFAULT_CONFIGURATION } from '../../src/services/configuration.ts';
import type { SyncAnswer } from '../../src/services/sync.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import {
  CATALOGUE,
  openStores,
  reportOf,
  type Stores,
  sync,
  type Told,
  VIN,
} from '../server/services-support.ts';

const web = await loadWeb();

interface World extends OperatorWork {
  readonly clock: VirtualClock;
  readonly random: ReturnType<typeof seededRandom>;
  readonly said: string[];
  readonly emitted: Record<string, unknown>[];
  /** A contact of the vehicle. */
  contact(told?: Told): Promise<SyncAnswer>;
  onStores<T>(work: (stores: Stores) => Promise<T>): Promise<T>;
}

/** A server and a vehicle with a catalogue; a database serves one at a time, so each takes its turn. */
async function startWorld(): Promise<World> {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const database = new DatabaseSync(':memory:');
  const storage = new SimulatedDisk().open();
  const token = await addToken(database, 'tool', 'operator', { clock, random });
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const release = clock.hold('turn');
    const turn = last.then(work).finally(release);
    last = turn.catch(() => {});
    return turn;
  };
  const onStores = <T>(work: (stores: Stores) => Promise<T>): Promise<T> =>
    inTurn(async () => work(await openStores(database, clock, random)));
  await onStores(({ db }) =>
    new DeviceStore(db, new AuditLog(db, silentLogger)).provision(
      'chip',
      { vin: VIN, name: 'TMU', primary: true },
      { who: 'factory', address: 'x' },
    ),
  );
  const ask: typeof fetch = (input, init) =>
    inTurn(async () => {
      const request = new Request(input, init);
      const options = { storage, database, clock, random, logger: silentLogger, web };
      const server = await createServer(options);
      const payload = Buffer.from(await request.arrayBuffer());
      const response = await inject(server.app.callback(), {
        method: request.method as 'GET',
        url: request.url.replace('http://backend', ''),
        headers: Object.fromEntries(request.headers),
        ...(payload.length === 0 ? {} : { payload }),
      });
      return new Response(Buffer.from(response.rawPayload), { status: response.statusCode });
    });
  const signal = new AbortController().signal;
  const options = { url: 'http://backend', clock, signal, fetch: ask };
  const backend = await OperatorBackend.logIn(options, { kind: 'token', token });
  const said: string[] = [];
  const emitted: Record<string, unknown>[] = [];
  const context = {
    say: (text: string) => void said.push(text),
    emit: (fact: unknown) => void emitted.push(fact as Record<string, unknown>),
    signal,
  };
  const contact = (told: Told = {}): Promise<SyncAnswer> =>
    onStores((stores) => sync(stores, told));
  await contact({ catalogue: CATALOGUE });
  return { clock, random, backend, context, said, emitted, contact, onStores };
}

const WISH = { values: {}, reset: [], replace: false };
const POWER = { ecu: 'INV', action: 'setPowerLimit', given: ['power=60'], priority: 5 };

describe('config set', () => {
  it('merges into what is wanted, takes back, and replaces', async () => {
    const world = await startWorld();
    const wanted = async () => (await world.backend.configuration(VIN)).wanted?.parameters;
    const values = { pollInterval: 5, dids: ['INV.FD40'] };
    expect(await set(world, VIN, { ...WISH, values, comment: 'a test' })).toBe(ExitCode.success);
    expect(await set(world, VIN, { ...WISH, values: { uploadInterval: 30 } })).toBe(0);
    expect(await wanted()).toEqual({ ...values, uploadInterval: 30 });
    expect(await set(world, VIN, { ...WISH, reset: ['dids'] })).toBe(0);
    expect(await wanted()).toEqual({ pollInterval: 5, uploadInterval: 30 });
    expect(await set(world, VIN, { ...WISH, values: { pollInterval: 5 }, replace: true })).toBe(0);
    expect(await wanted()).toEqual({ pollInterval: 5 });
    expect(await set(world, VIN, { ...WISH, values: { pollInterval: 5 } })).toBe(0);
    expect(world.said.at(-1)).toBe(`${VIN}: nothing is new, version 4 stays`);
    await history(world, VIN);
    expect(world.said.at(-1)).toMatch(/^1 .*tool +no report +a test: \{"pollInterval":5,"dids"/);
  });

  it('says what will be refused before the vehicle has said so', async () => {
    const world = await startWorld();
    const values = { pollInterval: 0, uploadInterval: 60 };
    expect(await set(world, VIN, { ...WISH, values })).toBe(ExitCode.preconditionFailed);
    expect(world.said.at(-1)).toMatch(/^ {2}pollInterval OUT_OF_RANGE: /);
  });

  it.each([
    ['accepted', ExitCode.success],
    ['rejected', ExitCode.preconditionFailed],
  ] as const)('waits until the vehicle has %s it', async (status, code) => {
    const world = await startWorld();
    const running = set(world, VIN, { ...WISH, values: { pollInterval: 5 }, waitS: 60 });
    await world.clock.advance(3000);
    const result =
      status === 'accepted'
        ? { parameter: 'pollInterval', status }
        : {
            parameter: 'pollInterval',
            status,
            code: 'CONFLICT' as const,
            reason: 'too\u001b much',
          };
    const pollInterval = status === 'accepted' ? 5 : 10;
    const inForce = { ...DEFAULT_CONFIGURATION, pollInterval } as never;
    const report = { version: 1, at: '2026-01-01T00:00:00Z', results: [result], inForce };
    await world.contact({ version: 1, report });
    expect(await world.clock.within(3000, running)).toBe(code);
    expect(world.said.at(-1)).toContain('has judged version 1');
    expect(world.emitted.at(-1)).toMatchObject({ version: 1, report: { results: [result] } });
    if (status === 'rejected') expect(world.said).toContain('  pollInterval CONFLICT: too  much');
    await show(world, VIN);
    expect(world.said.find((line) => line.startsWith('pollInterval '))).toMatch(
      status === 'accepted' ? /5 s +5 s +set/ : /5 s +10 s +rejected: too/,
    );
  });

  it('does not wait for ever, nor for what somebody else has replaced', async () => {
    const world = await startWorld();
    const values = { pollInterval: 5 };
    const running = set(world, VIN, { ...WISH, values, waitS: 5 });
    expect(await world.clock.within(6000, running)).toBe(ExitCode.deferred);
    const overtaken = set(world, VIN, { ...WISH, values: { pollInterval: 6 }, waitS: 60 });
    await world.clock.advance(1000);
    await set(world, VIN, { ...WISH, values });
    expect(await world.clock.within(6000, overtaken)).toBe(ExitCode.preconditionFailed);
    expect(world.said.at(-1)).toContain('version 3 of tool came after it');
  });

  it('begins again when somebody else was faster', async () => {
    const world = await startWorld();
    let others = 1;
    const { backend } = world;
    const slow = Object.assign(Object.create(backend) as OperatorBackend, {
      configuration: async (vin: string) => {
        const seen = await backend.configuration(vin);
        if (others-- > 0)
          await set(world, vin, { ...WISH, values: { uploadInterval: 60 + others } });
        return seen;
      },
      configure: backend.configure.bind(backend),
    });
    const values = { pollInterval: 5 };
    expect(await set({ ...world, backend: slow }, VIN, { ...WISH, values })).toBe(0);
    expect((await backend.configuration(VIN)).wanted).toMatchObject({
      ...{ version: 2, parameters: { pollInterval: 5, uploadInterval: 60 } },
    });
    others = 9;
    const never = set({ ...world, backend: slow }, VIN, { ...WISH, values: { pollInterval: 6 } });
    await expect(never).rejects.toMatchObject({ code: 'CONFIGURATION_CHANGED' });
    expect(others).toBe(6);
  });
});

describe('command', () => {
  it('send orders with typed arguments, a time and a key, and does not wait unless told', async () => {
    const world = await startWorld();
    const wish = { ...POWER, priority: 7, expiresInS: 600 };
    expect(await send(world, VIN, wish)).toBe(ExitCode.success);
    const [command] = await world.backend.commands(VIN, { limit: 5 });
    expect(command).toMatchObject({ arguments: { power: 60 }, priority: 7, state: 'pending' });
    expect(Date.parse(command!.expiresAt) - Date.parse(command!.createdAt)).toBe(600_000);
    expect(command!.key).toMatch(/^[0-9a-f]{32}$/);
    expect(world.said).toEqual([
      `${VIN}, command ${command!.id}: INV setPowerLimit power=60; pending`,
    ]);
    const same = { ...POWER, key: 'same-key' };
    for (let round = 0; round < 2; round++) await send(world, VIN, same);
    await send(world, VIN, { ...POWER, action: 'setMode', given: ['mode=eco'] });
    await list(world, VIN, { limit: 20 });
    expect(world.said.slice(-3).map((line) => / (INV .*?) {2}/.exec(line)?.[1])).toEqual([
      'INV setMode mode=eco',
      'INV setPowerLimit power=60',
      'INV setPowerLimit power=60',
    ]);
  });

  it.each([
    ['completed', { runs: 1, result: 'powerLimit 60 kW' }, ExitCode.success, 'ran once'],
    ['failed', { code: 'REFUSED', reason: 'too hot' }, ExitCode.preconditionFailed, 'too hot'],
    ['expired', {}, ExitCode.preconditionFailed, 'expired'],
  ] as const)('send waits until it is %s', async (state, more, code, text) => {
    const world = await startWorld();
    const running = send(world, VIN, { ...POWER, waitS: 60 });
    await world.clock.advance(1000);
    const { orders } = (await world.contact()).commands;
    await world.contact({ reports: [reportOf(orders[0]!.id, state, more)] });
    expect(await world.clock.within(3000, running)).toBe(code);
    expect(world.said.at(-1)).toContain(text);
    expect(world.emitted.at(-1)).toMatchObject({ state, ...more });
  });

  it('send ends with another code when it is not over in time', async () => {
    const world = await startWorld();
    const running = send(world, VIN, { ...POWER, waitS: 5 });
    expect(await world.clock.within(6000, running)).toBe(ExitCode.deferred);
  });

  it('send tells a wrong request from one that cannot be had now', async () => {
    const world = await startWorld();
    const refused = send(world, VIN, { ...POWER, given: ['power=500'] });
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow('0 to 120 kW');
    await expect(send(world, 'NONE', POWER)).rejects.toThrow(/VEHICLE_UNKNOWN/);
    await send(world, VIN, { ...POWER, key: 'one-key-1' });
    const other = send(world, VIN, { ...POWER, given: ['power=1'], key: 'one-key-1' });
    await expect(other).rejects.toThrow(RefusedError);
    await expect(send(world, VIN, { ...POWER, given: ['power={}'] })).rejects.toThrow(InputError);
  });

  it('cancel is done at once, or when the vehicle has answered, or too late', async () => {
    const world = await startWorld();
    const order = async (): Promise<string> => {
      await send(world, VIN, POWER);
      return String(world.emitted.at(-1)!.id);
    };
    expect(await cancel(world, VIN, await order(), undefined)).toBe(ExitCode.success);
    for (const state of ['cancelled', 'completed'] as const) {
      const id = await order();
      await world.contact();
      await world.contact({ reports: [reportOf(id, 'delivered')] });
      const running = cancel(world, VIN, id, 30);
      await world.clock.advance(1000);
      await world.contact({ reports: [reportOf(id, state)] });
      const code = state === 'cancelled' ? ExitCode.success : ExitCode.preconditionFailed;
      expect(await world.clock.within(3000, running)).toBe(code);
      await expect(cancel(world, VIN, 'nothing', 1)).rejects.toThrow(InputError);
    }
    expect(world.said.at(-1)).toContain('cancelled by tool, too late');
  });
});

it('telemetry show gives counts and samples since some time ago', async () => {
  const world = await startWorld();
  const at = (agoMs: number) => new Date(world.clock.wallMs() - agoMs).toISOString();
  const samples = [
    { did: 'INV.FD40', at: at(120_000), count: 3, mean: 1, unit: 'kW' },
    { did: 'INV.FD40', at: at(30_000), count: 3, mean: 2.00049, min: -1, max: 3, unit: 'kW' },
  ];
  const batch = { vin: VIN, number: 2, sender: 'a'.repeat(16), dropped: 4, samples };
  await world.onStores(({ telemetry }) => telemetry.store(batch, 'x'));
  expect(await showTelemetry(world, VIN, { since: 60, limit: 9 })).toBe(ExitCode.success);
  expect(world.said[0]).toBe(
    `${VIN}: 2 samples in 1 batches; 1 batches lost, 0 came twice, 4 samples dropped by the vehicle`,
  );
  expect(world.said.slice(2)).toEqual([expect.stringMatching(/INV\.FD40 +2 +-1 +3 +kW +3$/)]);
});

it('an answer that is not of such a backend is told from a refusal', async () => {
  const clock = new VirtualClock();
  const signal = new AbortController().signal;
  const ask = (response: () => Response) =>
    OperatorBackend.logIn(
      { url: 'http://backend', clock, signal, fetch: async () => response() },
      { kind: 'token', token: 'x' },
    ).then((backend) => backend.configuration(VIN));
  await expect(ask(() => Response.json({ vin: 1 }))).rejects.toThrow(BackendError);
  await expect(ask(() => new Response('gone', { status: 404 }))).rejects.toThrow(BackendError);
  await expect(ask(() => Response.json({ code: 'ROLE' }, { status: 403 }))).rejects.toThrow(
    InputError,
  );
});

describe('what is written on the command line', () => {
  it('is JSON where it is JSON, and text otherwise', () => {
    const given = ['power=60', 'mode=eco', 'dids=["INV.FD40"]', 'text="60"', 'empty=', 'sum=a=b'];
    expect(assignments(given)).toEqual({
      ...{ power: 60, mode: 'eco', dids: ['INV.FD40'], text: '60', empty: '', sum: 'a=b' },
    });
    for (const wrong of [['power'], ['=60'], ['Power=1'], ['a=1', 'a=2'], ['dids=["INV.FD40"']]) {
      expect(() => assignments(wrong), wrong.join(' ')).toThrow(InputError);
    }
  });

  it.each([
    [['command', 'send', 'V', 'INV', 'x', '--server', 'u', '--expires', '31d'], '30d'],
    [['command', 'send', 'V', 'INV', 'x', '--server', 'u', '--priority', '10'], '0 to 9'],
    [['command', 'list', 'V', '--server', 'u', '--state', 'odd'], 'Allowed choices'],
    [['telemetry', 'show', 'V', '--server', 'u', '--since', 'yesterday'], '10m'],
    [['telemetry', 'show', 'V', '--server', 'u', '--limit', '20001'], '20000'],
    [['config', 'set', 'V', '--server', 'u', '--wait', '0'], 'more than 0'],
    [['config', 'show', 'V'], '--server'],
  ])('%j is refused with what is expected', async (args, expected) => {
    const program = createProgram();
    let errors = '';
    const quiet = (command: typeof program): void => {
      command.exitOverride().configureOutput({
        writeErr: (text) => {
          errors += text;
        },
      });
      command.commands.forEach(quiet);
    };
    quiet(program);
    await expect(program.parseAsync(['node', 'can-ota', ...args])).rejects.toThrow();
    expect(errors).toContain(expected);
  });

  it('text of others cannot move the cursor', () => {
    expect(
      textTable([
        ['a\u001b[2J', 'b'],
        ['cc', 'd\n'],
      ]),
    ).toEqual(['a [2J  b', 'cc     d']);
  });
});
