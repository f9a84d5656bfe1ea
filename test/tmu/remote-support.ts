// ECUs that count their commands, a backend with orders, and the remote features of a vehicle between them.

import {
  type Catalogue,
  type CommandOrder,
  type CommandReport,
  isFinal,
} from '../../src/contract/command.ts';
import type { WantedParameters } from '../../src/contract/configuration.ts';
import type {
  EcuServices,
  ProbeResult,
  Reading,
  ReadResult,
  RunResult,
} from '../../src/contract/ecu-services.ts';
import {
  type ConfigurationReport,
  MAX_COMMANDS,
  type SyncAnswer,
  type SyncRequest,
  syncAnswer,
  syncRequest,
} from '../../src/contract/sync.ts';
import { type Batch, packBatch, unpackBatch } from '../../src/contract/telemetry.ts';
import type { BackendFailure } from '../../src/core/backend-failure.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { Storage } from '../../src/core/storage.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { EcuGate } from '../../src/tmu/remote/ecu-gate.ts';
import type { ServiceBackend } from '../../src/tmu/remote/remote-backend.ts';
import {
  RemoteFeatures,
  type RemoteFeaturesOptions,
} from '../../src/tmu/remote/remote-features.ts';
import type { TmuEvent } from '../../src/tmu/tmu-event.ts';
import { FaultStorage } from '../support/fault-storage.ts';

export const VIN = '1CANXTABENCH00001';

export const CATALOGUE: Catalogue = {
  INV: {
    setPowerLimit: {
      title: 'power limit',
      arguments: { power: { type: 'number', unit: 'kW', min: 0, max: 120 } },
    },
    calibrate: { title: 'calibrate the current sensor', arguments: {} },
    /** Leaves no trace at the ECU. */
    blink: { title: 'blink', arguments: { colour: { type: 'choice', choices: ['red', 'green'] } } },
  },
  EDT: { dim: { title: 'brightness', arguments: {} } },
};

/** Fate of one `run`: a `lost` one ends in doubt. */
export type RunFault =
  | 'lost before'
  | 'lost after'
  | 'not begun'
  | 'throws after'
  | { readonly nrc: number };

