// A server that touches nothing of the machine: database and disk in memory, virtual time, a seed, injected requests.

import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import inject from 'light-my-request';
import { expect } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import type { TrustFolder } from '../../server/features/releases/trust-folder.ts';
import { type CanOtaServer, createServer, type ServerOptions } from '../../server/server.ts';
import { loadWeb } from '../../server/web/assets.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { Storage } from '../../src/core/storage.ts';
import { type SeededRandom, seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { requireContract } from './contract-support.ts';
import type { Reply, RequestOptions } from './support.ts';
import {
  bearer,
  Ceremony,
  type ReleaseOptions,
  TestVehicle,
  type VehicleBackend,
  VIN,
} from './trust-support.ts';

const web = await loadWeb();

export class InjectedBackend implements VehicleBackend {
  readonly clock = new VirtualClock();
  readonly disk = new SimulatedDisk();
  readonly database = new DatabaseSync(':memory:');
  readonly random: SeededRandom;
  readonly ceremony: Ceremony;
  /** One line for each answer: status, headers, digest of the body. */
  readonly answers: string[] = [];
  factory = '';
  releaser = '';
  operator = '';
  server!: CanOtaServer;
  /** Of the server that runs: another life of the disk is none of its. */
  storage!: Storage;
  #trust!: TrustFolder;
  #options: Partial<ServerOptions> = {};

  private constructor(seed: number | string) {
    this.random = seededRandom(seed);
    this.ceremony = new Ceremony('memory', this.random, () => this.clock.wallMs());
  }

  static async start(
    options: Partial<ServerOptions> & { seed?: number | string } = {},
  ): Promise<InjectedBackend> {
    const { seed = 1, ...rest } = options;
    const backend = new InjectedBackend(seed);
    backend.#options = rest;
    backend.#trust = await backend.ceremony.folder();
    const { clock, random, database } = backend;
    for (const role of ['factory', 'release', 'operator'] as const) {
      const token = await addToken(database, role, role, { clock, random });
      backend[role === 'release' ? 'releaser' : role] = token;
    }
    await backend.boot();
    return backend;
  }

  /** On what the last server left, whether that one was closed or not. */
  async boot(): Promise<void> {
    this.storage = this.disk.open();
    this.server = await createServer({
      storage: this.storage,
      database: this.database,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      uptane: { role: 'all', trust: this.#trust },
      web,
      ...this.#options,
    });
  }

  /** `options`: other ones than before. */
  async restart(options: Partial<ServerOptions> = {}): Promise<void> {
    this.#options = { ...this.#options, ...options };
    await this.server.close();
    await this.boot();
  }

  async request(
    path: string,
    { method = 'GET', headers, body }: RequestOptions = {},
  ): Promise<Reply> {
    if (body instanceof FormData) throw new TypeError('a form has a boundary that no seed chooses');
    const response = await inject(this.server.app.callback(), {
      method,
      url: path,
      headers: { ...headers },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' ? body : Buffer.from(body) }),
    });
    const { statusCode: status, rawPayload, headers: answered } = response;
    const digest = createHash('sha256').update(rawPayload).digest('hex');
    this.answers.push(`${method} ${path} ${status} ${JSON.stringify(answered)} ${digest}`);
    requireContract({
      method,
      path,
      status,
      headers: answered as Reply['headers'],
      body: rawPayload,
    });
    return {
      status,
      headers: answered as Reply['headers'],
      body: rawPayload,
      text: response.payload,
      get json() {
        return response.json();
      },
    };
  }

  upload(image: Uint8Array, { ecu = 'EDT', version = '2.0.0' } = {}): Promise<Reply> {
    const field = (name: string, value: string, more = ''): string =>
      `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}`;
    const body = Buffer.concat([
      Buffer.from(`${field('ecu', ecu)}\r\n${field('version', version)}\r\n`),
      Buffer.from(field('file', '', '; filename="x.bin"')),
      image,
      Buffer.from('\r\n--b--\r\n'),
    ]);
    const headers = { ...bearer(this.releaser), 'Content-Type': 'multipart/form-data; boundary=b' };
    return this.request('/upload', { method: 'POST', headers, body });
  }

  /** Uploads an image and the Targets that list it. */
  async publish(image: Uint8Array, options: Partial<ReleaseOptions> = {}): Promise<string> {
    expect((await this.upload(image, options)).status).toBe(201);
    const name = this.ceremony.release(image, options);
    const reply = await this.request('/metadata/targets', {
      method: 'POST',
      headers: { ...bearer(this.releaser), 'Content-Type': 'application/json' },
      body: await this.ceremony.signTargets(),
    });
    expect([reply.status, reply.text]).toEqual([201, expect.any(String)]);
    return name;
  }

  vehicle(vin = VIN): Promise<TestVehicle<InjectedBackend>> {
    return TestVehicle.provisioned(this, vin, ['TMU', 'EDT', 'INV'], this.random);
  }
}
