// `can-ota bench`: a whole vehicle and its backend as processes on one bus, one update from end to end.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addUser } from '../../server/auth/user-commands.ts';
import { outcomeExitCode } from '../campaign/outcome.ts';
import { toHex } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';
import { packageRoot } from '../core/package-root.ts';
import { systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { formatDuration } from '../core/units.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { openBenchBus } from './bench-bus.ts';
import { type BusMeter, limitOf, openMeter } from './bench-meter.ts';
import { type ReleaseImage, releaseImages } from './bench-release.ts';
import { type BenchRow, type BenchView, benchTable, openBenchView } from './bench-view.ts';
import type { BusOptions, OpenedBus } from './bus.ts';
import { Children } from './children.ts';
import { pc } from './colours.ts';
import { type CommonOptions, type Context, runCommand } from './context.ts';
import { fileFault, loadVehicle } from './vehicle-file.ts';

interface BenchOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly approve: 'ask' | 'yes' | 'no';
  readonly image: readonly ReleaseImage[];
  readonly data?: string;
  readonly approvalTimeout: number;
}

type Outcome = Extract<TmuEvent, { kind: 'outcome' }>;

export function bench(options: BenchOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    const images = await chooseImages(options.image, vehicle);
    const folder = options.data ?? (await mkdtemp(path.join(tmpdir(), 'can-ota-bench-')));
    const data = await DiskStorage.open(folder); // created, and refused where nothing can be written
    try {
      return await new Bench(options, context, vehicle, images, data.location).run();
    } finally {
      if (options.data === undefined) await rm(folder, { recursive: true, force: true });
    }
  });
}

const firmware = path.join(packageRoot, 'test', 'fixtures', 'firmware');

/** What the factory put in, and what the bench releases: real images of the demo ECU, an older and a newer. */
const STANDARD: Readonly<Record<string, { readonly factory: string; readonly release: string }>> = {
  EDT: { factory: 'ecu-feature/old.bin', release: 'ecu-feature/new.bin' },
  INV: { factory: 'ecu-bugfix/old.bin', release: 'ecu-bugfix/new.bin' },
};

/** `--image` replaces the standard releases. Throws InputError before any process is started. */
async function chooseImages(
  given: readonly ReleaseImage[],
  vehicle: Vehicle,
): Promise<ReleaseImage[]> {
  const images =
    given.length > 0
      ? given
      : Object.entries(STANDARD)
          .filter(([ecu]) => vehicle.ecus.some(({ name }) => name === ecu))
          .map(([ecu, { release }]) => ({
            ecu,
            file: path.join(firmware, release),
            version: '2.0.0',
          }));
  const seen = new Set<string>();
  for (const { ecu, file } of images) {
    const { bankSize } = findEcu(vehicle, ecu).memory;
    if (seen.has(ecu)) throw new InputError('--image', `two images for ${ecu}: give one`);
    seen.add(ecu);
    const found = await stat(file).catch((error: unknown) => {
      throw new InputError('--image', fileFault(file, error), { cause: error });
    });
    if (!found.isFile()) throw new InputError('--image', `${file} is a folder, a file is expected`);
    if (found.size === 0)
      throw new InputError('--image', `${file} is empty: an image has at least one byte`);
    if (found.size > bankSize) {
      throw new InputError(
        '--image',
        `${file} has ${found.size} bytes, a bank of ${ecu} holds ${bankSize}`,
      );
    }
  }
  return [...images];
}

class Bench {
  readonly #options: BenchOptions;
  readonly #context: Context;
  readonly #vehicle: Vehicle;
  readonly #images: readonly ReleaseImage[];
  readonly #folder: string;

  constructor(
    options: BenchOptions,
    context: Context,
    vehicle: Vehicle,
    images: readonly ReleaseImage[],
    folder: string,
  ) {
    this.#options = options;
    this.#context = context;
    this.#vehicle = vehicle;
    this.#images = images;
    this.#folder = folder;
  }

