// A vehicle and its backend out of single processes, for what a bench does not show: restarts, faults, strange servers.

import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addUser } from '../../../server/auth/user-commands.ts';
import { releaseImages } from '../../../src/cli/bench-release.ts';
import { folder, freshBus, type Run, run, start } from './processes.ts';

export const PASSWORD = 'correct horse battery';

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
  /** `--fault` by ECU; an ECU that stands here or in `ecus` is started. */
  readonly faults?: Readonly<Record<string, readonly string[]>>;
  readonly ecus?: readonly string[];
  /** `nobody`: without a CGW. */
  readonly approve?: 'ask' | 'yes' | 'no' | 'nobody';
  /** Where the flash files are; a fresh folder unless told. */
  readonly flash?: string;
}

export class TestVehicle {
  readonly bus: string;
  readonly flash: string;
  readonly ecus: ReadonlyMap<string, Run>;

  constructor(bus: string, flash: string, ecus: ReadonlyMap<string, Run>) {
    this.bus = bus;
    this.flash = flash;
    this.ecus = ecus;
  }

  ecu(name: string): Run {
    return this.ecus.get(name)!;
  }

  /** What the ECU says over the bus about the software that it runs. */
  async version(name: string): Promise<unknown> {
    const read = await run(['read', name, 'F189', '--json', '--bus', this.bus]);
    return read.last.text;
  }

  async banks(name: string): Promise<Buffer[]> {
    return Promise.all(
      ['bank-a.bin', 'bank-b.bin'].map((bank) =>
        readFile(path.join(this.flash, name, bank)).catch(() => Buffer.alloc(0)),
      ),
    );
  }
}

/** CGW and the ECUs asked for, each a process, all on one bus and ready. */
export async function startVehicle(options: VehicleOptions = {}): Promise<TestVehicle> {
  const bus = options.bus ?? freshBus();
  const flash = options.flash ?? (await folder());
  const names = options.ecus ?? ['EDT', 'INV'];
  const ecus = new Map<string, Run>();
  for (const name of names) {
    const faults = (options.faults?.[name] ?? []).flatMap((fault) => ['--fault', fault]);
    const flashDir = path.join(flash, name);
    ecus.set(
      name,
      start(['ecu', name, '--json', '--flash', flashDir, '--bus', bus, ...faults], {
        supervised: true,
      }),
    );
  }
  const { approve = 'yes' } = options;
  if (approve !== 'nobody') {
    const cgw = ['cgw', '--flash', path.join(flash, 'CGW'), '--bus', bus, '--approve', approve];
    ecus.set('CGW', start(cgw, { supervised: true, keepInput: true }));
  }
  await Promise.all([...ecus.values()].map((ecu) => ecu.ready));
  return new TestVehicle(bus, flash, ecus);
}

export class TestBackend {
  readonly url: string;
  readonly data: string;
  readonly process: Run;

  constructor(url: string, data: string, process: Run) {
    this.url = url;
    this.data = data;
    this.process = process;
  }

  async release(...images: readonly Image[]): Promise<void> {
    await releaseImages(this.url, 'anna', PASSWORD, images);
  }

  /** What the pages show of the reports: the last one of the vehicle. */
  async pages(): Promise<string> {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const login = await fetch(`${this.url}/login`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'anna', password: PASSWORD }),
    });
    const cookie = login.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const answer = await fetch(`${this.url}/vehicles?vin=1CANXTABENCH00001`, {
      headers: { cookie, accept: 'text/html' },
    });
    return answer.text();
  }
}

export async function startBackend(
  options: { readonly data?: string; readonly port?: number } = {},
): Promise<TestBackend> {
  const data = options.data ?? (await folder());
  if (options.data === undefined) await addUser(data, 'anna', 'admin', PASSWORD, { bcryptCost: 4 });
  const server = start(
    ['server', '--json', '--data', data, '--port', String(options.port ?? 0)].concat([
      '--allow-ip',
      '127.0.0.1/32',
    ]),
    { supervised: true },
  );
  const { url } = (await server.ready) as { url: string };
  return new TestBackend(url, data, server);
}

export interface TmuArguments {
  readonly bus: string;
  readonly server: string;
  readonly state: string;
  readonly more?: readonly string[];
}

export function startTmu({ bus, server, state, more = ['--once'] }: TmuArguments): Run {
  return start(['tmu', '--json', '--bus', bus, '--server', server, '--state-dir', state, ...more], {
    supervised: true,
  });
}

/** One cycle to its end. */
export async function cycle(options: TmuArguments): Promise<Run> {
  const tmu = startTmu(options);
  await tmu.exited;
  return tmu;
}

/** The last line of a TMU process, which tells the outcome. */
export function outcomeOf(tmu: Run): Record<string, unknown> {
  const outcome = tmu.events.filter(({ kind }) => kind === 'outcome').at(-1);
  if (outcome === undefined) throw new Error(`no outcome: ${tmu}`);
  return outcome;
}
