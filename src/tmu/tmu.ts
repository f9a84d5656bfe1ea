// The telematics unit: polls the backend, runs campaigns, keeps its files, and continues where it was stopped.

import type { CampaignEvent } from '../campaign/event.ts';
import { lostOf } from '../campaign/mixed.ts';
import {
  type Approver,
  alwaysReady,
  type Backend,
  type EcuDriver,
  type VehicleState,
} from '../campaign/ports.ts';
import { CampaignRunner, type Note } from '../campaign/runner.ts';
import type {
  CampaignCommand,
  CampaignConfig,
  CampaignResult,
  CampaignState,
} from '../campaign/state.ts';
import { toHex } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import { type FolderLock, lockFolder } from '../core/lock.ts';
import type { Logger } from '../core/logger.ts';
import { jitter, type Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { SUPPLY_SIGNAL } from '../vehicle/signals.ts';
import { Approvals } from './approvals.ts';
import { campaignConfigOf } from './campaign-config.ts';
import { closeCampaign } from './campaign-end.ts';
import { CampaignWatch } from './campaign-watch.ts';
import { check } from './check.ts';
import type { Checked } from './check-options.ts';
import { type MachineFacts, TelemetryReader } from './checkin-telemetry.ts';
import { cycleResult } from './cycle-result.ts';
import type { DownloadLimits } from './download.ts';
import { Executor } from './executor.ts';
import { VehicleImageStore } from './image-store.ts';
import { InstalledFile } from './installed.ts';
import { Inventory } from './inventory.ts';
import { TmuMemory } from './memory.ts';
import { Outbox } from './outbox.ts';
import { busyEcus } from './remote/busy-ecus.ts';
import { EcuGate } from './remote/ecu-gate.ts';
import { RemoteFeatures, type RemoteFeaturesOptions } from './remote/remote-features.ts';
import { RetryTimer } from './retry-timer.ts';
import { StatusFiles } from './status.ts';
import { StatusTracker } from './status-tracker.ts';
import type { CycleResult, TmuEvent, TmuListener } from './tmu-event.ts';
import { TrafficMeter } from './traffic-meter.ts';
import type { TrustedSource, TrustedTools } from './trusted-source.ts';

export interface TmuOptions {
  readonly backend: Backend;
  /** Creates the source that decides which releases are trusted, once the state directory is locked. */
  readonly trusted: (tools: TrustedTools) => Promise<TrustedSource>;
  readonly driverFor: (ecu: string) => EcuDriver;
  /**
   * Turns normal communication on again where an earlier campaign may have left it off; called once, at the start, when
   * the journal holds such a campaign.
   */
  readonly restoreTraffic?: () => Promise<void>;
  /** Missing: the driver is not asked; only for vehicles whose file has no `approval`. */
  readonly approver?: Approver;
  /** Storage of the state directory. */
  readonly storage: Storage;
  readonly vehicle: Vehicle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly pollMs?: number;
  /** How often signatures are checked, also when the backend says that nothing is new. */
  readonly checkinIntervalMs?: number;
  readonly events?: TmuListener;
  readonly vehicleState?: VehicleState;
  readonly campaign?: Partial<CampaignConfig>;
  readonly approvalTimeoutSeconds?: number;
  readonly downloadLimits?: DownloadLimits;
  /** Remote configuration, commands and telemetry; missing: none. */
  readonly services?: Pick<RemoteFeaturesOptions, 'ecus' | 'backend' | 'syncIntervalMs'>;
  /** Locks the state directory for this process; the simulation passes a lock without sockets. */
  readonly lock?: (location: string) => Promise<FolderLock>;
  /** Facts for the telemetry of check-ins. */
  readonly machine?: MachineFacts;
}

const POLL_MS = 10_000;
const POLL_JITTER = 0.2;
/** Longest interval between polls while the backend or the vehicle does not answer. */
const LONGEST_POLL_MS = 10 * 60_000;
const APPROVAL_TIMEOUT_SECONDS = 30;

interface Opened {
  readonly lock: FolderLock;
  readonly runner: CampaignRunner;
  readonly memory: TmuMemory;
  readonly outbox: Outbox;
  readonly installed: InstalledFile;
  readonly inventory: Inventory;
  readonly images: VehicleImageStore;
  readonly executor: Executor;
  readonly approvals: Approvals;
  readonly trusted: TrustedSource;
  readonly traffic: TrafficMeter;
  /** Counts the bytes that it fetches. */
  readonly backend: Backend;
  readonly services: RemoteFeatures | undefined;
}

export class Tmu {
  readonly #options: TmuOptions;
  readonly #config: CampaignConfig;
  readonly #tracker: StatusTracker;
  readonly #statusFiles: StatusFiles;
  #opening: Promise<Opened> | undefined;
  #checked: Checked | undefined;
  #finished: CampaignResult | undefined;
  /** Set while a cycle runs. */
  #watch: CampaignWatch | undefined;
  readonly #recovery: RetryTimer;
  readonly #commits: RetryTimer;
  /** Separates the campaigns and the remote features. */
  readonly #gate = new EcuGate();
  /** The bus may still be in the state that an earlier run left. */
  #mayBeSilent = true;

  constructor(options: TmuOptions) {
    this.#options = options;
    this.#recovery = new RetryTimer(options.clock);
    this.#commits = new RetryTimer(options.clock);
    this.#config = campaignConfigOf(options.vehicle, options.campaign);
    this.#statusFiles = new StatusFiles(options);
    this.#tracker = new StatusTracker(this.#statusFiles, options.clock);
  }

  /**
   * One cycle: continues unfinished work, otherwise polls once and handles the result; then makes one contact of the
   * remote features. Never rejects for faults of backend, vehicle or driver. Throws FolderBusyError when another
   * process has the state directory, StorageError when the disk is full or broken; the next call continues everything.
   */
  async runOnce(signal: AbortSignal): Promise<CycleResult> {
    const opened = await this.#open();
    await this.#restoreTraffic(opened);
    const { services } = opened;
    const cycle = (): Promise<CycleResult> => this.#runCycle(opened, signal);
    const result = await (services === undefined ? cycle() : services.beside(cycle, signal));
    // The last event of the cycle: nothing follows it.
    await this.#tell(result);
    return result;
  }

  async #runCycle(opened: Opened, signal: AbortSignal): Promise<CycleResult> {
    const startMs = this.#options.clock.nowMs();
    this.#checked = undefined;
    this.#finished = undefined;
    let end: 'done' | 'interrupted';
    try {
      end = await this.#cycle(opened, signal);
      await opened.traffic.settle();
      if (!this.#isBackendAway()) {
        const { backend, outbox, trusted } = opened;
        await outbox.flush(backend, trusted.checkIn, this.#options.logger, signal);
      }
    } catch (error) {
      this.#tracker.error(describeError(error));
      await this.#statusFiles.flush();
      throw error;
    }
    return cycleResult({
      end,
      state: opened.runner.state,
      finished: this.#finished,
      checked: this.#checked,
      seconds: (this.#options.clock.nowMs() - startMs) / 1000,
    });
  }

  async #tell(result: CycleResult): Promise<void> {
    this.#emit({ kind: 'outcome', ...result });
    await this.#statusFiles.flush();
  }

  /** Runs cycles until the signal; resolves when all work has ended. Throws FolderBusyError only. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger, pollMs = POLL_MS } = this.#options;
    const opened = await this.#open();
    await this.#restoreTraffic(opened);
    const services = opened.services?.run(signal);
    let failures = 0;
    while (!signal.aborted) {
      let leastMs = 0;
      try {
        const result = await this.#runCycle(opened, signal);
        await this.#tell(result);
        leastMs = this.#checked?.retryAfterMs ?? 0;
        const failed =
          this.#isBackendAway() ||
          result.outcome === 'BACKEND_UNAVAILABLE' ||
          // Rejected metadata does not improve by asking ten times a minute.
          (result.outcome === 'SECURITY_VALIDATION_FAILED' && result.remembered === undefined) ||
          (result.outcome === 'PRECONDITION_FAILED' && result.remembered === undefined);
        failures = failed ? failures + 1 : 0;
      } catch (error) {
        failures++;
        logger.error(
          { error: describeError(error) },
          'the cycle failed, the next poll tries again',
        );
      }
      if (signal.aborted) break;
      const longest = Math.max(pollMs, LONGEST_POLL_MS);
      const backedOff = Math.min(longest, pollMs * 2 ** Math.min(failures, 16));
      const inMs = Math.round(Math.max(leastMs, jitter(random, backedOff, POLL_JITTER)));
      this.#emit({ kind: 'next-poll', inMs });
      await sleep(clock, 'poll', inMs, signal);
    }
    await services;
    await this.#statusFiles.flush();
  }

  /** Releases the state directory. Must not be called while `run` or `runOnce` is running. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const opened = await opening?.catch(() => undefined);
    if (opened === undefined) return;
    await this.#statusFiles.flush();
    await opened.services?.close();
    await opened.runner.close();
    await opened.lock.release();
  }

  #open(): Promise<Opened> {
    this.#opening ??= this.#openFiles().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #openFiles(): Promise<Opened> {
    const { storage, clock, logger, driverFor } = this.#options;
    const lock = await (this.#options.lock ?? lockFolder)(storage.location);
    try {
      const { memory, damaged } = await TmuMemory.open(storage);
      if (damaged) {
        logger.warn(
          {},
          `${storage.location}/state.json was unreadable: the daemon starts with empty content`,
        );
      }
      const installed = await InstalledFile.open(storage);
      const images = new VehicleImageStore(storage);
      const { bytesPerDay } = this.#options.vehicle.policy.network;
      const traffic = new TrafficMeter({ memory, clock, bytesPerDay });
      const backend = traffic.counting(this.#options.backend);
      const services = await this.#openServices();
      const inventory = new Inventory(installed, driverFor);
      const telemetry = new TelemetryReader({
        machine: this.#options.machine,
        storage,
        supplyV: (signal) => this.#supplyV(signal),
        clock,
        logger,
      });
      const trusted = await this.#options.trusted({
        ...this.#options,
        backend,
        runs: (ecu) => inventory.installed.get(ecu),
        emit: this.#emit,
        telemetry: (signal) => telemetry.read(signal),
      });
      const approvals = new Approvals({
        approver: this.#options.approver,
        vehicleState: this.#vehicleState,
        vehicle: this.#options.vehicle,
        emit: this.#emit,
        timeoutSeconds: this.#options.approvalTimeoutSeconds ?? APPROVAL_TIMEOUT_SECONDS,
        configured: () => services?.configuration.approval ?? {},
        keep: (question) => memory.update({ question }),
      });
      const executor = new Executor({
        ...this.#options,
        backend,
        traffic,
        trusted,
        approvals,
        images,
        memory,
        emit: this.#emit,
        downloadLimits: this.#options.downloadLimits,
      });
      const runner = await CampaignRunner.open({
        storage,
        clock,
        logger,
        config: this.#config,
        execute: (command, state, signal, note) => this.#execute(command, state, signal, note),
        onState: (state, event) => this.#onState(state, event),
      });
      this.#gate.claim(busyEcus(runner.state, this.#options.vehicle));
      return {
        lock,
        runner,
        memory,
        outbox: await Outbox.open(storage),
        installed,
        inventory,
        images,
        executor,
        approvals,
        trusted,
        traffic,
        backend,
        services,
      };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Runs before any other request to the ECUs: every request to a silent ECU would keep it silent. */
  async #restoreTraffic({ runner }: Opened): Promise<void> {
    if (!this.#mayBeSilent) return;
    this.#mayBeSilent = false;
    const { vehicle, restoreTraffic } = this.#options;
    if (busyEcus(runner.state, vehicle).length > 0) await restoreTraffic?.();
  }

  async #openServices(): Promise<RemoteFeatures | undefined> {
    const { services, vehicle, approver } = this.#options;
    if (services === undefined) return undefined;
    return RemoteFeatures.open({
      ...this.#options,
      ...services,
      vin: vehicle.vin,
      gate: this.#gate,
      approval: vehicle.policy.approval,
      canAsk: approver !== undefined,
      emit: this.#emit,
    });
  }

  get #vehicleState(): VehicleState {
    return this.#options.vehicleState ?? alwaysReady;
  }

  /** Undefined while a campaign has claimed an ECU: then only the campaign sends requests on the bus. */
  async #supplyV(signal: AbortSignal): Promise<number | undefined> {
    const { signals } = this.#options.vehicle;
    const ecu = Object.hasOwn(signals, SUPPLY_SIGNAL) ? signals[SUPPLY_SIGNAL]?.ecu : undefined;
    if (ecu === undefined || this.#gate.isAnyClaimed) return undefined;
    const leave = this.#gate.tryEnter(ecu);
    return leave && this.#vehicleState.supplyV(signal).finally(leave);
  }

  async #cycle(opened: Opened, signal: AbortSignal): Promise<'done' | 'interrupted'> {
    const { runner } = opened;
    await this.#payCommits(opened, signal);
    if (signal.aborted) return 'interrupted';
    if (runner.state.kind === 'safe-state' && this.#recovery.isDue) {
      this.#recovery.begin();
      await this.#resume(runner);
      const end = await this.#runCampaign(opened, signal);
      // A new release may end the safe state where the rollback cannot, so the backend is asked all the same.
      if (end === 'interrupted' || runner.state.kind !== 'safe-state') return end;
    }
    await this.#begin(runner);
    return this.#runCampaign(opened, signal);
  }

  async #runCampaign(opened: Opened, signal: AbortSignal): Promise<'done' | 'interrupted'> {
    const { runner, backend, outbox, approvals } = opened;
    const watch = new CampaignWatch(runner.state, {
      ...this.#options,
      backend,
      outbox,
      vehicleState: this.#vehicleState,
      emit: this.#emit,
      inject: (event) => runner.inject(event),
      approver: this.#options.approver,
      approved: (campaign) => approvals.standing('stage', campaign),
    });
    this.#watch = watch;
    try {
      return await runner.run(signal);
    } finally {
      this.#watch = undefined;
      await watch.close();
      if (runner.state.kind !== 'safe-state') this.#recovery.reset();
    }
  }

  /** Feeds the event that starts this cycle: a poll, or the continuation of what the journal holds. */
  async #begin(runner: CampaignRunner): Promise<void> {
    const { state } = runner;
    switch (state.kind) {
      case 'checking':
        return;
      case 'idle':
        if (state.finished === null) await runner.feed({ kind: 'poll' });
        return;
      case 'safe-state':
        if (state.reported) await runner.feed({ kind: 'poll' });
        return;
      case 'downloading':
        // The vehicle was not touched, and the release may be outdated: a new check decides. Downloaded parts of
        // the images are resumed by their hash.
        await runner.feed({ kind: 'abandoned', reason: 'stopped while downloading' });
        await runner.feed({ kind: 'poll' });
        return;
      default:
        await this.#resume(runner);
    }
  }

  async #resume(runner: CampaignRunner): Promise<void> {
    if ('campaign' in runner.state) this.#tracker.campaign(runner.state.campaign);
    await runner.feed({ kind: 'resumed', nonce: toHex(this.#options.random.bytes(16)) });
    this.#announce(runner.state);
  }

  /** Raises the counters that successful campaigns still owe; never while another campaign works on the ECUs. */
  async #payCommits({ runner, memory, executor }: Opened, signal: AbortSignal): Promise<void> {
    const { kind } = runner.state;
    const { owedCommits } = memory.content;
    if (owedCommits.length === 0) return this.#commits.reset();
    if ((kind !== 'idle' && kind !== 'checking') || !this.#commits.isDue) return;
    this.#commits.begin();
    for (const owed of owedCommits) {
      const { item } = owed;
      const leave = await this.#gate.enter(item.ecu, signal);
      if (leave === undefined) return;
      const done = await executor.commit(owed, signal).finally(leave);
      if (signal.aborted) return;
      if (done.ok) {
        const left = memory.content.owedCommits.filter((each) => each.item.ecu !== item.ecu);
        await memory.update({ owedCommits: left });
      } else {
        const text = `its security counter is still to be raised: ${done.reason}`;
        this.#emit({ kind: 'warning', ecu: item.ecu, text });
      }
    }
  }

  async #execute(
    command: CampaignCommand,
    state: CampaignState,
    signal: AbortSignal,
    note: Note,
  ): Promise<CampaignEvent | undefined> {
    const opened = await this.#open();
    if (command.kind === 'check') {
      const mixed = state.kind === 'checking' ? state.mixed : null;
      this.#checked = await check(
        {
          ...this.#options,
          ...opened,
          vehicleState: this.#vehicleState,
          asks: (plan) => opened.approvals.asks(plan),
          lost: mixed === null ? [] : lostOf(mixed),
          emit: this.#emit,
        },
        signal,
      );
      return this.#checked?.event;
    }
    if (command.kind === 'finish') {
      const { vehicle, clock, approver } = this.#options;
      this.#finished = command.result;
      await closeCampaign(command.result, { ...opened, vin: vehicle.vin, clock, approver }, signal);
      return { kind: 'closed' };
    }
    // Waits for a remote command that runs on a claimed ECU; none begins in this state.
    if (command.kind === 'ecu' && !(await this.#gate.settled(signal))) return undefined;
    const event = await opened.executor.execute(command, state, signal, note);
    // The ECU's earlier answer does not count after the step, also where no campaign ends by it, as in a later rollback.
    if (command.kind === 'ecu') opened.inventory.forget(command.item.ecu);
    return event;
  }

  #onState(state: CampaignState, event: CampaignEvent): void {
    this.#gate.claim(busyEcus(state, this.#options.vehicle));
    this.#watch?.changed(state);
    // The tries are used up: the next ones come after pauses, or at the next start.
    if (state.kind === 'safe-state' && !state.reported) this.#recovery.begin();
    if (event.kind === 'condition-lost') {
      this.#emit({ kind: 'warning', text: `${event.condition}: ${event.reason}` });
    }
    if (event.kind === 'offered' && 'campaign' in state && state.kind !== 'safe-state') {
      const { campaign } = state;
      this.#tracker.campaign(campaign);
      this.#emit({
        kind: 'plan',
        campaign: campaign.id,
        digest: campaign.planDigest,
        ecus: campaign.plan.items.map(({ ecu, from, to }) => ({
          name: ecu,
          from: from.version,
          to: to.version,
          bytes: to.size,
          sha256: to.sha256,
        })),
      });
    }
    this.#announce(state);
  }

  #announce(state: CampaignState): void {
    if (!this.#tracker.isNewState(state)) return;
    this.#emit({
      kind: 'state',
      state: state.kind,
      ...('campaign' in state ? { campaign: state.campaign.id } : {}),
    });
  }

  #isBackendAway(): boolean {
    const event = this.#checked?.event;
    return event?.kind === 'nothing' && event.outcome === 'BACKEND_UNAVAILABLE';
  }

  /** Passes an event to the status files and the listener. Listener errors are logged and ignored. */
  readonly #emit = (event: TmuEvent): void => {
    if (!this.#tracker.take(event)) return;
    try {
      this.#options.events?.(event);
    } catch (error) {
      this.#options.logger.error({ error: describeError(error) }, 'a listener of events threw');
    }
  };
}
