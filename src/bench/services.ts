// `can-ota bench --scenario services`: configuration, commands, telemetry and a small device, seen by an operator and on disk.

import { isFinal } from '../contract/command.ts';
import { type Clock, sleep, systemClock } from '../core/clock.ts';
import { pc } from '../core/colours.ts';
import type { Context } from '../core/context.ts';
import { CanOtaError } from '../core/errors.ts';
import { ExitCode } from '../core/exit-code.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { formatDuration } from '../core/units.ts';
import { type CommandReply, type NewCommand, OperatorBackend } from '../link/operator-backend.ts';
import { readIdentity, withSecrets } from '../onboard/vehicle-secrets.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { openBenchBus } from './bus.ts';
import { type Child, Children } from './children.ts';
import { inverterFacts } from './inverter-facts.ts';
import { openMeter } from './meter.ts';
import { openBenchScreen } from './screen.ts';
import { benchDevice, type DeviceFigures } from './services-device.ts';
import type { BenchView } from './view.ts';
import { BenchWorld, type BenchWorldOptions } from './world.ts';

interface ServicesReport {
  readonly outcome: 'SUCCESS' | 'FAILED';
  readonly config: {
    readonly accepted: readonly string[];
    readonly rejected: readonly { parameter: string; code: string; reason: string }[];
    /** Whether sending the same configuration again changed anything. */
    readonly repeated: { readonly changed: boolean };
  };
  readonly commands: readonly {
    readonly id: string;
    readonly what: string;
    readonly state: string;
    readonly runs: number;
    readonly code?: string;
    readonly nrc?: number;
    readonly reason?: string;
  }[];
  readonly telemetry: {
    /** Number of samples at the backend. */
    readonly sent: number;
    /** Number of samples that the vehicle stored and the backend does not have. */
    readonly lost: number;
    /** Number of samples that the backend has more than once. */
    readonly duplicates: number;
    /** Number of samples that the vehicle stored while the backend was away. */
    readonly keptWhileAway: number;
  };
  readonly device: DeviceFigures;
  /** Deviations from the expected result. */
  readonly mismatches: readonly string[];
  readonly seconds: number;
}

/** Longest wait for any event here: processes start slowly on a busy machine. */
const LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 200;
/** How long the backend is away: several readings, and more than one upload. */
const AWAY_MS = 8000;
const EXPIRES_S = 1;
/** Limit in the vehicle file of this bench, above that of the inverter: the inverter itself has to refuse. */
const ALLOWED_KW = 150;
const BEYOND_KW = 130;
const LIMIT_KW = 40;

class ServicesError extends CanOtaError {
  readonly code = 'SERVICES';
}

/** The bench vehicle, with a power limit that its file allows and its inverter does not. */
export function servicesVehicle(vehicle: Vehicle): Vehicle {
  return {
    ...vehicle,
    ecus: vehicle.ecus.map((ecu) => {
      const command = ecu.commands?.setPowerLimit;
      const power = command?.arguments.power;
      if (command === undefined || power === undefined || !('max' in power)) return ecu;
      const wider = { ...command, arguments: { power: { ...power, max: ALLOWED_KW } } };
      return { ...ecu, commands: { ...ecu.commands, setPowerLimit: wider } };
    }),
  };
}

export async function runServicesBench(
  options: BenchWorldOptions,
  context: Context,
  vehicle: Vehicle,
  folder: string,
): Promise<ExitCode> {
  const startMs = systemClock.nowMs();
  await using opened = await openBenchBus(options, context);
  const meter = await openMeter(opened.bus, vehicle);
  const screen = openBenchScreen(options.approve, context.json, meter);
  const { view, driver } = screen;
  const ending = new AbortController();
  let working: Promise<unknown> | undefined;
  try {
    view.line(`services bench on ${opened.why}`);
    await using children = new Children();
    const aborted = new Promise<never>((_, reject) => {
      const stop = (): void => reject(context.signal.reason);
      if (context.signal.aborted) stop();
      context.signal.addEventListener('abort', stop, { once: true });
    });
    aborted.catch(() => {});
    const signal = AbortSignal.any([context.signal, ending.signal]);
    const { bus } = opened;
    const parts = { options, context, vehicle, folder, bus, children, view, driver, signal };
    const work = new ServicesBench(new BenchWorld(parts), parts).run(startMs);
    working = work;
    const report = await Promise.race([work, children.failure, aborted]);
    screen.close();
    tell(report, context);
    return report.outcome === 'SUCCESS' ? ExitCode.success : ExitCode.internal;
  } finally {
    ending.abort('the bench ends');
    await working?.catch(() => {});
    meter.close();
    screen.close();
  }
}

