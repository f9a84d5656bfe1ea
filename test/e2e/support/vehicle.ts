// A provisioned vehicle and its backend as single processes, for what a bench cannot show: restarts, faults, false answers.

import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import type { VehicleEcu } from '../../../src/vehicle/schema.ts';
import {
  copyWorld,
  makeWorld,
  PASSWORD,
  PERSON,
  releaseInWorld,
  WORLD,
  type World,
} from '../../support/provisioned-world.ts';
import { folder, freshBus, type Run, run, start } from './processes.ts';

const made = new Map<string, Promise<World>>();

/**
 * Made at the first call; the backends, vehicles and state directories of a file are copies of it and know each other.
 */
function worldOf(ecus: readonly string[], boards: readonly VehicleEcu[]): Promise<World> {
  const key = [...ecus, ...boards.map(({ name }) => name)].sort().join(' ');
  let known = made.get(key);
  if (known === undefined) {
    known = mkdtemp(path.join(tmpdir(), 'can-ota-world-')).then((home) =>
      makeWorld(home, `world-${randomBytes(6).toString('hex')}`, ecus, { boards }),
    );
    made.set(key, known);
  }
  return known;
}

afterAll(async () => {
  for (const known of made.values()) await rm((await known).home, { recursive: true, force: true });
});

