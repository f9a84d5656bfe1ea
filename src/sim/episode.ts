// One episode: a new world and its campaigns with faults, each followed by one without, and everything that was observed.

import { createHash, type Hash } from 'node:crypto';
import { formatLogEntry } from '../bus/candump-log.ts';
import { describeError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { itemAt, present } from '../core/present.ts';
import type { DeviceEvent } from '../device/device-event.ts';
import type { SessionChoice } from '../onboard/tmu-on-bus.ts';
import { SUITES } from '../trust/sealed-session.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { type FaultCategory, moduleOf } from './faults/catalogue.ts';
import { allOn, Injector } from './injector.ts';
import { isMadeGood } from './invariants/words.ts';
import { type CampaignEnding, Invariants, type Violation } from './invariants.ts';
import type { MachineEvent } from './machine.ts';
import {
  ECU_NAMES,
  type EcuName,
  fittedEcus,
  fittedMachines,
  MACHINE_NAMES,
  type MachineName,
  OTHER_MAKE,
} from './machine-names.ts';
import { Observer } from './observer.ts';
import type { Sabotage } from './sabotage.ts';
import type { CampaignPlan, EpisodePlan } from './scenario.ts';
import { seededRandom } from './seeded-random.ts';
import { ServicesView } from './services-facts.ts';
import type { SimulatedVehicle } from './simulated-vehicle.ts';
import { NOT_FITTED, type VehicleContents } from './vehicle-contents.ts';
import { createWorld, type SimulatedWorld, type WorldEvent } from './world.ts';

export interface EpisodeResult {
  /** Ends of the campaigns with faults that finished, vehicle by vehicle. */
  readonly endings: readonly CampaignEnding[];
  readonly proofs: number;
  readonly violations: readonly Violation[];
  readonly virtualMs: number;
  readonly frames: number;
  /** Digest of all events, frames and reports. */
  readonly digest: string;
  /** How many faults happened, by category. */
  readonly faults: Readonly<Partial<Record<FaultCategory, number>>>;
  /** Operations on each disk, and frames, in the first campaign of the first vehicle. */
  readonly first?: {
    readonly writes: Readonly<Record<MachineName, number>>;
    readonly frames: number;
  };
}

/** Rejects for an unexpected error, which is a violation, too. */
export type RunEpisode = (plan: EpisodePlan) => Promise<EpisodeResult>;

export interface EpisodeOptions {
  readonly imageBytes: number;
  readonly sabotage: Sabotage | undefined;
  /** Longest virtual time of one campaign. */
  readonly limitMs?: number;
  /** Gets each frame of the first vehicle as a line of a candump log. */
  readonly trace?: ((line: string) => void) | undefined;
}

/** Limit for one campaign; it covers the pauses, the trials and the longest poll interval many times. */
const CAMPAIGN_LIMIT_MS = 6 * 3_600_000;
/**
 * Limit for normal traffic to resume: a diagnostic session, and with it the silence on the bus, ends by
 * itself after 5 s.
 */
const TRAFFIC_LIMIT_MS = 15_000;
/** Wait for an attacker's last request: the ECU executes it up to N_Bs later, after an answer without flow control. */
const LEFTOVER_MS = 2000;
/** Chunk size of a chunked download: an image of 16 KiB has several chunks. */
const CHUNK_BYTES = 1024;
/** Grace time after an approval ends: requests sent before that was known may still arrive. */
const WITHDRAWAL_GRACE_MS = 5000;

export function createEpisodeRunner(options: EpisodeOptions): RunEpisode {
  return async (plan) => {
    const episode = new Episode(plan, options);
    const onRejection = (error: unknown): void => episode.crashed(error);
    process.on('unhandledRejection', onRejection);
    try {
      return await episode.run();
    } finally {
      process.off('unhandledRejection', onRejection);
    }
  };
}

/** One vehicle of the world with its observers. */
interface Lane {
  readonly vehicle: SimulatedVehicle;
  readonly invariants: Invariants;
  readonly observer: Observer;
  readonly services: ServicesView;
  injector: Injector | undefined;
  /** Contents of the ECUs when the campaign began. */
  before: VehicleContents | undefined;
}

class Episode {
  readonly #plan: EpisodePlan;
  readonly #options: EpisodeOptions;
  readonly #digest: Hash = createHash('sha256');
  readonly #released: Record<EcuName, Map<string, string>>;
  readonly #wanted: Record<EcuName, string>;
  readonly #factory: Partial<Record<EcuName, string>> = {};
  readonly #endings: CampaignEnding[] = [];
  readonly #faults: Partial<Record<FaultCategory, number>> = {};
  #world!: SimulatedWorld;
  #lanes: readonly Lane[] = [];
  #proofs = 0;
  #first: EpisodeResult['first'];
  #crash: Violation | undefined;
  #campaign = 0;

  constructor(plan: EpisodePlan, options: EpisodeOptions) {
    this.#plan = plan;
    this.#options = options;
    const perEcu = <T>(make: () => T) =>
      Object.fromEntries(ECU_NAMES.map((ecu) => [ecu, make()])) as Record<EcuName, T>;
    this.#released = perEcu(() => new Map<string, string>());
    this.#wanted = perEcu(() => NOT_FITTED.sha256);
  }

  get #firstLane(): Lane {
    return itemAt(this.#lanes, 0);
  }

  get #limitMs(): number {
    return this.#options.limitMs ?? CAMPAIGN_LIMIT_MS;
  }

  crashed(error: unknown): void {
    const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
    this.#crash ??= {
      invariant: 'crash',
      campaign: this.#campaign,
      atMs: this.#world === undefined ? 0 : this.#world.clock.nowMs(),
      text: `${describeError(error)} ${where}`.trim(),
    };
  }

  async run(): Promise<EpisodeResult> {
    const { imageBytes, sabotage } = this.#options;
    const { seed, episode, vehicles, singleBank, chunked, otherMake, smallDevice } = this.#plan;
    this.#world = await createWorld({
      seed,
      vehicles,
      imageBytes,
      chunkBytes: chunked ? CHUNK_BYTES : undefined,
      session: sessionOf(episode),
      otherMake: otherMake ?? undefined,
      smallDevice,
      vehicle: (vehicle) => {
        const changed = withSingleBanks(vehicle, singleBank);
        return sabotage?.vehicle?.(changed) ?? changed;
      },
      ...defined({ sabotage: sabotage?.world() }),
    });
    try {
      this.#lanes = this.#world.vehicles.map((vehicle, index) => this.#lane(vehicle, index));
      for (const ecu of fittedEcus(itemAt(this.#world.vehicles, 0))) {
        const { image, version } = this.#world.factoryImage(ecu);
        const sha256 = createHash('sha256').update(image).digest('hex');
        this.#factory[ecu] = sha256;
        this.#wants(ecu, sha256, version);
      }
      this.#world.on((event) => this.#onEvent(event));
      for (const campaign of this.#plan.campaigns) {
        await this.#play(campaign);
        if (this.#violations().length > 0) break;
      }
    } catch (error) {
      this.crashed(error);
    }
    const result = this.#result();
    this.#world.close();
    return result;
  }

  #lane(vehicle: SimulatedVehicle, index: number): Lane {
    const { clock, server } = this.#world;
    const released = () => this.#released;
    const invariants = new Invariants({
      released,
      withdrawalGraceMs: WITHDRAWAL_GRACE_MS,
      approvalNeeded: true,
    });
    const nowMs = (): number => clock.nowMs();
    const observer = new Observer({ vehicle, server, invariants, nowMs, released });
    const services = new ServicesView(vehicle, server);
    const lane: Lane = {
      ...{ vehicle, invariants, observer, services },
      injector: undefined,
      before: undefined,
    };
    const { trace } = this.#options;
    vehicle.wire.filter = (frame, from) => lane.injector?.onFrame(frame, from) ?? 'pass';
    vehicle.wire.trace = ({ frame, from, atMs }) => {
      observer.onFrame(frame, from);
      vehicle.eavesdropper.hear(frame, from);
      if (trace !== undefined && index === 0) {
        const wallMs = clock.wallMs() - clock.nowMs() + atMs;
        trace(formatLogEntry({ wallMs, interfaceName: 'sim0', frame }));
      }
    };
    for (const name of fittedMachines(vehicle)) {
      vehicle.machine(name).disk.onOperation = (_n, operation, moment) => {
        if (moment === 'after' && name !== TMU_NAME && name !== OTHER_MAKE)
          observer.onWritten(name, operation.name);
        lane.injector?.onOperation(name, operation, moment);
      };
    }
    return lane;
  }

  async #play(campaign: CampaignPlan): Promise<void> {
    this.#campaign = campaign.number;
    await this.#step(campaign, false);
    if (this.#violations().length > 0) return;
    // Stranded ECUs need a release of their own; nothing else ends the mixed state.
    const stranded = this.#lanes.flatMap((lane) => this.#stranded(lane));
    const proof = ECU_NAMES.filter((ecu) => campaign.proof.includes(ecu) || stranded.includes(ecu));
    await this.#step({ ...campaign, ecus: proof, faults: [] }, true);
  }

  async #step(campaign: CampaignPlan, proof: boolean): Promise<void> {
    const world = this.#world;
    for (const [index, lane] of this.#lanes.entries()) {
      lane.injector = new Injector({
        vehicle: lane.vehicle,
        server: world.server,
        smallDevice: index === 0 ? world.smallDevice : undefined,
        clock: world.clock,
        random: seededRandom(`${this.#plan.seed}/${campaign.number}/${proof}/${index}/faults`),
        faults: campaign.faults
          .filter(({ vehicle }) => vehicle === index)
          .map(({ fault }) => fault),
        onFired: (category) => {
          this.#faults[category] = (this.#faults[category] ?? 0) + 1;
        },
      });
    }
    const { forced, encrypted: encrypt } = campaign;
    const images = await world.release(
      // An image cannot be encrypted for an ECU of another make: it has no key.
      campaign.ecus.map((ecu) => ({ ecu, forced, encrypt: encrypt && ecu !== OTHER_MAKE })),
    );
    for (const { ecu, sha256, version } of images) this.#wants(ecu as EcuName, sha256, version);
    if (!proof) await world.releaseForDevice();
    for (const lane of this.#lanes) {
      const { observer } = lane;
      lane.before = observer.contents();
      const faults = campaign.faults.filter(({ vehicle }) => this.#lanes[vehicle] === lane);
      const onlyTime =
        faults.length > 0 && faults.every(({ fault }) => moduleOf(fault).onlyTime === true);
      const wanted = { ...this.#wanted };
      observer.start({ campaign: campaign.number, proof, forced, onlyTime, wanted });
    }
    const ended = await this.#untilAtRest();
    this.#first ??= this.#counts();
    for (const lane of this.#lanes) lane.injector?.end();
    if (ended && campaign.faults.some(({ fault }) => fault.category === 'attacker')) {
      await world.until(() => this.#crash !== undefined, LEFTOVER_MS);
    }
    const rested = ended && (await this.#untilSettled());
    if (this.#crash !== undefined) return;
    if (!rested) {
      for (const lane of this.#lanes.filter((one) => !isAtRest(one))) {
        lane.observer.failed('stuck', whyNotAtRest(lane));
      }
      if (!this.#deviceRests) {
        this.#firstLane.observer.failed('stuck', 'the small device has not come to its release');
      }
      return;
    }
    this.#firstLane.observer.backendRests(world.server.lost(world.releases));
    this.#firstLane.observer.deviceRests(world.smallDevice);
    for (const { observer, services, invariants } of this.#lanes) {
      observer.rest();
      observer.services(services.facts());
      if (proof) this.#proofs++;
      else if (invariants.ending !== undefined) this.#endings.push(invariants.ending);
    }
    if (!proof && this.#violations().length === 0) await this.#recover();
  }

  /**
   * At rest and with normal traffic. Work that a vehicle has put off may begin in any of these waits; it ends before the
   * invariants are checked.
   */
  async #untilSettled(): Promise<boolean> {
    for (;;) {
      if (!(await this.#untilAtRest()) || this.#crash !== undefined) return false;
      for (const { observer } of this.#lanes) observer.listenForTraffic();
      await this.#world.until(
        () => this.#lanes.every((lane) => lane.observer.hasTraffic && isAtRest(lane)),
        TRAFFIC_LIMIT_MS,
      );
      if (this.#lanes.every(isAtRest)) return true;
    }
  }

  #untilAtRest(): Promise<boolean> {
    return this.#world.until(
      () => this.#crash !== undefined || (this.#lanes.every(isAtRest) && this.#deviceRests),
      this.#limitMs,
    );
  }

  get #deviceRests(): boolean {
    return this.#world.smallDevice?.atRest ?? true;
  }

  #onDevice(event: DeviceEvent | MachineEvent): void {
    const { observer } = this.#firstLane;
    if (event.kind === 'program-ended') {
      observer.failed('crash', `the small device ended: ${event.reason}`);
    }
    observer.onDevice(event, this.#world.smallDevice?.held?.version);
  }

  /**
   * Waits for recovery, which is tried again with growing pauses. A campaign in between would hide whether
   * recovery works by itself.
   */
  async #recover(): Promise<void> {
    const waiting = this.#lanes.filter(({ observer }) => observer.needsRecovery);
    if (waiting.length === 0) return;
    await this.#world.until(
      () => this.#crash !== undefined || waiting.every((lane) => this.#hasRecovered(lane)),
      this.#limitMs,
    );
    if (this.#crash !== undefined) return;
    for (const lane of waiting) {
      const { observer } = lane;
      if (!this.#hasRecovered(lane)) {
        observer.failed('recovery', 'what was left to do is still not done after hours');
      } else if (this.#stranded(lane).length === 0) {
        observer.recovered();
      }
    }
  }

  /** Whether all ECUs that are not stranded run their old software again. */
  #hasRecovered(lane: Lane): boolean {
    const { observer, before } = lane;
    const stranded = this.#stranded(lane);
    if (stranded.length === 0) return observer.hasRecovered;
    const contents = observer.contents();
    const others = ECU_NAMES.filter((ecu) => !stranded.includes(ecu));
    const old = present(before, 'the contents before the campaign');
    const areBack = others.every(
      (ecu) => contents[ecu].sha256 === old[ecu].sha256 && isMadeGood(contents[ecu]),
    );
    return areBack && isAtRest(lane);
  }

  /**
   * ECUs with one bank that cannot be rolled back: the TMU never had their factory image, so only a release for
   * them ends the declared mixed state.
   */
  #stranded({ observer, before }: Lane): readonly EcuName[] {
    if (!observer.isMixed) return [];
    const contents = observer.contents();
    const { singleBank, otherMake } = this.#plan;
    const oneBank = otherMake === null ? singleBank : [...singleBank, OTHER_MAKE];
    return ECU_NAMES.filter((ecu) => oneBank.includes(ecu)).filter((ecu) => {
      const old = present(before, 'the contents before the campaign')[ecu].sha256;
      return old === this.#factory[ecu] && contents[ecu].sha256 !== old;
    });
  }

  #onEvent({ vehicle, machine, event, atMs }: WorldEvent): void {
    this.#digest.update(`${atMs} ${vehicle} ${machine} ${JSON.stringify(event)}\n`);
    if (event.from === 'small-device') {
      this.#onDevice(event.device);
      return;
    }
    const lane = present(
      this.#lanes.find((one) => one.vehicle.vin === vehicle),
      `the lane of ${vehicle}`,
    );
    const { observer, injector } = lane;
    switch (event.from) {
      case 'tmu':
        if (event.tmu.kind === 'state') injector?.onState(event.tmu.state);
        if (event.tmu.kind === 'command' && event.tmu.state === 'executing') injector?.onCommand();
        observer.onTmu(event.tmu);
        break;
      case 'driver':
        observer.onDriver(event.deed);
        break;
      case 'ecu': {
        const name = machine as EcuName;
        const { ecu } = event;
        if (ecu.kind === 'reset') injector?.onMoment('reset', name);
        if (ecu.kind === 'boot-failed') injector?.onMoment('boot-failed', name);
        if (ecu.kind === 'boot' && ecu.mode === 'trial') injector?.onMoment('trial-boot', name);
        observer.onEcu(name, ecu);
        break;
      }
      case 'plain-ecu':
        observer.onPlainEcu(event.plain);
        break;
      case 'machine':
        if (machine === TMU_NAME && event.machine.kind === 'power-on') observer.onTmuStart();
        if (event.machine.kind === 'program-ended') {
          const allowed = injector?.onProgramEnded(machine) ?? false;
          if (!allowed) observer.failed('crash', `${machine} ended: ${event.machine.reason}`);
        }
        break;
    }
  }

  #wants(ecu: EcuName, sha256: string, version: string): void {
    this.#released[ecu].set(sha256, version);
    this.#wanted[ecu] = sha256;
  }

  #counts(): EpisodeResult['first'] {
    const injector = this.#lanes[0]?.injector;
    if (injector === undefined) return undefined;
    const writes = Object.fromEntries(
      MACHINE_NAMES.map((name) => [name, injector.writesOf(name)]),
    ) as Record<MachineName, number>;
    return { writes, frames: injector.frames };
  }

  #violations(): readonly Violation[] {
    const seen = this.#lanes.flatMap(({ invariants }) => invariants.violations);
    return this.#crash === undefined ? seen : [...seen, this.#crash];
  }

  #result(): EpisodeResult {
    for (const { vehicle } of this.#lanes) {
      this.#digest.update(`${vehicle.vin} ${vehicle.wire.digest()}\n`);
      const rows = this.#world.server.reports(vehicle.vin).map(({ id: _id, ...row }) => row);
      this.#digest.update(JSON.stringify(rows));
    }
    return {
      endings: this.#endings,
      proofs: this.#proofs,
      violations: this.#violations(),
      virtualMs: this.#world.clock.nowMs(),
      frames: this.#lanes.reduce((sum, { vehicle }) => sum + vehicle.wire.frames, 0),
      digest: this.#digest.copy().digest('hex'),
      faults: this.#faults,
      ...defined({ first: this.#first }),
    };
  }
}

