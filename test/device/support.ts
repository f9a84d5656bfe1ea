// A backend and small devices in one process: virtual time, a simulated network, disks that lose power.

import type { KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import inject from 'light-my-request';
import { expect } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { type CanOtaServer, createServer, type ServerOptions } from '../../server/server.ts';
import { loadWeb } from '../../server/web/assets.ts';
import type { Profile } from '../../src/contract/chunked/package.ts';
import {
  generateReleaseKey,
  manifestFor,
  publicPem,
  signManifest,
} from '../../src/contract/chunked/sign-package.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { CycleEnd } from '../../src/device/client.ts';
import type { DeviceEvent } from '../../src/device/device-event.ts';
import { enroll } from '../../src/device/enroll.ts';
import { type OpenClientOptions, openDeviceClient } from '../../src/device/open-client.ts';
import { readDeviceStatus, type SmallDeviceStatus } from '../../src/device/read-status.ts';
import { HttpRegistry } from '../../src/factory/registry.ts';
import type { HttpRequest } from '../../src/link/http-transport.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import {
  type NetworkServer,
  type ServerAnswer,
  SimulatedNetwork,
} from '../../src/sim/simulated-network.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

type App = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

const web = await loadWeb();

export const MODEL = 'PUMP-1';
export const SERVER = 'http://backend.test';
const DAY_MS = 86_400_000;

/** Bytes that are the same in every run, and no two pieces of which are alike. */
export function imageOf(length: number, seed = 1): Uint8Array {
  return seededRandom(`image ${seed}`).bytes(length);
}

/** Made once: RSA keys take their time. */
const keys = new Map<Profile, KeyObject>();
export function releaseKey(profile: Profile): KeyObject {
  const known = keys.get(profile) ?? generateReleaseKey(profile);
  keys.set(profile, known);
  return known;
}

/** The real application. Time stands still while it works, but for the pauses that it makes itself. */
class InjectedServer implements NetworkServer {
  readonly incarnation = 1;
  readonly clock: Clock;
  readonly #clock: VirtualClock;
  #app: App | undefined;
  #release: () => void = () => {};

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.clock = {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      after: (name, delayMs, fire) => {
        if (name !== 'ota-fault') return clock.after(name, delayMs, fire);
        this.#release();
        return clock.after(name, delayMs, fire);
      },
    };
  }

  use(server: CanOtaServer): void {
    this.#app = server.app.callback() as App;
  }

  async handle({ url, method, headers, body }: HttpRequest): Promise<ServerAnswer> {
    const release = this.#clock.hold(`answer to ${url.pathname}`);
    this.#release = release;
    try {
      const response = await inject(this.#app!, {
        method,
        url: { pathname: url.pathname, query: Object.fromEntries(url.searchParams) },
        headers: { host: url.host, ...headers },
        authority: url.host,
        validate: false,
        ...(body === undefined ? {} : { payload: Buffer.from(body) }),
      } as Parameters<typeof inject>[1]);
      return {
        status: response.statusCode,
        headers: response.headers as ServerAnswer['headers'],
        body: response.rawPayload,
      };
    } finally {
      release();
    }
  }
}

export interface RunningDevice {
  readonly events: DeviceEvent[];
  /** Power-on, and what it ends of an earlier life. */
  start(): Promise<CycleEnd | undefined>;
  /** One look for a package, to its end. */
  once(again?: boolean): Promise<CycleEnd>;
  /** One look, while somebody else lets time pass. */
  look(): Promise<CycleEnd>;
  /** As a daemon, until the signal comes. */
  run(signal: AbortSignal): Promise<void>;
  /** The states that it was in, in their order. */
  states(): string[];
}

export class DeviceWorld {
  readonly clock = new VirtualClock();
  readonly random = seededRandom('devices');
  readonly database = new DatabaseSync(':memory:');
  readonly serverDisk = new SimulatedDisk({ location: 'server' });
  readonly network: SimulatedNetwork;
  readonly #server: InjectedServer;
  #factory = '';
  #releaser = '';