export interface Image {
  readonly ecu: string;
  readonly version: string;
  readonly file: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

export async function image(
  ecu: string,
  size: number,
  version = '2.0.0',
  bytes: Buffer = randomBytes(size),
): Promise<Image> {
  const file = path.join(await folder(), `${ecu.toLowerCase()}-${version}.bin`);
  await writeFile(file, bytes);
  return { ecu, version, file, bytes, sha256: sha256(bytes) };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface VehicleOptions {
  readonly bus?: string;
  /** `--fault` by ECU. */
  readonly faults?: Readonly<Record<string, readonly string[]>>;
  /** ECUs that are started; all by default. */
  readonly ecus?: readonly string[];
  readonly approve?: 'ask' | 'yes' | 'no';
  /** Further arguments of the CGW: `['--signal', 'speed=50']`. */
  readonly cgw?: readonly string[];
  /** Folder of the flash files; those of a provisioned vehicle by default. */
  readonly flash?: string;
  /** Changes of the vehicle file by ECU: `{ EDT: { verification: 'full' } }`. */
  readonly changes?: Readonly<Record<string, object>>;
}

export class TestVehicle {
  readonly bus: string;
  readonly flash: string;
  readonly ecus: ReadonlyMap<string, Run>;
  /** Options of every command for this vehicle: bus, and vehicle or keys. */
  readonly shared: readonly string[];

  constructor(
    bus: string,
    flash: string,
    ecus: ReadonlyMap<string, Run>,
    shared: readonly string[],
  ) {
    this.bus = bus;
    this.flash = flash;
    this.ecus = ecus;
    this.shared = shared;
  }

  ecu(name: string): Run {
    return this.ecus.get(name)!;
  }

  /** Starts an ECU (again) with its present flash. */
  async start(name: string): Promise<Run> {
    const ecu = start(['ecu', name, '--json', '--flash', this.folder(name), ...this.shared], {
      supervised: true,
    });
    await ecu.ready;
    return ecu;
  }

  folder(name: string): string {
    return path.join(this.flash, name);
  }

  /** The software version that the ECU reports over the bus. */
  async version(name: string): Promise<unknown> {
    return (await this.read(name, 'F189')).text;
  }

  /** One data identifier, as `can-ota read --json` prints it. */
  async read(name: string, did: string): Promise<Record<string, unknown>> {
    return (await run(['read', name, did, '--json', ...this.shared])).last;
  }

  async banks(name: string): Promise<Buffer[]> {
    return Promise.all(
      ['bank-a.bin', 'bank-b.bin'].map((bank) =>
        readFile(path.join(this.folder(name), bank)).catch(() => Buffer.alloc(0)),
      ),
    );
  }
}

/** ECUs with the well-known keys, for tools that need no factory. */
export async function startBenchVehicle(ecus: readonly string[]): Promise<TestVehicle> {
  const shared = ['--bus', freshBus(), '--bench-keys'];
  return startEcus(await folder(), shared, ecus, {});
}

async function startEcus(
  flash: string,
  shared: readonly string[],
  names: readonly string[],
  { faults, approve = 'yes', cgw = [] }: VehicleOptions,
): Promise<TestVehicle> {
  const ecus = new Map<string, Run>();
  for (const name of names) {
    const common = ['--flash', path.join(flash, name), ...shared];
    const given = (faults?.[name] ?? []).flatMap((fault) => ['--fault', fault]);
    const args =
      name === 'CGW'
        ? ['cgw', '--approve', approve, ...cgw, ...common, ...given]
        : ['ecu', name, '--json', ...common, ...given];
    ecus.set(name, start(args, { supervised: true, keepInput: name === 'CGW' }));
  }
  await Promise.all([...ecus.values()].map((ecu) => ecu.ready));
  return new TestVehicle(shared[1]!, flash, ecus, shared);
}

/** Vehicles of one kind, all with the same keys, and backends that know them. */
export class TestFactory {
  readonly #world: World;
  readonly #ecus: readonly string[];

  private constructor(world: World, ecus: readonly string[]) {
    this.#world = world;
    this.#ecus = ecus;
  }

  /** By default with a CGW that asks the driver. */
  static async open(
    ecus: readonly string[] = ['CGW', 'EDT', 'INV'],
    boards: readonly VehicleEcu[] = [],
  ): Promise<TestFactory> {
    const names = [...ecus, ...boards.map(({ name }) => name)];
    return new TestFactory(await worldOf(ecus, boards), names);
  }

  get vehicleFile(): string {
    return this.#world.vehicleFile;
  }

  /** Starts every ECU as a process, all on one bus and ready. */
  async vehicle(options: VehicleOptions = {}): Promise<TestVehicle> {
    const { bus = freshBus(), changes, ecus = this.#ecus } = options;
    const flash = options.flash ?? (await this.flash());
    const file = changes === undefined ? this.vehicleFile : await this.#changed(changes);
    return startEcus(flash, ['--bus', bus, '--vehicle', file], ecus, options);
  }

  /** The flash files of a new vehicle. */
  async flash(): Promise<string> {
    const flash = path.join(await folder(), WORLD.flash);
    await copyWorld(this.#world, 'flash', flash);
    return flash;
  }

  /** The state directory of its TMU. */
  async state(): Promise<string> {
    const state = path.join(await folder(), WORLD.tmu);
    await copyWorld(this.#world, 'tmu', state);
    return state;
  }

  async backend(options: BackendOptions & { readonly port?: number } = {}): Promise<TestBackend> {
    const home = await folder();
    for (const part of ['server', 'keys', 'trust'] as const) {
      await copyWorld(this.#world, part, path.join(home, WORLD[part]));
    }
    return startBackend(home, this.#world, options);
  }

  async #changed(changes: Readonly<Record<string, object>>): Promise<string> {
    const text = await readFile(this.vehicleFile, 'utf8');
    const vehicle = JSON.parse(text) as { ecus: { name: string }[] };
    const ecus = vehicle.ecus.map((ecu) => ({ ...ecu, ...changes[ecu.name] }));
    const file = path.join(await folder(), 'vehicle.json');
    await writeFile(file, JSON.stringify({ ...vehicle, ecus }));
    return file;
  }
}

export interface BackendOptions {
  /** Further arguments. */
  readonly more?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

async function startBackend(
  home: string,
  world: World,
  { port = 0, more = [], env }: BackendOptions & { readonly port?: number },
): Promise<TestBackend> {
  const own = (part: keyof typeof WORLD): string => path.join(home, WORLD[part]);
  const server = start(
    [
      ...['server', '--json', '--data', own('server'), '--trust', own('trust')],
      ...['--devices', 'required', '--port', String(port)],
      ...['--allow-ip', '127.0.0.1/32', ...more],
    ],
    { supervised: true, ...(env === undefined ? {} : { env }) },
  );
  const { url } = (await server.ready) as { url: string };
  return new TestBackend(url, home, server, world);
}

export class TestBackend {
  readonly url: string;
  /** Folder of the key ceremony, the trust folder and the data. */
  readonly home: string;
  readonly process: Run;
  readonly #world: World;

  constructor(url: string, home: string, process: Run, world: World) {
    this.url = url;
    this.home = home;
    this.process = process;
    this.#world = world;
  }

  get data(): string {
    return path.join(this.home, WORLD.server);
  }

  /** Folder that the backend gets from the key ceremony. */
  get trust(): string {
    return path.join(this.home, WORLD.trust);
  }

  /** The folder of the key ceremony. */
  get keys(): string {
    return path.join(this.home, WORLD.keys);
  }

  async stop(): Promise<void> {
    this.process.kill();
    await this.process.exited;
  }

  /** Starts it again on the same folders, at another address. */
  startAgain(options: BackendOptions = {}): Promise<TestBackend> {
    return startBackend(this.home, this.#world, options);
  }

  /** Signs releases offline and uploads them. */
  async release(...images: readonly Image[]): Promise<void> {
    await this.#release(images, []);
  }

  /** The same, with images encrypted for the ECU. */
  async releaseEncrypted(...images: readonly Image[]): Promise<void> {
    await this.#release(
      images,
      images.map(({ ecu }) => ecu),
    );
  }

  /** Makes a safety release, as a person with the keys does. */
  async releaseForced({ ecu, file, version }: Image): Promise<void> {
    const added = await run([
      ...['release', 'add', file, '--ecu', ecu, '--version', version, '--forced'],
      ...['--hardware', `${ecu}-HW-1`, '--keys', path.join(this.home, WORLD.keys)],
      ...['--server', this.url, '--token-file', await this.tokenFile()],
    ]);
    if (added.exit?.code !== 0) throw new Error(`the release was refused: ${added}`);
  }

  /** A token that may release, and cancel running campaigns. */
  async tokenFile(): Promise<string> {
    const file = path.join(this.home, 'release.token');
    await writeFile(file, `${this.#world.releaseToken}\n`, { mode: 0o600 });
    return file;
  }

  #release(images: readonly Image[], encrypted: readonly string[]): Promise<void> {
    return releaseInWorld({ ...this.#world, home: this.home }, this.url, images, encrypted);
  }

  /** Uploads by the page, as a user with a password and no key does: the image is not signed. */
  async upload(image: Image): Promise<void> {
    const form = new FormData();
    form.set('ecu', image.ecu);
    form.set('version', image.version);
    form.set('file', new Blob([image.bytes]), 'image.bin');
    const headers = { ...(await this.logIn()), accept: 'application/json' };
    const answer = await fetch(`${this.url}/upload`, { method: 'POST', headers, body: form });
    if (!answer.ok) throw new Error(`the upload was refused: ${await answer.text()}`);
  }

  /** A page of the backend, as its operator sees it. */
  async page(target: string): Promise<string> {
    const answer = await fetch(new URL(target, this.url), {
      headers: { ...(await this.logIn()), accept: 'text/html' },
    });
    return answer.text();
  }

  /** The text of the pages about reports: the last report of the vehicle. */
  pages(): Promise<string> {
    return this.page('/vehicles?vin=1CANXTABENCH00001');
  }

  async logIn(): Promise<Record<string, string>> {
    const login = await fetch(`${this.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ name: PERSON, password: PASSWORD }),
    });
    const { csrfToken } = (await login.json()) as { csrfToken: string };
    const cookie = login.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    return { cookie, 'x-csrf-token': csrfToken };
  }
}

export interface TmuArguments {
  readonly vehicle: Pick<TestVehicle, 'shared'>;
  readonly server: string;
  readonly state: string;
  readonly more?: readonly string[];
}

export function startTmu({ vehicle, server, state, more = ['--once'] }: TmuArguments): Run {
  const args = ['tmu', '--json', '--server', server, '--state-dir', state];
  return start([...args, ...vehicle.shared, ...more], { supervised: true });
}

/** Runs one cycle to its end. */
export async function cycle(options: TmuArguments): Promise<Run> {
  const tmu = startTmu(options);
  await tmu.exited;
  return tmu;
}

/** The last line of a TMU process, which contains the outcome. */
export function outcomeOf(tmu: Run): Record<string, unknown> {
  const outcome = tmu.events.filter(({ kind }) => kind === 'outcome').at(-1);
  if (outcome === undefined) throw new Error(`no outcome: ${tmu}`);
  return outcome;
}
