// A small device of a simulated world: the reference client on its own machine and network, and what it really holds.

import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { manifestFor, publicPem, signManifest } from '../contract/chunked/sign-package.ts';
import { concatBytes } from '../core/bytes.ts';
import { silentLogger } from '../core/logger.ts';
import { defined } from '../core/optional.ts';
import { bootRecordSchema, type DeviceBootRecord } from '../device/boot-record.ts';
import type { DeviceEvent } from '../device/device-event.ts';
import { enroll } from '../device/enroll.ts';
import { openDeviceClient } from '../device/open-client.ts';
import { HttpRegistry } from '../factory/registry.ts';
import type { Suite } from '../trust/sealed-session.ts';
import { type MachineEvent, type MachineLife, SimulatedMachine } from './machine.ts';
import type { SeededRandom } from './seeded-random.ts';
import { type DiskOperation, SimulatedDisk } from './simulated-disk.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import { fetchFrom, type SimulatedServer } from './simulated-server.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface SmallDeviceOptions {
  readonly clock: VirtualClock;
  readonly server: SimulatedServer;
  readonly random: SeededRandom;
  /** Token of the factory. */
  readonly token: string;
  readonly imageBytes: number;
  /** Suite of its sealed session; missing: the device chooses. */
  readonly suite: Suite | undefined;
  readonly onEvent: (event: DeviceEvent | MachineEvent) => void;
}