  async run(): Promise<ExitCode> {
    const startMs = systemClock.nowMs();
    // First on the bus: this process keeps the broker of a local bus, and it outlives all others.
    await using opened = await openBenchBus(this.#options, this.#context);
    const meter = await openMeter(opened.bus, this.#vehicle);
    const view = openBenchView(this.#context.json, meter);
    try {
      view.line(`bench on ${opened.why}`);
      await using children = new Children();
      const aborted = new Promise<never>((_, reject) => {
        const stop = (): void => reject(this.#context.signal.reason);
        if (this.#context.signal.aborted) stop();
        this.#context.signal.addEventListener('abort', stop, { once: true });
      });
      aborted.catch(() => {});
      const outcome = await Promise.race([
        this.#cycle(children, opened, view),
        children.failure,
        aborted,
      ]);
      view.close();
      return await this.#report(outcome, opened, meter, (systemClock.nowMs() - startMs) / 1000);
    } finally {
      meter.close();
      view.close();
    }
  }

  /** Everything up to the outcome that the TMU reports. */
  async #cycle(children: Children, { bus }: OpenedBus, view: BenchView): Promise<Outcome> {
    const spec = bus.kind === 'socketcan' ? bus.name : (this.#options.bus ?? `local:${bus.name}`);
    const shared = [
      ...['--bus', spec],
      ...(this.#options.vehicle === undefined ? [] : ['--vehicle', this.#options.vehicle]),
      ...(this.#options.fd === true ? ['--fd'] : []),
    ];
    const password = toHex(systemRandom.bytes(16));
    const serverData = path.join(this.#folder, 'server');
    // A kept folder knows the person of the last bench; its name is new each time, as is the password.
    const person = `bench-${toHex(systemRandom.bytes(4))}`;
    // 128 random bits need no slow hash.
    await addUser(serverData, person, 'admin', password, { bcryptCost: 4 });
    const server = children.start('server', [
      'server',
      '--port',
      '0',
      '--data',
      serverData,
      '--allow-ip',
      '127.0.0.1/32',
      '--json',
    ]);
    const ecus = this.#vehicle.ecus.map(({ name }) => this.#startEcu(children, name, shared, view));
    const { url } = (await server.ready()) as { url: string };
    view.line(`backend on ${url}`);
    await releaseImages(url, person, password, this.#images);
    await Promise.all(ecus.map((ecu) => ecu.ready()));
    view.line(`on the bus: ${this.#vehicle.ecus.map(({ name }) => name).join(', ')}`);

    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const state = path.join(this.#folder, 'tmu');
    const tmu = children.start(
      'TMU',
      [
        'tmu',
        '--once',
        '--json',
        '--server',
        url,
        '--state-dir',
        state,
        '--approval-timeout',
        String(this.#options.approvalTimeout),
        ...shared,
      ],
      {
        mayEnd: true,
        onLine: (line) => {
          const event = JSON.parse(line) as TmuEvent | { error: { message: string } };
          if ('error' in event) return;
          if (event.kind === 'outcome') resolve(event);
          view.tmu(event);
          this.#context.emit(event);
        },
      },
    );
    const ended = tmu.exited.then((exit): never => {
      throw tmu.failure(exit);
    });
    ended.catch(() => {});
    return Promise.race([promise, ended]);
  }

  #startEcu(children: Children, name: string, shared: readonly string[], view: BenchView) {
    const flash = path.join(this.#folder, name.toLowerCase());
    const factory = STANDARD[name]?.factory;
    const image = factory === undefined ? [] : ['--image', `${path.join(firmware, factory)}@1.0.0`];
    const common = ['--flash', flash, ...image, ...shared];
    if (name !== this.#vehicle.approval?.ecu) return children.start(name, ['ecu', name, ...common]);
    const { approve, approvalTimeout } = this.#options;
    const asking = approve === 'ask';
    return children.start(
      name,
      [
        'cgw',
        ...common,
        '--approve',
        approve,
        '--approval-timeout',
        String(approvalTimeout),
        ...(this.#context.json ? ['--json'] : []),
      ],
      // The driver sits at our terminal: what is typed goes to the CGW, what the CGW says is shown.
      asking
        ? {
            input: true,
            // What it says as an ECU is known from the TMU.
            onLine: (line) => {
              if (!line.startsWith(`${name}: `) && !line.startsWith(`${name} on `)) {
                view.line(`${name}  ${line}`);
              }
            },
            // With --json the question stands there.
            showErrors: this.#context.json,
          }
        : {},
    );
  }

  async #report(
    outcome: Outcome,
    { bus }: OpenedBus,
    meter: BusMeter,
    seconds: number,
  ): Promise<ExitCode> {
    const rows = outcome.ecus.map((ecu): BenchRow => {
      const description = findEcu(this.#vehicle, ecu.name);
      const limit = limitOf(description, this.#vehicle, bus);
      const { name, from, to, reported, sha256, bytes } = ecu;
      // A bus without a bit rate can be faster than any wire: the share ends at 1.
      const limitShare = ecu.seconds > 0 ? Math.min(1, bytes / ecu.seconds / limit) : 0;
      return { name, from, to, reported, sha256, bytes, seconds: ecu.seconds, limitShare };
    });
    const mismatch = outcome.outcome === 'SUCCESS' ? await this.#compareFlash(rows) : undefined;
    if (!this.#context.json) {
      if (rows.length > 0) this.#context.say(benchTable(rows));
      const colour = outcome.outcome === 'SUCCESS' ? pc.green : pc.yellow;
      this.#context.say(
        `${colour(outcome.outcome)} in ${formatDuration(seconds * 1000)}, ${meter.frames} frames on ${bus.name}` +
          `${outcome.reason === undefined ? '' : `: ${outcome.reason}`}`,
      );
      if (outcome.outcome === 'SUCCESS' && mismatch === undefined) {
        this.#context.say(
          'Every flash file has the SHA-256 that its ECU computed and that was released.',
        );
      }
    }
    if (mismatch !== undefined) process.stderr.write(`can-ota: ${mismatch}\n`);
    this.#context.emit({
      outcome: outcome.outcome,
      ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
      bus: { kind: bus.kind, name: bus.name },
      seconds: round(seconds),
      frames: meter.frames,
      ecus: rows.map((row) => ({
        ...row,
        seconds: round(row.seconds),
        limitShare: round(row.limitShare),
      })),
      ...(mismatch === undefined ? {} : { mismatch }),
    });
    return mismatch === undefined ? outcomeExitCode(outcome.outcome) : ExitCode.internal;
  }

  /** The bench's own eyes: the flash file on disk against what the ECU said and what was released. */
  async #compareFlash(rows: readonly BenchRow[]): Promise<string | undefined> {
    for (const { name, sha256 } of rows) {
      const released = this.#images.find(({ ecu }) => ecu === name)!;
      const expected = await fileDigest(released.file);
      const banks = await Promise.all(
        ['bank-a.bin', 'bank-b.bin'].map((bank) =>
          fileDigest(path.join(this.#folder, name.toLowerCase(), bank)).catch(() => undefined),
        ),
      );
      if (sha256 !== expected) return `${name} reports SHA-256 ${sha256}, released was ${expected}`;
      if (!banks.includes(expected))
        return `no flash file of ${name} has the released SHA-256 ${expected}`;
    }
    return undefined;
  }
}

async function fileDigest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
