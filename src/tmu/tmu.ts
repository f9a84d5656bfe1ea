// The telematics unit: polls the backend, runs campaigns, keeps its files, and carries on where it was stopped.

import type { CampaignEvent } from '../campaign/event.ts';
import { planTargetsKey } from '../campaign/plan.ts';
import {
  type Approver,
  alwaysReady,
  type Backend,
  type EcuDriver,
  type VehicleState,
} from '../campaign/ports.ts';
import { CampaignRunner } from '../campaign/runner.ts';
import {
  type CampaignCommand,
  type CampaignConfig,
  type CampaignResult,
  type CampaignState,
  DEFAULT_CAMPAIGN_CONFIG,
} from '../campaign/state.ts';
import { toHex } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import { type FolderLock, lockFolder } from '../core/lock.ts';
import type { Logger } from '../core/logger.ts';
import { jitter, type Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import { keptImage, reportOf } from './campaign-end.ts';
import { type Checked, check } from './check.ts';
import type { DownloadLimits } from './download.ts';
import { Executor } from './executor.ts';
import { ImageStore } from './image-store.ts';
import { InstalledFile } from './installed.ts';
import { Inventory } from './inventory.ts';
import { Memory } from './memory.ts';
import { Outbox } from './outbox.ts';
import { retentionOf } from './retention.ts';
import { StatusFiles } from './status.ts';
import { StatusTracker } from './status-tracker.ts';
import type { CycleResult, TmuEvent, TmuListener } from './tmu-event.ts';
import type { TrustedSource, TrustedTools } from './trusted-source.ts';

export interface TmuOptions {
  readonly backend: Backend;
  /** Makes what decides which offers are believed, once the state directory is taken. */
  readonly trusted: (tools: TrustedTools) => Promise<TrustedSource>;
  readonly driverFor: (ecu: string) => EcuDriver;
  /** Missing: nobody is asked; only for vehicles whose file has no `approval`. */
  readonly approver?: Approver;
  /** The state directory. */
  readonly storage: Storage;
  readonly vehicle: Vehicle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly pollMs?: number;
  /** Signatures are checked this often even when the backend says that nothing is new. */
  readonly checkinIntervalMs?: number;
  readonly events?: TmuListener;
  readonly vehicleState?: VehicleState;
  readonly campaign?: Partial<CampaignConfig>;
  readonly approvalTimeoutSeconds?: number;
  readonly downloadLimits?: DownloadLimits;
  /** Takes the state directory for this process; the simulation hands in one without sockets. */
  readonly lock?: (location: string) => Promise<FolderLock>;
}

const POLL_MS = 10_000;
const POLL_JITTER = 0.2;
/** Polls of a backend or a vehicle that is not there become rarer up to this. */
const LONGEST_POLL_MS = 10 * 60_000;
const APPROVAL_TIMEOUT_SECONDS = 30;

interface Opened {
  readonly lock: FolderLock;
  readonly runner: CampaignRunner;
  readonly memory: Memory;
  readonly outbox: Outbox;
  readonly installed: InstalledFile;
  readonly inventory: Inventory;
  readonly images: ImageStore;
  readonly executor: Executor;
  readonly trusted: TrustedSource;
}

export class Tmu {
  readonly #options: TmuOptions;
  readonly #tracker: StatusTracker;
  readonly #statusFiles: StatusFiles;
  #opening: Promise<Opened> | undefined;
  #checked: Checked | undefined;
  #finished: CampaignResult | undefined;

  constructor(options: TmuOptions) {
    this.#options = options;
    this.#statusFiles = new StatusFiles(options);
    this.#tracker = new StatusTracker(this.#statusFiles, options.clock);
  }

  /**
   * One cycle: what was left unfinished, otherwise one poll and what follows from it. Never rejects for what
   * backend, vehicle or driver do. Throws FolderBusyError when another process has the state directory,
   * StorageError when the disk is full or broken; everything is carried on with by the next call.
   */
  async runOnce(signal: AbortSignal): Promise<CycleResult> {
    const opened = await this.#open();
    const startMs = this.#options.clock.nowMs();
    this.#checked = undefined;
    this.#finished = undefined;
    let end: 'done' | 'interrupted';
    try {
      await this.#begin(opened.runner);
      end = await opened.runner.run(signal);
      if (!this.#isBackendAway()) {
        const { backend, logger } = this.#options;
        await opened.outbox.flush(backend, opened.trusted.checkIn, logger, signal);
      }
    } catch (error) {
      this.#tracker.error(describeError(error));
      await this.#statusFiles.flush();
      throw error;
    }
    const result = this.#resultOf(end, opened.runner.state, startMs);
    this.#emit({ kind: 'outcome', ...result });
    await this.#statusFiles.flush();
    return result;
  }

  /** Cycles until the signal comes; resolves when everything is at rest. Throws FolderBusyError only. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger, pollMs = POLL_MS } = this.#options;
    await this.#open();
    let failures = 0;
    while (!signal.aborted) {
      let leastMs = 0;
      try {
        const result = await this.runOnce(signal);
        leastMs = this.#checked?.retryAfterMs ?? 0;
        const failed =
          result.outcome === 'BACKEND_UNAVAILABLE' ||
          // Metadata that is not believed does not get better by asking ten times a minute.
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
    await this.#statusFiles.flush();
  }

  /** Gives the state directory free. Not while `run` or `runOnce` is under way. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const opened = await opening?.catch(() => undefined);
    if (opened === undefined) return;
    await this.#statusFiles.flush();
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
      const { memory, damaged } = await Memory.open(storage);
      if (damaged) {
        logger.warn({}, `${storage.location}/state.json was unreadable and is begun anew`);
      }
      const installed = await InstalledFile.open(storage);
      const images = new ImageStore(storage);
      const inventory = new Inventory(installed, driverFor);
      const trusted = await this.#options.trusted({
        ...this.#options,
        runs: (ecu) => inventory.installed.get(ecu),
        emit: this.#emit,
      });
      const executor = new Executor({
        ...this.#options,
        trusted,
        approver: this.#options.approver,
        vehicleState: this.#options.vehicleState ?? alwaysReady,
        images,
        memory,
        emit: this.#emit,
        approvalTimeoutSeconds: this.#options.approvalTimeoutSeconds ?? APPROVAL_TIMEOUT_SECONDS,
        downloadLimits: this.#options.downloadLimits,
      });
      const runner = await CampaignRunner.open({
        storage,
        clock,
        logger,
        config: { ...DEFAULT_CAMPAIGN_CONFIG, ...this.#options.campaign },
        execute: (command, state, signal) => this.#execute(command, state, signal),
        onState: (state, event) => this.#onState(state, event),
      });
      return {
        lock,
        runner,
        memory,
        outbox: await Outbox.open(storage),
        installed,
        inventory,
        images,
        executor,
        trusted,
      };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Feeds what starts this cycle: a poll, or the continuation of what the journal holds. */
  async #begin(runner: CampaignRunner): Promise<void> {
    const { state } = runner;
    switch (state.kind) {
      case 'checking':
        return;
      case 'idle':
        if (state.finished === null) await runner.feed({ kind: 'poll' });
        return;
      case 'downloading':
        // The vehicle has not been asked or touched, and the offer may be old: a new check decides. What is
        // on disk of the images is resumed by their hash.
        await runner.feed({ kind: 'abandoned', reason: 'stopped while downloading' });
        await runner.feed({ kind: 'poll' });
        return;
      default:
        this.#tracker.campaign(state.campaign);
        await runner.feed({ kind: 'resumed', nonce: toHex(this.#options.random.bytes(16)) });
        this.#announce(runner.state);
    }
  }

  async #execute(
    command: CampaignCommand,
    state: CampaignState,
    signal: AbortSignal,
  ): Promise<CampaignEvent | undefined> {
    const opened = await this.#open();
    if (command.kind === 'check') {
      this.#checked = await check({ ...this.#options, ...opened, emit: this.#emit }, signal);
      return this.#checked?.event;
    }
    if (command.kind === 'finish') {
      await this.#finish(command.result, opened);
      return { kind: 'closed' };
    }
    return opened.executor.execute(command, state, signal);
  }

  /** Writes down what a campaign has led to. May be repeated. */
  async #finish(result: CampaignResult, opened: Opened): Promise<void> {
    const { memory, installed, inventory, outbox, images, trusted } = opened;
    const { items } = result.plan;
    this.#finished = result;
    for (const { ecu } of items) inventory.forget(ecu);
    const key = planTargetsKey(result.plan);
    if (result.outcome === 'SUCCESS') {
      await installed.set(
        items.map(({ ecu, to }) => ({ ecu, sha256: to.sha256, version: to.version })),
      );
      await trusted.installed(items.map(({ ecu, to }) => ({ ecu, ...to })));
      const kept = Object.fromEntries(items.map((item) => [item.ecu, keptImage(item)]));
      await memory.update({ images: { ...memory.content.images, ...kept } });
      await memory.forget(key);
    } else if (result.outcome === 'ROLLBACK_COMPLETED' || result.outcome === 'ROLLBACK_FAILED') {
      // What the ECU said after the way back; where it said nothing, it is asked by the next cycle.
      await installed.set(
        result.ecus
          .filter(({ reported }) => reported !== null)
          .map(({ name, reported, sha256 }) => ({
            ecu: name,
            sha256: sha256 ?? undefined,
            version: reported!,
          })),
      );
    }
    const remembered = retentionOf(result, memory.recall(key), this.#options.clock.wallMs());
    if (remembered !== undefined) await memory.remember(remembered);
    if (result.outcome !== 'BACKEND_UNAVAILABLE') {
      // The Director learns from the ECUs themselves how it ended.
      const report = reportOf(result, this.#options.vehicle.vin);
      await outbox.put(result.id, report, { checkin: true });
    }
    const keep = new Set(
      Object.values(memory.content.images).map(({ download }) => download.sha256),
    );
    const comesAgain =
      result.outcome === 'BACKEND_UNAVAILABLE' ||
      (remembered !== undefined && remembered.notBeforeWallMs !== null);
    if (comesAgain) for (const { download } of items) keep.add(download.sha256);
    await images.retain(keep);
  }

  #onState(state: CampaignState, event: CampaignEvent): void {
    if (event.kind === 'offered' && state.kind === 'downloading') {
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

  #resultOf(end: 'done' | 'interrupted', state: CampaignState, startMs: number): CycleResult {
    const { clock } = this.#options;
    const seconds = (clock.nowMs() - startMs) / 1000;
    const finished = this.#finished;
    if (finished !== undefined) {
      const { id, outcome, ecus, code, reason, untilWallMs } = finished;
      return {
        outcome,
        ...(code === undefined ? {} : { code }),
        ...(reason === undefined ? {} : { reason }),
        ...(untilWallMs === undefined ? {} : { untilWallMs }),
        campaign: id,
        ecus,
        seconds,
      };
    }
    const checked = this.#checked;
    if (end === 'interrupted' || checked === undefined || checked.event.kind === 'offered') {
      return {
        outcome: 'INTERRUPTED',
        reason: `stopped while ${state.kind}; the next start carries on`,
        ...('campaign' in state ? { campaign: state.campaign.id } : {}),
        ecus: [],
        seconds,
      };
    }
    const { outcome, code, reason } = checked.event;
    const { remembered } = checked;
    const until = remembered?.notBeforeWallMs ?? undefined;
    return {
      outcome: remembered?.outcome ?? outcome,
      ...(code === undefined ? {} : { code }),
      ...(reason === undefined ? {} : { reason }),
      ...(remembered === undefined ? {} : { remembered: true as const }),
      ...(until === undefined ? {} : { untilWallMs: until }),
      ecus: [],
      seconds,
    };
  }

  #isBackendAway(): boolean {
    const event = this.#checked?.event;
    return event?.kind === 'nothing' && event.outcome === 'BACKEND_UNAVAILABLE';
  }

  /** To the status files and the listener; a listener that throws is its own problem. */
  readonly #emit = (event: TmuEvent): void => {
    if (!this.#tracker.take(event)) return;
    try {
      this.#options.events?.(event);
    } catch (error) {
      this.#options.logger.error({ error: describeError(error) }, 'a listener of events threw');
    }
  };
}
