// A backend in memory for the tests of `can-ota config`, `command` and `telemetry`.

import { DatabaseSync } from 'node:sqlite';
import inject from 'light-my-request';
import { AuditLog } from '../../server/features/audit/store.ts';
import { DeviceStore } from '../../server/features/registry/store.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { createServer } from '../../server/server.ts';
import { loadWeb } from '../../server/web/assets.ts';
import type { OperatorWork } from '../../src/cli/services/operator.ts';
import type { SyncAnswer } from '../../src/contract/sync.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { OperatorBackend } from '../../src/link/operator-backend.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import {
  CATALOGUE,
  openStores,
  type Stores,
  sync,
  type Told,
  VIN,
} from '../server/services-support.ts';

const web = await loadWeb();

export interface World extends OperatorWork {
  readonly clock: VirtualClock;
  readonly random: ReturnType<typeof seededRandom>;
  readonly said: string[];
  readonly emitted: Record<string, unknown>[];
  /** Makes one contact of the vehicle. */
  contact(told?: Told): Promise<SyncAnswer>;
  onStores<T>(work: (stores: Stores) => Promise<T>): Promise<T>;
}

/** A server and a vehicle with a catalogue. A database serves one test at a time, so the tests take turns. */
export async function startWorld(): Promise<World> {
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
      return new Response(Buffer.from(response.rawPayload), {
        status: response.statusCode,
        headers: { 'content-type': String(response.headers['content-type'] ?? '') },
      });
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

export const WISH = { values: {}, reset: [], replace: false };
export const POWER = { ecu: 'INV', action: 'setPowerLimit', given: ['power=60'], priority: 5 };