type Parts = ConstructorParameters<typeof BenchWorld>[0];

class ServicesBench {
  readonly #world: BenchWorld;
  readonly #parts: Parts;
  readonly #view: BenchView;
  readonly #clock: Clock = systemClock;
  readonly #mismatches: string[] = [];
  #url = '';
  #operator!: OperatorBackend;
  #server!: Child;
  #tmu!: Child;
  /** Samples that the vehicle has stored, and uploads that wait. */
  #kept = 0;
  #waiting = 0;

  constructor(world: BenchWorld, parts: Parts) {
    this.#world = world;
    this.#parts = parts;
    this.#view = parts.view;
  }

  async run(startMs: number): Promise<ServicesReport> {
    const { vehicle, signal, children, folder } = this.#parts;
    const { vin } = vehicle;
    const nothing = { images: [], encrypted: new Set<string>() };
    const prepared = await this.#world.prepare(nothing, { mayEnd: true });
    this.#url = prepared.url;
    this.#server = prepared.server;
    this.#operator = await OperatorBackend.logIn(
      { url: this.#url, clock: this.#clock, signal },
      { kind: 'token', token: prepared.tokens.operator },
    );
    await this.#startTmu();
    await this.#until('the vehicle tells what its ECUs can do', async () => {
      return (await this.#operator.catalogue(vin).catch(() => undefined)) !== undefined;
    });
    const config = await this.#configure(vin);
    const commands = await this.#command(vin);
    const keptWhileAway = await this.#loseBackend();
    commands.push(await this.#expire(vin));
    const limited = await this.#order(vin, 'beyond the configured limit', power(LIMIT_KW + 10));
    commands.push(limited);
    this.#expect(limited.code === 'LIMIT', `the configured limit was not kept: ${text(limited)}`);
    const telemetry = { ...(await this.#telemetry(vin)), keptWhileAway };
    await this.#stop(this.#tmu);
    await this.#lookAtInverter(commands);
    const { tokens } = prepared;
    const device = await benchDevice({
      children,
      folder,
      url: this.#url,
      tokens,
      view: this.#view,
    });
    for (const problem of device.problems) this.#mismatches.push(problem);
    return {
      outcome: this.#mismatches.length === 0 ? 'SUCCESS' : 'FAILED',
      config,
      commands: commands.map(({ what, reply }) => ({
        id: reply.id,
        what,
        state: reply.state,
        runs: reply.runs,
        ...defined({ code: reply.code, nrc: reply.nrc, reason: reply.reason }),
      })),
      telemetry,
      device: device.figures,
      mismatches: this.#mismatches,
      seconds: Math.round((this.#clock.nowMs() - startMs) / 10) / 100,
    };
  }

  async #configure(vin: string): Promise<ServicesReport['config']> {
    const valid = {
      pollInterval: 1,
      uploadInterval: 5,
      dids: ['INV.FD40', 'INV.FD41', 'BMS.FD50'],
    };
    await this.#set(vin, valid);
    const partly = {
      ...valid,
      pollInterval: 2,
      uploadInterval: 1,
      dids: [...valid.dids, 'XYZ.FD40'],
      limits: { INV: { 'setPowerLimit.power': { max: LIMIT_KW } } },
      approval: { install: 'none' },
      volume: 11,
    };
    const reported = await this.#set(vin, partly);
    const accepted = reported.filter(({ status }) => status === 'accepted');
    const rejected = reported.flatMap((result) =>
      result.status === 'rejected'
        ? [{ parameter: result.parameter, code: result.code, reason: result.reason }]
        : [],
    );
    // The same configuration again: the refused parameters are refused again, and nothing else changes.
    const before = await this.#operator.configuration(vin);
    const again = await this.#operator.configure(vin, {
      parameters: partly,
      expected: before.wanted?.version ?? 0,
    });
    this.#expect(!again.changed, 'the same configuration made another version');
    this.#expect(rejected.length === 4, `${rejected.length} parameters were refused in place of 4`);
    this.#view.line(
      `configuration: ${accepted.map(({ parameter }) => parameter).join(', ')} accepted, ` +
        `${rejected.map(({ parameter, code }) => `${parameter} refused (${code})`).join(', ')}`,
    );
    return {
      accepted: accepted.map(({ parameter }) => parameter),
      rejected,
      repeated: { changed: again.changed },
    };
  }

