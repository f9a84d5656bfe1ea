// Check-ins per second of the real server: unchanged manifests, and manifests that lead to new signed Targets.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AuditLog } from '../../server/features/audit/store.ts';
import { DeviceStore } from '../../server/features/registry/store.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import type { RegisteredDevice } from '../../server/platform/auth/identity.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { toHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { defined } from '../../src/core/optional.ts';
import { itemAt, present } from '../../src/core/present.ts';
import { systemRandom } from '../../src/core/random.ts';
import { clientProof, deviceKeyOf } from '../../src/trust/device-session.ts';
import { signManifest, signVersionReport } from '../../src/trust/manifest.ts';
import { generateX25519, type LocalSigner, signerFromSeed } from '../../src/trust/signing-key.ts';
import { hasKey, Worker } from './processes.ts';
import { ECUS, imageOf, SignedWorld } from './signed-world.ts';

/** Number of vehicles, enough that none exceeds the server's rate limit. */
const VEHICLES = 48;
/** Number of simultaneous requests. */
const CLIENTS = 16;

export interface CheckinRates {
  readonly unchangedPerSecond: number;
  readonly changedPerSecond: number;
  /** `GET /healthz`: the upper limit of server, client and machine. */
  readonly healthzPerSecond: number;
}

export async function measureCheckins(seconds: number): Promise<CheckinRates> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-benchmark-'));
  try {
    await using stack = new AsyncDisposableStack();
    const data = path.join(folder, 'data');
    const trust = path.join(folder, 'trust');
    const world = await SignedWorld.create(systemClock.wallMs());
    for (const ecu of ECUS) world.release(ecu, 1);
    await world.writeTrustFolder(trust, systemClock.wallMs());
    const token = await addToken(data, 'benchmark', 'release');
    const vehicles = await register(data);
    const server = new Worker('src/cli/main.ts', [
      ...['server', '--port', '0', '--data', data, '--trust', trust, '--json'],
      ...['--log-level', 'error'],
    ]);
    stack.use(server);
    const { url } = (await server.until(hasKey('url'))) as unknown as { url: string };
    const client = new Client(url);
    stack.defer(() => client.close());
    const publisher = new Publisher(client, world, token);
    for (const ecu of ECUS) await publisher.upload(ecu, 1);
    for (const vehicle of vehicles) await vehicle.logIn(client);
    await eachOnce(vehicles, (vehicle) => vehicle.checkIn(client)); // the first Targets

    const healthzPerSecond = await rate(seconds, () => client.get('/healthz'));
    let next = 0;
    const unchangedPerSecond = await rate(seconds, () =>
      itemAt(vehicles, next++ % vehicles.length).checkIn(client),
    );
    let changed = 0;
    let tookMs = 0;
    for (let counter = 2; tookMs < seconds * 1000; counter++) {
      await publisher.release('EDT', counter);
      const startMs = performance.now();
      await eachOnce(vehicles, (vehicle) => vehicle.checkIn(client, counter));
      tookMs += performance.now() - startMs;
      changed += vehicles.length;
    }
    return {
      unchangedPerSecond,
      changedPerSecond: (changed * 1000) / tookMs,
      healthzPerSecond,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Calls per second. There are more vehicles than clients, so a vehicle never makes two calls at once. */
async function rate(seconds: number, call: () => Promise<unknown>): Promise<number> {
  let calls = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < endMs) {
        await call();
        calls++;
      }
    }),
  );
  return (calls * 1000) / (performance.now() - startMs);
}

async function eachOnce<T>(all: readonly T[], call: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let one = left.pop(); one !== undefined; one = left.pop()) await call(one);
    }),
  );
}

interface Ecu {
  readonly device: RegisteredDevice;
  readonly signer: LocalSigner;
}

/** Registers a TMU as Primary and the ECUs of the bench with the factory's function of the database. */
async function register(data: string): Promise<Vehicle[]> {
  const db = await openDatabase(data, { clock: systemClock, random: systemRandom });
  const devices = new DeviceStore(db, new AuditLog(db, silentLogger));
  const factory = { who: 'benchmark', address: 'local' };
  const vehicles: Vehicle[] = [];
  for (let number = 0; number < VEHICLES; number++) {
    const vin = `BENCHMARK${String(number).padStart(8, '0')}`;
    const secret = Uint8Array.from(randomBytes(32));
    const ecus: Ecu[] = [];
    for (const name of ['TMU', ...ECUS]) {
      const signer = signerFromSeed(Uint8Array.from(randomBytes(32)));
      const hwId = toHex(randomBytes(16));
      const facts = {
        vin,
        name,
        hardwareId: `${name}-HW-1`,
        primary: name === 'TMU',
        signingKey: signer.publicKey.keyval.public,
        encryptionKey: toHex(generateX25519().publicKey),
        secretHash: toHex(deviceKeyOf(name === 'TMU' ? secret : Uint8Array.from(randomBytes(32)))),
      };
      await devices.provision(hwId, facts, factory);
      const device = await devices.activate(hwId, factory);
      if ('kind' in device) throw new Error(`not registered: ${device.kind}`);
      ecus.push({ device, signer });
    }
    vehicles.push(new Vehicle(vin, ecus, secret));
  }
  await db.close();
  return vehicles;
}

