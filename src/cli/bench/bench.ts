// `can-ota bench`: a whole vehicle and its backend as processes on one bus, one update from end to end.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openBenchBus } from '../../bench/bus.ts';
import { Children } from '../../bench/children.ts';
import { flashFault } from '../../bench/compare-flash.ts';
import type { ReleaseImage } from '../../bench/factory.ts';
import { checkEncrypted, chooseImages } from '../../bench/images.ts';
import { type FrameMeter, limitOf, openMeter } from '../../bench/meter.ts';
import { type BenchScreen, openBenchScreen } from '../../bench/screen.ts';
import { runServicesBench, servicesVehicle } from '../../bench/services.ts';
import { type BenchRow, benchTable } from '../../bench/table.ts';
import { BenchWorld } from '../../bench/world.ts';
import { outcomeExitCode } from '../../campaign/outcome.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { present } from '../../core/present.ts';
import { DiskStorage } from '../../core/storage.ts';
import { formatDuration } from '../../core/units.ts';
import { writeBenchVehicle } from '../../onboard/bench-vehicle.ts';
import type { BusOptions, OwnedBus } from '../../onboard/bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import type { TmuEvent } from '../../tmu/tmu-event.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { requireDriver } from '../driver-present.ts';

interface BenchOptions extends CommonOptions, BusOptions {
  readonly vehicle?: string;
  readonly approve: 'ask' | 'yes' | 'no';
  readonly image: readonly ReleaseImage[];
  readonly data?: string;
  readonly approvalTimeout: number;
  readonly encrypt: readonly string[];
  readonly scenario: 'update' | 'services';
  readonly transport: 'http' | 'chunked';
}

type Verified = Pick<Extract<TmuEvent, { kind: 'verified' }>, 'director' | 'images'>;
type Outcome = Extract<TmuEvent, { kind: 'outcome' }>;

export function bench(options: BenchOptions): Promise<void> {
  return runCommand(options, async (context) => {
    await requireDriver(options.approve);
    const described = await loadVehicle(options.vehicle, false);
    const images = await chooseImages(options.image, described);
    checkEncrypted(options.encrypt, images);
    const folder = options.data ?? (await mkdtemp(path.join(tmpdir(), 'can-ota-bench-')));
    const data = await DiskStorage.openOwn(folder); // creates the folder, and fails early where nothing can be written
    try {
      const services = options.scenario === 'services';
      const vehicleFile = await writeBenchVehicle(
        data,
        services ? servicesVehicle(described) : described,
      );
      const vehicle = await loadVehicle(vehicleFile, options.fd === true);
      const setting = { ...options, vehicle: vehicleFile };
      if (services) return await runServicesBench(setting, context, vehicle, data.location);
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
    // Opened first: this process runs the broker of a local bus and outlives all other processes.
    await using opened = await openBenchBus(this.#options, this.#context);
    const meter = await openMeter(opened.bus, this.#vehicle);
    const screen = openBenchScreen(this.#options.approve, this.#context.json, meter);
    const ending = new AbortController();
    let cycle: Promise<unknown> | undefined;
    try {
      screen.view.line(`bench on ${opened.why}`);
      await using children = new Children();
      const aborted = new Promise<never>((_, reject) => {
        const stop = (): void => reject(this.#context.signal.reason);
        if (this.#context.signal.aborted) stop();
        this.#context.signal.addEventListener('abort', stop, { once: true });
      });
      aborted.catch(() => {});
      const signal = AbortSignal.any([this.#context.signal, ending.signal]);
      const running = this.#cycle(children, opened, screen, signal);
      cycle = running;
      const outcome = await Promise.race([running, children.failure, aborted]);
      screen.close();
      return await this.#report(outcome, opened, meter, (systemClock.nowMs() - startMs) / 1000);
    } finally {
      // Preparations that still run must not write into a folder that is being removed.
      ending.abort('the bench ends');
      await cycle?.catch(() => {});
      meter.close();
      screen.close();
    }
  }

  /** Everything up to the outcome that the TMU reports. */
  async #cycle(
    children: Children,
    { bus }: OwnedBus,
    { view, driver }: BenchScreen,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const world = new BenchWorld({
      ...{ options: this.#options, context: this.#context, vehicle: this.#vehicle },
      ...{ folder: this.#folder, bus, children, view, driver, signal },
    });
    const { url } = await world.prepare({
      images: this.#images,
      encrypted: new Set(this.#options.encrypt),
    });
    let outcome: Outcome | undefined;
    const tmu = world.startTmu(url, ['--once'], {
      mayEnd: true,
      onLine: (line) => {
        const event = JSON.parse(line) as TmuEvent | { error: { message: string } };
        if ('error' in event) return;
        if (event.kind === 'outcome') outcome = event;
        if (event.kind === 'verified') {
          const { director, images } = event;
          this.#verified = { director, images };
        }
        view.tmu(event);
        this.#context.emit(event);
      },
    });
    // Waits for the end of the TMU: it still contacts the backend after the outcome, and the bench's report comes last.
    const exit = await tmu.exited;
    if (outcome === undefined) throw tmu.failure(exit);
    return outcome;
  }

  async #report(
    outcome: Outcome,
    { bus }: OwnedBus,
    meter: FrameMeter,
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
          comparedText(rows.filter(({ sha256 }) => sha256 === null).map(({ name }) => name)),
        );
      }
    }
    if (mismatch !== undefined) process.stderr.write(`can-ota: ${mismatch}\n`);
    this.#context.emit({
      outcome: outcome.outcome,
      ...defined({ reason: outcome.reason }),
      bus: { kind: bus.kind, name: bus.name },
      seconds: round(seconds),
      frames: meter.frames,
      ecus: rows.map((row) => ({
        ...row,
        seconds: round(row.seconds),
        limitShare: round(row.limitShare),
      })),
      verified: this.#verified ?? null,
      ...defined({ mismatch }),
    });
    return mismatch === undefined ? outcomeExitCode(outcome.outcome) : ExitCode.internal;
  }

  /** Compares the flash on the disk with the ECU's report and with the release. */
  async #compareFlash(rows: readonly BenchRow[]): Promise<string | undefined> {
    for (const { name, sha256 } of rows) {
      const image = this.#images.find(({ ecu }) => ecu === name);
      const fault = await flashFault({
        ...{ ecu: findEcu(this.#vehicle, name), sha256 },
        file: present(image, `the image of ${name}`).file,
        folder: path.join(this.#folder, name.toLowerCase()),
      });
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
}

function comparedText(untold: readonly string[]): string {
  return untold.length === 0
    ? 'Every flash file has the SHA-256 that its ECU computed and that was released.'
    : `Every flash file holds what was released; ${untold.join(', ')} cannot tell a SHA-256 over the bus.`;
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