  /** Resolves with the results that the vehicle reports. */
  async #set(vin: string, parameters: Readonly<Record<string, unknown>>) {
    const before = await this.#operator.configuration(vin);
    const expected = before.wanted?.version ?? 0;
    const { version } = await this.#operator.configure(vin, { parameters, expected });
    let results: NonNullable<NonNullable<typeof before.reported>['report']>['results'] = [];
    await this.#until(`the vehicle reports configuration ${version}`, async () => {
      const { reported } = await this.#operator.configuration(vin);
      if (reported?.version !== version || reported.report === undefined) return false;
      results = reported.report.results;
      return true;
    });
    return results;
  }

  async #command(vin: string): Promise<Ordered[]> {
    const good = await this.#order(vin, 'a power limit', power(LIMIT_KW - 15));
    this.#expect(good.reply.state === 'completed', `the power limit: ${text(good)}`);
    const calibrate = { ecu: 'INV', action: 'calibrate', arguments: {}, priority: 7 } as const;
    const twice = { ...calibrate, key: `calibrate-${crypto.randomUUID()}` };
    const first = await this.#operator.order(vin, twice);
    const second = await this.#operator.order(vin, twice);
    this.#expect(first.id === second.id, 'the same command twice became two commands');
    const once = await this.#final(vin, 'a calibration, sent twice', first);
    this.#expect(once.reply.state === 'completed', `the calibration: ${text(once)}`);
    // Without the limit of the configuration the inverter itself has to refuse what its hardware cannot do.
    const { wanted } = await this.#operator.configuration(vin);
    const { parameters } = present(wanted, `the wanted configuration of ${vin}`);
    const { limits: _, ...without } = parameters as Record<string, unknown>;
    await this.#set(vin, without);
    const refused = await this.#order(vin, 'more than the hardware can do', power(BEYOND_KW));
    this.#expect(refused.reply.nrc === 0x31, `beyond the hardware: ${text(refused)}`);
    await this.#set(vin, parameters);
    return [good, once, refused];
  }

  /** The vehicle continues to measure while the backend is away. */
  async #loseBackend(): Promise<number> {
    const before = this.#kept;
    const port = Number(new URL(this.#url).port);
    await this.#stop(this.#server);
    this.#view.line(`the backend is away for ${formatDuration(AWAY_MS)}`);
    await this.#pause(AWAY_MS);
    const kept = this.#kept - before;
    this.#expect(kept > 0, 'the vehicle kept nothing while the backend was away');
    this.#server = this.#world.startServer(port, { mayEnd: true });
    await this.#server.ready();
    return kept;
  }

  /** The TMU is off until the command has expired. */
  async #expire(vin: string): Promise<Ordered> {
    await this.#stop(this.#tmu);
    const ordered = await this.#operator.order(vin, {
      ...{ ecu: 'INV', action: 'calibrate', arguments: {}, priority: 5 },
      key: `expires-${crypto.randomUUID()}`,
      expiresInS: EXPIRES_S,
    });
    await this.#pause(EXPIRES_S * 1000 + 500);
    await this.#startTmu();
    const expired = await this.#final(vin, 'a command that expired', ordered);
    this.#expect(expired.reply.state === 'expired', `the late command: ${text(expired)}`);
    return expired;
  }

  async #telemetry(vin: string): Promise<Omit<ServicesReport['telemetry'], 'keptWhileAway'>> {
    const MOST = 20_000;
    let found = await this.#operator.telemetry(vin, { limit: MOST });
    await this.#until('all that was measured is at the backend', async () => {
      if (this.#waiting > 0) return false;
      found = await this.#operator.telemetry(vin, { limit: MOST });
      return found.samples.length >= this.#kept;
    }).catch(() => {}); // missing samples are counted below
    const distinct = new Set(found.samples.map(({ did, at }) => `${did} ${at}`)).size;
    const figures = {
      sent: found.samples.length,
      lost: Math.max(0, this.#kept - distinct) + found.counts.lost + found.counts.dropped,
      duplicates: found.samples.length - distinct,
    };
    this.#expect(figures.sent > 0, 'nothing was measured');
    this.#expect(figures.lost === 0, `${figures.lost} samples are lost`);
    this.#expect(figures.duplicates === 0, `${figures.duplicates} samples came twice`);
    this.#view.line(`telemetry: ${figures.sent} samples at the backend, none lost, none twice`);
    return figures;
  }

  /** Compares the reports with the real state of the inverter. */
  async #lookAtInverter(commands: readonly Ordered[]): Promise<void> {
    const { bus, vehicle, context } = this.#parts;
    // The inverter's run counter is protected by SecurityAccess.
    const identity = await readIdentity(`${this.#world.stateDir}/identity.json`, '--data');
    const truth = await inverterFacts(bus, withSecrets(vehicle, identity, false), context);
    const calibrations = commands.filter(({ reply }) => reply.action === 'calibrate');
    const told = calibrations.reduce((sum, { reply }) => sum + reply.runs, 0);
    this.#expect(
      truth.calibrations === told,
      `the inverter was calibrated ${truth.calibrations} times, the commands say ${told}`,
    );
    this.#expect(
      truth.powerLimitKw === LIMIT_KW - 15,
      `the inverter is limited to ${truth.powerLimitKw} kW, ordered were ${LIMIT_KW - 15}`,
    );
  }

  async #order(
    vin: string,
    what: string,
    command: Omit<NewCommand, 'key'>,
  ): Promise<Ordered & { readonly code: string | undefined }> {
    const key = `bench-${crypto.randomUUID()}`;
    const ordered = await this.#operator.order(vin, { ...command, key });
    const final = await this.#final(vin, what, ordered);
    return { ...final, code: final.reply.code };
  }

  async #final(vin: string, what: string, { id }: CommandReply): Promise<Ordered> {
    let reply = await this.#operator.command(vin, id);
    await this.#until(`${what} ends`, async () => {
      reply = await this.#operator.command(vin, id);
      return isFinal(reply.state);
    });
    const ordered = { what, reply };
    this.#view.line(`command: ${what}: ${text(ordered)}`);
    return ordered;
  }

  async #startTmu(): Promise<void> {
    this.#tmu = this.#world.startTmu(this.#url, ['--poll', '30', '--sync', '1'], {
      mayEnd: true,
      onLine: (line) => {
        const event = JSON.parse(line) as TmuEvent | { error: unknown };
        if ('error' in event) return;
        if (event.kind === 'telemetry') {
          this.#waiting = event.waiting;
          if (event.status === 'stored') this.#kept += event.samples;
        }
        this.#view.tmu(event);
        this.#parts.context.emit(event);
      },
    });
    await this.#tmu.ready();
  }

  async #stop(child: Child): Promise<void> {
    child.process.kill('SIGTERM');
    await child.exited;
  }

  #expect(holds: boolean, problem: string): void {
    if (!holds) this.#mismatches.push(problem);
  }

  async #pause(ms: number): Promise<void> {
    const end = await sleep(this.#clock, 'bench', ms, this.#parts.signal);
    if (end === 'aborted') throw this.#parts.signal.reason;
  }

  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const endMs = this.#clock.nowMs() + LIMIT_MS;
    while (!(await holds())) {
      if (this.#clock.nowMs() > endMs) {
        throw new ServicesError(`waited ${formatDuration(LIMIT_MS)} without success: ${what}`);
      }
      await this.#pause(LOOK_EVERY_MS);
    }
  }
}

interface Ordered {
  readonly what: string;
  readonly reply: CommandReply;
}

function power(kw: number): Omit<NewCommand, 'key'> {
  return { ecu: 'INV', action: 'setPowerLimit', arguments: { power: kw }, priority: 5 };
}

function text({ reply }: { readonly reply: CommandReply }): string {
  const why = reply.reason ?? reply.result;
  return `${reply.state}${why === undefined ? '' : `: ${why}`}`;
}

function tell(report: ServicesReport, context: Context): void {
  const { outcome, device, seconds, mismatches } = report;
  const colour = outcome === 'SUCCESS' ? pc.green : pc.red;
  context.say(
    `device: ${device.from} -> ${device.to} in ${device.chunks} chunks, ${device.resumed ? 'killed once and resumed' : 'never resumed'}, ` +
      `working memory ${device.peakBytes} bytes`,
  );
  for (const problem of mismatches) context.say(pc.red(problem));
  context.say(`${colour(outcome)} in ${formatDuration(seconds * 1000)}`);
  context.emit(report);
}