/** Lives longer than every TMU. */
export class ModelEcus implements EcuServices {
  catalogue: Catalogue = CATALOGUE;
  /** Runs by the id of the command. */
  readonly runs = new Map<string, number>();
  /** Ids in the order in which they ran. */
  readonly order: string[] = [];
  runFaults: RunFault[] = [];
  probeFaults: ProbeResult[] = [];
  /** How often `hasRun` answers that it does not know. */
  unknowns = 0;
  runMs = 50;
  readMs = 5;
  /** Values by DID; a number is a value in V. */
  readonly values = new Map<string, number>();
  readonly reads: { readonly atMs: number; readonly ecu: string; readonly dids: string[] }[] = [];
  readFaults: Extract<ReadResult, { ok: false }>[] = [];
  /** False: requests of an ended process may reach the bus after those of a new one. */
  isStrict = true;
  /** ECUs that are executing something now. */
  readonly busy = new Set<string>();
  onRun: ((order: CommandOrder, moment: 'before' | 'after') => void) | undefined;
  readonly #clock: VirtualClock;
  readonly #counters = new Map<string, number>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  knows(did: string): 'known' | 'unknown-ecu' | 'unknown-did' {
    const [ecu, number] = did.split('.');
    if (!['INV', 'EDT', 'CGW'].includes(ecu!)) return 'unknown-ecu';
    return number === 'DEAD' ? 'unknown-did' : 'known';
  }

  async read(ecu: string, dids: readonly number[]): Promise<ReadResult> {
    const names = dids.map((did) => `${ecu}.${did.toString(16).toUpperCase().padStart(4, '0')}`);
    this.reads.push({ atMs: this.#clock.nowMs(), ecu, dids: names });
    await this.#at(ecu, this.readMs);
    const fault = this.readFaults.shift();
    if (fault !== undefined) return fault;
    const readings = names.map((did): Reading => {
      const value = this.values.get(did);
      const raw = Uint8Array.of(1, 2);
      return value === undefined ? { did, raw } : { did, raw, value, unit: 'V' };
    });
    return { ok: true, readings };
  }

  async probe({ ecu, action }: CommandOrder): Promise<ProbeResult> {
    await this.#at(ecu, 5);
    const fault = this.probeFaults.shift();
    if (fault !== undefined) return fault;
    if (action === 'blink') return { kind: 'blind' };
    return { kind: 'mark', mark: String(this.#counters.get(ecu) ?? 0) };
  }

  async run(order: CommandOrder): Promise<RunResult> {
    const fault = this.runFaults.shift();
    this.onRun?.(order, 'before');
    await this.#at(order.ecu, this.runMs);
    if (fault === 'not begun') return { kind: 'not-begun', code: 'SILENT', reason: 'no answer' };
    if (fault === 'lost before') return { kind: 'in-doubt', reason: 'no answer' };
    if (typeof fault === 'object') return { kind: 'refused', nrc: fault.nrc, reason: 'refused' };
    this.runs.set(order.id, (this.runs.get(order.id) ?? 0) + 1);
    this.order.push(order.id);
    this.#counters.set(order.ecu, (this.#counters.get(order.ecu) ?? 0) + 1);
    this.onRun?.(order, 'after');
    if (fault === 'throws after') throw new Error('a mistake of ours');
    if (fault === 'lost after') return { kind: 'in-doubt', reason: 'no answer' };
    return { kind: 'done', result: `${order.action} done` };
  }

  async hasRun({ ecu }: CommandOrder, mark: string): Promise<'yes' | 'no' | 'unknown'> {
    await this.#at(ecu, 5);
    if (this.unknowns > 0) {
      this.unknowns--;
      return 'unknown';
    }
    return String(this.#counters.get(ecu) ?? 0) === mark ? 'no' : 'yes';
  }

  /** Two requests at one ECU at the same time are an error of the remote features. */
  async #at(ecu: string, ms: number): Promise<void> {
    if (this.isStrict && this.busy.has(ecu)) throw new Error(`two at ${ecu} at the same time`);
    this.busy.add(ecu);
    await new Promise<void>((resolve) => {
      this.#clock.after('ecu', ms, resolve);
    });
    this.busy.delete(ecu);
  }
}

interface Wish {
  readonly order: CommandOrder;
  state: CommandReport['state'];
  cancel: boolean;
}

export const AWAY: BackendFailure = {
  kind: 'failed',
  code: 'ECONNREFUSED',
  reason: 'away',
  transient: true,
};

/** `lost`: the request arrived, the answer did not. */
export type LinkFault = 'away' | 'lost' | BackendFailure;

export class FakeServiceBackend implements ServiceBackend {
  readonly wishes = new Map<string, Wish>();
  /** Reports in the order of their arrival. */
  readonly reports: CommandReport[] = [];
  wanted: SyncAnswer['configuration']['wanted'] = null;
  readonly configurations: ConfigurationReport[] = [];
  catalogue: Catalogue | undefined;
  readonly syncs: { readonly atMs: number; readonly request: SyncRequest }[] = [];
  /** Used one by one; afterwards there are no faults. */
  syncFaults: LinkFault[] = [];
  uploadFaults: LinkFault[] = [];
  away = false;
  /** Stored batches, without duplicates. */
  readonly batches: Batch[] = [];
  duplicates = 0;
  lostBatches = 0;
  readonly #highest = new Map<string, number>();
  /** How far its clock is ahead of the vehicle's clock. */
  aheadMs = 0;
  /** How long an answer takes. */
  latencyMs = 20;
  /** Changes an answer, as a faulty backend would. */
  spoil: ((answer: SyncAnswer) => SyncAnswer) | undefined;
  #versions = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  want(parameters: WantedParameters, version = ++this.#versions): void {
    this.wanted = { version, parameters: { ...parameters } as never };
  }

  order(id: string, change: Partial<CommandOrder> & { readonly inMs?: number } = {}): CommandOrder {
    const { inMs = 600_000, ...more } = change;
    const expiresAt = new Date(this.#nowMs + inMs).toISOString();
    const order: CommandOrder = {
      ...{ id, ecu: 'INV', action: 'calibrate', arguments: {}, priority: 5, expiresAt },
      ...more,
    };
    this.wishes.set(id, { order, state: 'pending', cancel: false });
    return order;
  }

  stateOf(id: string): string | undefined {
    return this.wishes.get(id)?.state;
  }

  finalOf(id: string): CommandReport | undefined {
    return this.reports.find((report) => report.id === id && isFinal(report.state));
  }

  async sync(request: SyncRequest): Promise<{ value: SyncAnswer } | BackendFailure> {
    const fault = await this.#link(this.syncFaults);
    if (fault !== undefined && fault !== 'lost') return fault === 'away' ? AWAY : fault;
    const answer = syncAnswer.parse(this.#answer(syncRequest.parse(request)));
    this.syncs.push({ atMs: this.#clock.nowMs(), request });
    if (fault === 'lost') return AWAY;
    return { value: this.spoil?.(answer) ?? answer };
  }

  async upload(sent: Batch): Promise<{ stored: number } | BackendFailure> {
    const fault = await this.#link(this.uploadFaults);
    if (fault !== undefined && fault !== 'lost') return fault === 'away' ? AWAY : fault;
    const batch = unpackBatch(packBatch(sent));
    if (batch === undefined) throw new Error('no batch');
    const highest = this.#highest.get(batch.sender) ?? 0;
    if (batch.number <= highest) this.duplicates++;
    else {
      this.lostBatches += batch.number - highest - 1;
      this.#highest.set(batch.sender, batch.number);
      this.batches.push(batch);
    }
    return fault === 'lost' ? AWAY : { stored: Math.max(highest, batch.number) };
  }

  get #nowMs(): number {
    return this.#clock.wallMs() + this.aheadMs;
  }

  async #link(faults: LinkFault[]): Promise<LinkFault | undefined> {
    const half = (): Promise<void> =>
      new Promise((resolve) => {
        this.#clock.after('network', this.latencyMs / 2, resolve);
      });
    await half();
    await half();
    return this.away ? 'away' : faults.shift();
  }

  #answer({ configuration, commands }: SyncRequest): SyncAnswer {
    const { report } = configuration;
    if (report !== undefined) this.configurations.push(report);
    if (commands.catalogue !== undefined) this.catalogue = commands.catalogue;
    for (const each of commands.reports) {
      this.reports.push(each);
      const wish = this.wishes.get(each.id);
      if (wish !== undefined && !isFinal(wish.state)) wish.state = each.state;
    }
    const open = [...this.wishes.values()];
    return {
      configuration: {
        wanted: this.wanted?.version === configuration.version ? null : this.wanted,
        acknowledged: report?.version ?? 0,
      },
      commands: {
        orders: open
          .filter(({ state, cancel }) => state === 'pending' && !cancel)
          .map(({ order }) => order)
          .sort((a, b) => b.priority - a.priority)
          .slice(0, MAX_COMMANDS),
        cancel: open
          .filter(({ state, cancel }) => cancel && !isFinal(state))
          .map(({ order }) => order.id),
        acknowledged: commands.reports.map(({ id }) => id),
        wantsCatalogue: this.catalogue === undefined,
      },
      now: new Date(this.#nowMs).toISOString(),
    };
  }
}

/** The world outside the remote features, which are started and stopped in it. */
export class ServicesWorld {
  readonly clock = new VirtualClock();
  readonly ecus = new ModelEcus(this.clock);
  readonly backend = new FakeServiceBackend(this.clock);
  storage: FaultStorage = new FaultStorage();
  readonly events: TmuEvent[] = [];
  gate = new EcuGate();

  open(
    change: Partial<RemoteFeaturesOptions> = {},
    storage: Storage = this.storage,
  ): Promise<RemoteFeatures> {
    this.gate = new EcuGate();
    return RemoteFeatures.open({
      vin: VIN,
      ecus: this.ecus,
      backend: async () => this.backend,
      gate: this.gate,
      approval: { download: 'none', install: 'ask', activate: 'none' },
      canAsk: true,
      storage,
      clock: this.clock,
      random: seededRandom(5),
      logger: silentLogger,
      emit: (event) => this.events.push(event),
      ...change,
    });
  }

  /** Runs a process for this long and stops it in good order. */
  async live(ms: number, change: Partial<RemoteFeaturesOptions> = {}): Promise<RemoteFeatures> {
    const services = await this.open(change);
    const abort = new AbortController();
    const running = services.run(abort.signal);
    await this.clock.advance(ms);
    abort.abort();
    await this.clock.within(60_000, running);
    await services.close();
    return services;
  }

  eventsOf<K extends TmuEvent['kind']>(kind: K): Extract<TmuEvent, { kind: K }>[] {
    return this.events.filter(
      (event): event is Extract<TmuEvent, { kind: K }> => event.kind === kind,
    );
  }

  /** States of one command, as they were reported here. */
  statesOf(id: string): string[] {
    return this.eventsOf('command')
      .filter((event) => event.id === id)
      .map(({ state }) => state);
  }
}