const MODEL = 'PUMP-1';
const CHIP = 'simulated-pump';
const FACTORY_VERSION = '1.0.0';
/** Time between two checks for updates. */
const CHECK_MS = 20_000;
const CHUNK_BYTES = 512;
const FREE_BYTES = 64 * 1024;
/** PKCS #8 of an Ed25519 key, in front of its seed (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export class SimulatedSmallDevice {
  readonly machine: SimulatedMachine;
  readonly network: SimulatedNetwork;
  /** Versions by SHA-256: that of the factory and all releases. */
  readonly released = new Map<string, string>();
  readonly #options: SmallDeviceOptions;
  readonly #key: KeyObject;
  readonly #ends: AbortController[] = [];
  readonly #listeners = new Set<(operation: DiskOperation) => void>();
  #serial = '';
  #newest = FACTORY_VERSION;
  #counter = 1;
  #before: string | undefined = FACTORY_VERSION;
  #rests = false;
  /** The last update has succeeded, or there is none. */
  #isDone = false;

  constructor(options: SmallDeviceOptions) {
    const { clock, server, random } = options;
    this.#options = options;
    const seed = random.fork('release key').bytes(32);
    this.#key = createPrivateKey({
      key: Buffer.from(concatBytes(PKCS8, seed)),
      format: 'der',
      type: 'pkcs8',
    });
    this.network = new SimulatedNetwork({ clock, server, random: random.fork('network') });
    this.machine = new SimulatedMachine({
      name: 'device',
      clock,
      disk: new SimulatedDisk({ location: 'device', files: new Map() }),
      random: random.fork('machine'),
      program: (life) => this.#start(life),
      onEvent: (event) => {
        if (event.kind === 'power-on') this.#rests = false;
        options.onEvent(event);
      },
    });
  }

  /** Calls `hear` before each operation on its disk, until the returned function is called. */
  onOperation(hear: (operation: DiskOperation) => void): () => void {
    this.#listeners.add(hear);
    this.machine.disk.onOperation = (_n, operation, moment) => {
      if (moment === 'before') for (const listener of this.#listeners) listener(operation);
    };
    return () => void this.#listeners.delete(hear);
  }

  /** The newest version released for it. */
  get newest(): string {
    return this.#newest;
  }

  get serial(): string {
    return this.#serial;
  }

  /** It waits for its next check and can do nothing more about the newest release. */
  get atRest(): boolean {
    return this.machine.alive && this.#rests && this.#isDone;
  }

  /** What it ran when the newest release came. */
  get before(): string | undefined {
    return this.#before;
  }

  /** The image in the bank that its boot record calls active, by its bytes; undefined: an unknown image. */
  get held(): { readonly sha256: string; readonly version: string | undefined } | undefined {
    const record = recordOf(this.machine.disk.contents('boot-record.json'));
    if (record === undefined) return undefined;
    const bytes = this.machine.disk.contents(`bank-${'ab'[record.active]}.bin`);
    if (bytes === undefined) return undefined;
    const sha256 = hashOf(bytes);
    return { sha256, version: this.released.get(sha256) };
  }

  /** Its transfers as the backend records them, oldest first. */
  transfers(): readonly { readonly state: string; readonly version: string | null }[] {
    return this.#options.server.database
      .prepare('select state, version from transfers where serial = ? order by started_at, id')
      .all(this.#serial) as unknown as { state: string; version: string | null }[];
  }

  /** Enrols the device as the factory does. The server has to be running. */
  async enrol(): Promise<void> {
    const { clock, server, random, token, imageBytes } = this.#options;
    const image = random.fork('factory image').bytes(imageBytes);
    this.released.set(hashOf(image), FACTORY_VERSION);
    const enrolled = await enroll({
      storage: this.machine.disk.open(),
      registry: new HttpRegistry({
        ...{ server: server.url, token, clock, random: random.fork('registry') },
        fetch: fetchFrom(server),
      }),
      random: random.fork('enrolment'),
      model: MODEL,
      releaseKey: publicPem(this.#key),
      hwId: CHIP,
      factory: { image, version: FACTORY_VERSION },
    });
    if (!enrolled.ok) throw new Error(`the small device: ${enrolled.reason}`);
    this.#serial = enrolled.identity.serial;
  }

  /** Uploads a new package for it to the backend, which has to be running. */
  async release(): Promise<void> {
    const { server, random, imageBytes } = this.#options;
    this.#counter++;
    const version = `${this.#counter}.0.0`;
    const image = random.fork(`image ${version}`).bytes(imageBytes);
    const facts = { model: MODEL, version, counter: this.#counter, profile: 'default' } as const;
    const signed = signManifest(manifestFor(image, facts), this.#key);
    this.released.set(hashOf(image), version);
    this.#before = this.held?.version;
    this.#newest = version;
    this.#rests = false;
    this.#isDone = false;
    const { body, contentType } = packageForm(JSON.stringify(signed), publicPem(this.#key), image);
    await server.post('/ota/packages', body, contentType);
  }

  close(): void {
    this.machine.cut();
    for (const end of this.#ends) end.abort();
  }

  async #start(life: MachineLife): Promise<{ readonly stopped: Promise<unknown> }> {
    const { server, suite } = this.#options;
    const { client } = await openDeviceClient({
      ...defined({ suite }),
      server: server.url,
      storage: life.storage,
      clock: life.clock,
      random: life.random,
      logger: silentLogger,
      onEvent: life.whileAlive((event: DeviceEvent) => {
        this.#rests = event.kind === 'next-check';
        if (event.kind === 'outcome') {
          this.#isDone = ['success', 'up-to-date'].includes(event.outcome);
        }
        this.#options.onEvent(event);
      }),
      freeBytes: () => FREE_BYTES,
      chunkBytes: CHUNK_BYTES,
      checkIntervalMs: CHECK_MS,
      transport: life.network(this.network),
    });
    const end = new AbortController();
    this.#ends.push(end);
    return { stopped: client.start(end.signal).then(() => client.run(end.signal)) };
  }
}

const BOUNDARY = 'can-ota-device-77b2';

function packageForm(manifest: string, publicKey: string, image: Uint8Array) {
  const field = (key: string, value: string): string =>
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`;
  const head =
    field('manifest', manifest) +
    field('public_key', publicKey) +
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="image.bin"\r\n` +
    'content-type: application/octet-stream\r\n\r\n';
  const body = Buffer.concat([Buffer.from(head), image, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
  return { body, contentType: `multipart/form-data; boundary=${BOUNDARY}` };
}

function recordOf(bytes: Uint8Array | undefined): DeviceBootRecord | undefined {
  if (bytes === undefined) return undefined;
  try {
    return bootRecordSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  } catch {
    return undefined;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
