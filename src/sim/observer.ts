// Observes one vehicle from outside (disks, frames, driver, backend) and reports to the invariants.

import type { EcuEvent } from '../../ecus/bootloader/device.ts';
import { profileOf } from '../../ecus/profiles.ts';
import type { CanFrame } from '../bus/can-frame.ts';
import { assertNever } from '../core/errors.ts';
import type { DeviceEvent } from '../device/device-event.ts';
import { testerAddresses } from '../isotp/address.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import { Sid } from '../uds/services/all.ts';
import { Did } from '../uds/sid.ts';
import { findEcu } from '../vehicle/load.ts';
import type { DriverDeed } from './driver-model.ts';
import type { ReadFile } from './ecu-contents.ts';
import type { InvariantName } from './invariants/catalogue.ts';
import type { Observation, Released, ReportRow } from './invariants/invariant.ts';
import { isMadeGood } from './invariants/words.ts';
import type { Invariants } from './invariants.ts';
import type { MachineEvent } from './machine.ts';
import { type EcuName, fittedEcus, fittedMachines, OTHER_MAKE, OUR_ECUS } from './machine-names.ts';
import type { PlainEcuEvent } from './other-make/services.ts';
import type { ServicesFacts } from './services-facts.ts';
import type { SimulatedServer } from './simulated-server.ts';
import { type SimulatedVehicle, TMU } from './simulated-vehicle.ts';
import type { SimulatedSmallDevice } from './small-device.ts';
import {
  bankHash,
  contentsOf,
  imageCounter,
  readEcuContents,
  type VehicleContents,
} from './vehicle-contents.ts';

/** Outcomes that do not end a campaign: they are reasons to try again. */
const NO_END = new Set(['BACKEND_UNAVAILABLE', 'INTERRUPTED', 'UP_TO_DATE']);
/** Events that may come at any time and say nothing about a campaign. */
const BESIDE: ReadonlySet<TmuEvent['kind']> = new Set([
  'configuration',
  'command',
  'telemetry',
  'contact',
]);

type Body = Observation extends infer O ? (O extends Observation ? Omit<O, 'atMs'> : never) : never;

/** Single frame of 19 (ReadDTCInformation): the health check of new software; no other part sends it. */
const READ_DTC = 0x19;

export interface ObserverOptions {
  readonly vehicle: SimulatedVehicle;
  readonly server: SimulatedServer;
  readonly invariants: Invariants;
  readonly nowMs: () => number;
  readonly released: () => Released;
}