class Vehicle {
  readonly #vin: string;
  readonly #ecus: readonly Ecu[];
  readonly #secret: Uint8Array;
  #counter = 0;
  #token = '';

  constructor(vin: string, ecus: readonly Ecu[], secret: Uint8Array) {
    this.#vin = vin;
    this.#ecus = ecus;
    this.#secret = secret;
  }

  get #primary(): Ecu {
    return itemAt(this.#ecus, 0);
  }

  async logIn(client: Client): Promise<void> {
    const { serial, hwId: hw_id } = this.#primary.device;
    const clientNonce = toHex(randomBytes(16));
    const challenge = (await client.post('/auth/challenge', { serial, hw_id, clientNonce })) as {
      challenge: string;
      serverNonce: string;
    };
    const exchanged = { serial, clientNonce, ...challenge };
    const answer = await client.post('/auth/response', {
      challenge: challenge.challenge,
      clientProof: clientProof(deviceKeyOf(this.#secret), exchanged),
    });
    this.#token = (answer as { token: string }).token;
  }

  /** Checks in. Throws unless the Director has signed at least `targets` times for this vehicle. */
  async checkIn(client: Client, targets = 1): Promise<void> {
    this.#counter++;
    const reports = this.#ecus.map(({ device, signer }) => [
      device.serial,
      signVersionReport(
        {
          ecu: device.serial,
          installed: {
            name: `${device.name}-0.1.0.bin`,
            version: '0.1.0',
            length: 1000,
            hashes: { sha256: 'ab'.repeat(32) },
          },
          attack: '',
          time: null,
          counter: this.#counter,
        },
        signer,
      ),
    ]);
    const manifest = signManifest(
      {
        vin: this.#vin,
        primary: this.#primary.device.serial,
        reports: Object.fromEntries(reports),
      },
      this.#primary.signer,
    );
    const nonces = [toHex(randomBytes(16))];
    const body = { vin: this.#vin, manifest, nonces };
    const answer = (await client.post('/vehicle/checkin', body, this.#token)) as {
      director: { targets: number };
    };
    if (answer.director.targets < targets) {
      throw new Error(`Targets ${answer.director.targets} where ${targets} were expected`);
    }
  }
}

/** Signs releases offline and uploads them to the backend. */
class Publisher {
  readonly #client: Client;
  readonly #world: SignedWorld;
  readonly #token: string;

  constructor(client: Client, world: SignedWorld, token: string) {
    this.#client = client;
    this.#world = world;
    this.#token = token;
  }

  async release(ecu: string, counter: number): Promise<void> {
    await this.upload(ecu, counter);
    this.#world.release(ecu, counter);
    const { images } = await this.#world.publish(systemClock.wallMs());
    const targets = Buffer.from(present(images.get('targets.json'), 'targets.json'));
    await this.#client.send('/metadata/targets', targets, 'application/json', this.#token);
  }

  async upload(ecu: string, counter: number): Promise<void> {
    const form = new FormData();
    form.set('ecu', ecu);
    form.set('version', `${counter}.0.0`);
    form.set('file', new Blob([Uint8Array.from(imageOf(ecu, counter))]), 'image.bin');
    const request = new Response(form);
    const type = present(request.headers.get('content-type'), 'content-type');
    await this.#client.send('/upload', Buffer.from(await request.arrayBuffer()), type, this.#token);
  }
}

/** A client for plain HTTP with connections that stay open. Throws for every status except 2xx. */
class Client {
  readonly #url: string;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });

  constructor(url: string) {
    this.#url = url;
  }

  close(): void {
    this.#agent.destroy();
  }

  get(target: string): Promise<unknown> {
    return this.#ask('GET', target, {}, undefined);
  }

  post(target: string, body: unknown, token?: string): Promise<unknown> {
    return this.send(target, Buffer.from(JSON.stringify(body)), 'application/json', token);
  }

  send(target: string, body: Buffer, type: string, token?: string): Promise<unknown> {
    const headers = {
      'Content-Type': type,
      'Content-Length': body.length,
      ...defined({ Authorization: token === undefined ? undefined : `Bearer ${token}` }),
    };
    return this.#ask('POST', target, headers, body);
  }

  #ask(
    method: string,
    target: string,
    headers: http.OutgoingHttpHeaders,
    body: Buffer | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent };
      const request = http.request(`${this.#url}${target}`, options, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const { statusCode = 0 } = response;
          if (statusCode < 200 || statusCode > 299) {
            reject(new Error(`${method} ${target}: ${statusCode} ${text}`));
          } else resolve(text === '' ? undefined : JSON.parse(text));
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }
}