  private constructor() {
    this.#server = new InjectedServer(this.clock);
    const { clock, random } = this;
    this.network = new SimulatedNetwork({ clock, random, server: this.#server });
  }

  static async start(options: Partial<ServerOptions> = {}): Promise<DeviceWorld> {
    const world = new DeviceWorld();
    const { clock, random, database, serverDisk } = world;
    world.#factory = await addToken(database, 'factory', 'factory', { clock, random });
    world.#releaser = await addToken(database, 'releaser', 'release', { clock, random });
    world.#server.use(
      await createServer({
        storage: serverDisk.open(),
        database,
        clock: world.#server.clock,
        random,
        logger: silentLogger,
        devices: 'required',
        bcryptCost: 4,
        web,
        ...options,
      }),
    );
    return world;
  }

  /** Lets time pass until it has settled. */
  settle<T>(promise: Promise<T>, limitMs = DAY_MS): Promise<T> {
    return this.clock.run(promise, limitMs);
  }

  async post(path: string, body: Uint8Array, type: string, token: string): Promise<ServerAnswer> {
    return this.#server.handle({
      method: 'POST',
      url: new URL(path, SERVER),
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        'content-type': type,
        'content-length': String(body.length),
      },
      body,
    });
  }

  registry(): HttpRegistry {
    const { clock, random } = this;
    return new HttpRegistry({
      server: SERVER,
      token: this.#factory,
      clock,
      random,
      fetch: async (url, init) => {
        const body = new TextEncoder().encode(String(init!.body));
        const type = 'application/json';
        const path = new URL(String(url)).pathname;
        const answer = await this.post(path, body, type, this.#factory);
        const answered = String(answer.headers['content-type'] ?? '');
        return new Response(Buffer.from(answer.body), {
          status: answer.status,
          headers: { 'content-type': answered },
        });
      },
    });
  }

  /** A device as it leaves the factory, on a disk of its own. */
  async enrolled(
    profile: Profile = 'default',
    model = MODEL,
  ): Promise<{ disk: SimulatedDisk; serial: string }> {
    const disk = new SimulatedDisk({ location: 'device' });
    const result = await enroll({
      storage: disk.open(),
      registry: this.registry(),
      random: this.random,
      model,
      releaseKey: publicPem(releaseKey(profile)),
      factory: { image: imageOf(1000, 0), version: '1.0.0' },
    });
    if (!result.ok) throw new Error(result.reason);
    return { disk, serial: result.identity.serial };
  }

  async release(
    image: Uint8Array,
    { version = '2.0.0', counter = 2, profile = 'default' as Profile, model = MODEL } = {},
  ): Promise<void> {
    const key = releaseKey(profile);
    const signed = signManifest(manifestFor(image, { model, version, counter, profile }), key);
    const form = new FormData();
    form.set('manifest', JSON.stringify(signed));
    form.set('public_key', publicPem(key));
    form.set('file', new Blob([Uint8Array.from(image)]), 'image.bin');
    const answer = await this.#postForm('/ota/packages', form);
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([201, expect.anything()]);
  }

  async withdraw(version: string, reason = 'a fault was found'): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ model: MODEL, version, reason }));
    const answer = await this.post(
      '/ota/packages/withdraw',
      body,
      'application/json',
      this.#releaser,
    );
    expect(answer.status).toBe(200);
  }

  /** For vehicles. Resolves with the name of the file. */
  async upload(image: Uint8Array, ecu: string, version: string): Promise<string> {
    const form = new FormData();
    form.set('ecu', ecu);
    form.set('version', version);
    form.set('file', new Blob([Uint8Array.from(image)]), 'image.bin');
    const answer = await this.#postForm('/upload', form);
    return (JSON.parse(Buffer.from(answer.body).toString()) as { file: string }).file;
  }

  async #postForm(path: string, form: FormData): Promise<ServerAnswer> {
    const encoded = new Response(form);
    const type = encoded.headers.get('content-type')!;
    return this.post(path, new Uint8Array(await encoded.arrayBuffer()), type, this.#releaser);
  }

  /** Powered off still; the life before on this disk has ended. */
  async device(
    disk: SimulatedDisk,
    options: Partial<OpenClientOptions> = {},
  ): Promise<RunningDevice> {
    const { clock } = this;
    const events: DeviceEvent[] = [];
    const { client, device } = await openDeviceClient({
      server: SERVER,
      storage: disk.open(),
      clock,
      random: this.random.fork(`device ${disk.operations}`),
      logger: silentLogger,
      onEvent: (event) => events.push(event),
      freeBytes: () => 64 * 1024,
      transport: this.network,
      ...options,
    });
    const signal = new AbortController().signal;
    return {
      events,
      start: () => this.settle(client.start(signal)),
      once: async (again) => {
        const end = await this.settle(client.runOnce(signal, again));
        device.work.pause();
        return end;
      },
      look: () => client.runOnce(signal),
      run: (ended) => client.run(ended),
      states: () =>
        events.flatMap((event) => (event.kind === 'state' ? [event.state as string] : [])),
    };
  }

  status(disk: SimulatedDisk): Promise<SmallDeviceStatus> {
    return readDeviceStatus(disk.open());
  }

  /** How the backend has it, the newest last. */
  transfers(): { serial: string; state: string; version: string | null; code: string | null }[] {
    return this.database
      .prepare('select serial, state, version, code from transfers order by id')
      .all() as never;
  }
}