export class Observer {
  readonly #options: ObserverOptions;
  /** ECU by request identifier. */
  readonly #requests: ReadonlyMap<number, EcuName>;
  readonly #told = new Map<string, { campaign: string; outcome: string }>();
  /** ECUs whose normal traffic was heard since `listenForTraffic`. */
  #heard = new Set<EcuName>();
  #ended = false;
  #rests = false;
  #reportsBefore = 0;
  #betweenPolls = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { vehicle } = options;
    this.#requests = new Map(
      fittedEcus(vehicle).map((name) => {
        const { tx } = testerAddresses(findEcu(vehicle.vehicle, name).address).physical;
        return [tx.id, name];
      }),
    );
  }

  /** The campaign has ended, and the TMU waits for its next poll with no report left to send. */
  get atRest(): boolean {
    return this.#rests && this.#isOutboxEmpty();
  }

  start(
    facts: Pick<
      Extract<Body, { kind: 'start' }>,
      'campaign' | 'proof' | 'forced' | 'onlyTime' | 'wanted'
    >,
  ): void {
    this.#ended = false;
    this.#rests = false;
    this.#reportsBefore = this.#reports().length;
    this.#tell({ kind: 'start', contents: this.contents(), ...facts });
  }

  /** Contents of the ECUs by the durable bytes on their disks. */
  contents(): VehicleContents {
    const { vehicle } = this.#options;
    const fitted = fittedEcus(vehicle);
    return contentsOf((ecu) => {
      if (!fitted.includes(ecu)) return undefined;
      const files = vehicle.machine(ecu).disk.files();
      return (name) => files.get(name);
    });
  }

  onTmu(event: TmuEvent): void {
    if (BESIDE.has(event.kind)) return;
    this.#betweenPolls = event.kind === 'next-poll';
    if (event.kind === 'outcome') {
      const { campaign, outcome } = event;
      if (campaign === undefined || NO_END.has(outcome)) return;
      // A safe state is reported again in every cycle until it ends.
      const key = `${campaign} ${outcome}`;
      if (this.#told.has(key)) return;
      this.#ended = true;
      this.#told.set(key, { campaign, outcome });
    } else if (event.kind === 'next-poll') {
      // The TMU may have restarted between the end of its campaign and this event.
      this.#rests = this.#ended || this.#reports().length > this.#reportsBefore;
    } else {
      this.#rests = false;
    }
  }

  /** The TMU has restarted: whether it has work left is unknown. */
  onTmuStart(): void {
    this.#rests = false;
  }

  onEcu(ecu: EcuName, event: EcuEvent): void {
    switch (event.kind) {
      case 'boot':
        this.#onBoot(ecu, event.bank);
        break;
      case 'erase':
        this.#tell({ kind: 'erase', ecu });
        break;
      case 'approval':
        // The driver did not type that: the CGW shows what it was told.
        if (event.status === 'approved') this.#tell({ kind: 'informed' });
        // A withdrawal after the point of no return has no effect, and the driver's screen says so.
        if (event.status === 'withdrawn') {
          this.#tell({ kind: 'driver', answer: 'withdrawn', campaign: event.campaignId });
        }
        break;
      case 'confirm':
        this.#tell({ kind: 'confirmed', ecu, content: readEcuContents(this.#current(ecu)) });
        break;
      default:
        break;
    }
  }

  /** Handles an event of the ECU of another make. */
  onPlainEcu(event: PlainEcuEvent): void {
    const ecu = OTHER_MAKE;
    switch (event.kind) {
      case 'boot': {
        const sha256 = event.sha256 ?? undefined;
        this.#tell({ kind: 'boot', ecu, sha256, imageCounter: 0, counter: 0 });
        break;
      }
      case 'erase':
        this.#tell({ kind: 'erase', ecu });
        break;
      case 'refused':
      case 'opened':
        this.#tell({ kind: 'programming', ecu, accepted: event.kind === 'opened' });
        break;
      case 'written':
        this.#tell({ kind: 'written', ecu, sha256: event.sha256 });
        break;
      default:
        assertNever(event);
    }
  }

  /** `held`: the version of the bytes in its active bank. */
  onDevice(event: DeviceEvent | MachineEvent, held: string | undefined): void {
    if (event.kind === 'boot') this.#tell({ kind: 'device-boot', held, says: event.version });
    if (event.kind === 'outcome') this.#tell({ kind: 'device-says', held, says: event.version });
  }

  backendRests(lost: readonly string[]): void {
    this.#tell({ kind: 'backend-rest', lost });
  }

  deviceRests(device: SimulatedSmallDevice | undefined): void {
    if (device === undefined) return;
    const completed = device
      .transfers()
      .flatMap(({ state, version }) => (state === 'success' && version !== null ? [version] : []));
    const { newest, before } = device;
    const held = device.held?.version;
    this.#tell({ kind: 'device-rest', held, newest, before, completed });
  }

  onDriver({ did, campaign }: DriverDeed): void {
    if (did === 'withdraw') return;
    this.#tell({ kind: 'driver', answer: did === 'approve' ? 'approved' : 'other', campaign });
  }

  /** An operation on the disk of an ECU is done. */
  onWritten(ecu: EcuName, name: string): void {
    if (name !== 'counters') return;
    const { counter } = readEcuContents(this.#current(ecu));
    this.#tell({ kind: 'counter', ecu, counter });
  }

  onFrame(frame: CanFrame, from: string): void {
    if (from === TMU) {
      const ecu = this.#requests.get(frame.id);
      if (ecu !== undefined) this.#onRequest(ecu, frame.data);
    } else if (this.#listening.length > 0) {
      const ecu = this.#listening.find(
        (name) => name === from && this.#trafficIds.get(name)?.has(frame.id) === true,
      );
      if (ecu !== undefined) {
        this.#heard.add(ecu);
        this.#listening = this.#listening.filter((name) => name !== ecu);
      }
    }
  }

  /** Handles a request of the TMU by its first frame. */
  #onRequest(ecu: EcuName, data: Uint8Array): void {
    const [pci = 0] = data;
    const isSingle = pci >> 4 === 0;
    const isFirst = pci >> 4 === 1;
    if (!isSingle && !isFirst) return;
    const [sid, second, third] = data.subarray(isSingle ? 1 : 2);
    if (isSingle && sid === READ_DTC) this.#tell({ kind: 'asked', ecu });
    if (isSingle && sid === Sid.ecuReset) this.#tell({ kind: 'reset-ordered', ecu });
    // The ECU of another make can only be asked for its version; it does not always support trouble codes.
    const version = Did.ecuSoftwareVersion;
    const asksVersion = second === version >> 8 && third === (version & 0xff);
    if (ecu === OTHER_MAKE && sid === Sid.readDataByIdentifier && asksVersion) {
      this.#tell({ kind: 'asked', ecu });
    }
  }

  readonly #trafficIds: ReadonlyMap<EcuName, ReadonlySet<number>> = new Map(
    OUR_ECUS.map((name) => [name, new Set(profileOf(name).traffic.map(({ id }) => id))]),
  );
  #listening: readonly EcuName[] = [];

  /** Starts listening; `hasTraffic` is true once every ECU with normal traffic was heard. */
  listenForTraffic(): void {
    this.#listening = OUR_ECUS.filter((name) => (this.#trafficIds.get(name)?.size ?? 0) > 0);
    this.#heard = new Set();
  }

  get hasTraffic(): boolean {
    return this.#listening.length === 0;
  }

  rest(): void {
    const { vehicle, released } = this.#options;
    const fitted = fittedEcus(vehicle);
    const dead = fittedMachines(vehicle).filter((name) => !vehicle.machine(name).alive);
    const unbooted = fitted.filter((name) => vehicle.running(name) === undefined);
    const imageless = fitted.filter((name) => vehicle.running(name)?.bank === 'recovery');
    this.#tell({
      kind: 'rest',
      contents: this.contents(),
      dead: [...new Set<string>([...dead, ...unbooted])],
      imageless,
      silent: this.#listening,
      reports: this.#reports(),
      released: released(),
      told: [...this.#told.values()],
    });
  }

  services(facts: ServicesFacts): void {
    this.#tell({ kind: 'services', facts });
  }

  /** After a rest: whether a mixed state is declared or something is still owed. */
  get needsRecovery(): boolean {
    return this.#mixed() !== undefined || !this.#isMadeGood();
  }

  get isMixed(): boolean {
    return this.#mixed() !== undefined;
  }

  /** All of that is repaired, and the backend knows. Only checked between two polls. */
  get hasRecovered(): boolean {
    return this.#betweenPolls && !this.needsRecovery && this.#isOutboxEmpty();
  }

  recovered(): void {
    this.#tell({ kind: 'recovered', contents: this.contents(), reports: this.#reports() });
  }

  #isMadeGood(): boolean {
    const contents = this.contents();
    return Object.values(contents).every(isMadeGood);
  }

  /** The campaign whose last report is a mixed state. */
  #mixed(): string | undefined {
    const last = this.#reports().at(-1);
    return last?.outcome === 'ROLLBACK_FAILED' ? last.campaign : undefined;
  }

  failed(invariant: InvariantName, text: string): void {
    this.#tell({ kind: 'failed', invariant, text });
  }

  /** Why the vehicle is not at rest, as text. */
  restlessness(): string {
    if (!this.#ended) return 'the TMU has told no outcome';
    if (!this.#rests) return 'the TMU is still at work';
    return this.#isOutboxEmpty() ? 'nothing' : 'a report was not taken by the backend';
  }

  #onBoot(ecu: EcuName, bank: 'A' | 'B' | null): void {
    const read = this.#current(ecu);
    const { counter } = readEcuContents(read);
    const index = bank === 'B' ? 1 : 0;
    this.#tell({
      kind: 'boot',
      ecu,
      sha256: bank === null ? undefined : bankHash(read, index),
      imageCounter: imageCounter(read, index),
      counter,
    });
  }

  /** The files of an ECU as the ECU itself sees them now. */
  #current(ecu: EcuName): ReadFile {
    const { disk } = this.#options.vehicle.machine(ecu);
    return (name) => disk.contents(name);
  }

  /** Reports of campaigns only: a vehicle also reports what it runs without a campaign. */
  #reports(): readonly ReportRow[] {
    const { vehicle, server } = this.#options;
    return server
      .reports(vehicle.vin)
      .flatMap(({ campaign, ...row }) => (campaign === null ? [] : [{ ...row, campaign }]));
  }

  #isOutboxEmpty(): boolean {
    const bytes = this.#options.vehicle.machine(TMU).disk.contents('outbox.json');
    return bytes === undefined || new TextDecoder().decode(bytes).trim() === '[]';
  }

  #tell(body: Body): void {
    this.#options.invariants.observe({ ...body, atMs: this.#options.nowMs() } as Observation);
  }
}
