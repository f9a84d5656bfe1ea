// `can-ota bench`: a whole vehicle and its backend as processes on one bus, one update from end to end.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CanBus } from '../bus/can-bus.ts';
import { outcomeExitCode } from '../campaign/outcome.ts';
import { toHex } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { ExitCode } from '../core/exit-code.ts';
import { systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { formatDuration } from '../core/units.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { openBenchBus } from './bench-bus.ts';
import { BenchFactory, benchToken, provisionBench, type ReleaseImage } from './bench-factory.ts';
import { checkEncrypted, chooseImages, firmware, STANDARD } from './bench-images.ts';
import { type BusMeter, limitOf, openMeter } from './bench-meter.ts';
import { writeBenchVehicle } from './bench-vehicle.ts';
import { type BenchRow, type BenchView, benchTable, openBenchView } from './bench-view.ts';
import type { BusOptions, OpenedBus } from './bus.ts';
import { Children } from './children.ts';
import { pc } from './colours.ts';
import { type CommonOptions, type Context, runCommand } from './context.ts';
import { loadVehicle } from './vehicle-file.ts';

interface BenchOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly approve: 'ask' | 'yes' | 'no';
  readonly image: readonly ReleaseImage[];
  readonly data?: string;
  readonly approvalTimeout: number;
  readonly encrypt: readonly string[];
}

/** The TMU's state directory within the bench's folder. */
const TMU_FOLDER = 'tmu';

type Verified = Pick<Extract<TmuEvent, { kind: 'verified' }>, 'director' | 'images'>;
type Outcome = Extract<TmuEvent, { kind: 'outcome' }>;

export function bench(options: BenchOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const described = await loadVehicle(options.vehicle, false);
    const images = await chooseImages(options.image, described);
    checkEncrypted(options.encrypt, images);
    const folder = options.data ?? (await mkdtemp(path.join(tmpdir(), 'can-ota-bench-')));
    const data = await DiskStorage.open(folder); // created, and refused where nothing can be written
    try {
      const vehicleFile = await writeBenchVehicle(data, described);
      const vehicle = await loadVehicle(vehicleFile, options.fd === true);
      const setting = { ...options, vehicle: vehicleFile };
      return await new Bench(setting, context, vehicle, images, data.location).run();
    } finally {
      if (options.data === undefined) await rm(folder, { recursive: true, force: true });
    }
  });
}

class Bench {
  readonly #options: BenchOptions & { readonly vehicle: string };
  readonly #context: Context;
  readonly #vehicle: Vehicle;
  readonly #images: readonly ReleaseImage[];
  readonly #folder: string;
  #verified: Verified | undefined;

  constructor(
    options: BenchOptions & { readonly vehicle: string },
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
    const ending = new AbortController();
    let cycle: Promise<unknown> | undefined;
    try {
      view.line(`bench on ${opened.why}`);
      await using children = new Children();
      const aborted = new Promise<never>((_, reject) => {
        const stop = (): void => reject(this.#context.signal.reason);
        if (this.#context.signal.aborted) stop();
        this.#context.signal.addEventListener('abort', stop, { once: true });
      });
      aborted.catch(() => {});
      const signal = AbortSignal.any([this.#context.signal, ending.signal]);
      const running = this.#cycle(children, opened, view, signal);
      cycle = running;
      const outcome = await Promise.race([running, children.failure, aborted]);
      view.close();
      return await this.#report(outcome, opened, meter, (systemClock.nowMs() - startMs) / 1000);
    } finally {
      // Whatever is still being prepared must not write into a folder that is being removed.
      ending.abort('the bench ends');
      await cycle?.catch(() => {});
      meter.close();
      view.close();
    }
  }

  /** Everything up to the outcome that the TMU reports. */
  async #cycle(
    children: Children,
    { bus }: OpenedBus,
    view: BenchView,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const spec = bus.kind === 'socketcan' ? bus.name : (this.#options.bus ?? `local:${bus.name}`);
    const shared = [
      ...['--bus', spec, '--vehicle', this.#options.vehicle],
      ...(this.#options.fd === true ? ['--fd'] : []),
    ];
    const ecus = this.#vehicle.ecus.map(({ name }) => this.#startEcu(children, name, shared, view));
    const url = await this.#prepare(children, bus, view, signal, async () => {
      await Promise.all(ecus.map((ecu) => ecu.ready()));
      view.line(`on the bus: ${this.#vehicle.ecus.map(({ name }) => name).join(', ')}`);
    });
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const tmu = children.start(
      'TMU',
      [
        'tmu',
        '--once',
        '--json',
        '--server',
        url,
        '--state-dir',
        path.join(this.#folder, TMU_FOLDER),
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
          if (event.kind === 'verified') {
            const { director, images } = event;
            this.#verified = { director, images };
          }
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

  /** Keys, backend, releases and a provisioned vehicle. Returns the backend's address. */
  async #prepare(
    children: Children,
    bus: CanBus,
    view: BenchView,
    signal: AbortSignal,
    ecusReady: () => Promise<void>,
  ): Promise<string> {
    const serverData = path.join(this.#folder, 'server');
    const unique = toHex(systemRandom.bytes(4));
    await using factory = await BenchFactory.open(this.#folder);
    const { trustDir } = factory;
    const token = {
      factory: await benchToken(serverData, 'factory', unique),
      release: await benchToken(serverData, 'release', unique),
    };
    const server = children.start('server', [
      ...['server', '--port', '0', '--data', serverData, '--trust', trustDir],
      ...['--devices', 'required', '--allow-ip', '127.0.0.1/32', '--json'],
    ]);
    const { url } = (await server.ready()) as { url: string };
    view.line(`backend on ${url}`);
    const encrypted = new Set(this.#options.encrypt);
    const backend = { url, token: token.release };
    const released = factory.release(backend, this.#images, encrypted, this.#vehicle, signal);
    released.catch(() => {}); // reported below
    await ecusReady();
    await provisionBench({
      ...{ bus, vehicle: this.#vehicle, trustDir, server: url, token: token.factory, signal },
      stateDir: path.join(this.#folder, TMU_FOLDER),
      logger: this.#context.logger,
      onEvent: (event) => {
        if (event.kind === 'device') view.line(`${event.name}: ${event.status} as ${event.serial}`);
      },
    });
    await released;
    return url;
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
      verified: this.#verified ?? null,
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