/** Each episode uses another session, so that all of them are tested. */
function sessionOf(episode: number): SessionChoice {
  return {
    proof: episode % 2 === 0 ? 'shared-key' : 'key-pair',
    suite: itemAt(SUITES, Math.floor(episode / 2) % SUITES.length),
  };
}

const TMU_NAME = 'TMU';

function isAtRest({ vehicle, observer, services, injector }: Lane): boolean {
  const quiet = injector?.quiet ?? true;
  return quiet && observer.atRest && allOn(vehicle) && areUp(vehicle) && services.settled;
}

function areUp(vehicle: SimulatedVehicle): boolean {
  return fittedEcus(vehicle).every((name) => vehicle.running(name) !== undefined);
}

function whyNotAtRest({ vehicle, observer, services, injector }: Lane): string {
  if (!(injector?.quiet ?? true)) return 'a fault has not been repaired';
  const off = fittedMachines(vehicle).filter((name) => !vehicle.machine(name).alive);
  if (off.length > 0) return `${off.join(', ')} did not start again`;
  return observer.atRest ? (services.unsettled ?? 'nothing') : observer.restlessness();
}

function withSingleBanks(vehicle: Vehicle, names: readonly EcuName[]): Vehicle {
  if (names.length === 0) return vehicle;
  return {
    ...vehicle,
    ecus: vehicle.ecus.map((ecu) =>
      names.some((name) => name === ecu.name)
        ? {
            ...ecu,
            memory: { ...ecu.memory, banks: 1 },
            programming: { ...ecu.programming, activation: 'reset' },
          }
        : ecu,
    ),
  };
}
