// Remote configuration, commands and telemetry of one vehicle, and its contact with the backend about them.

import type { ApprovalPhase } from '../../campaign/ports.ts';
import { catalogueDigest } from '../../contract/catalogue-digest.ts';
import type { Configuration } from '../../contract/configuration.ts';
import type { EcuServices } from '../../contract/ecu-services.ts';
import { MAX_COMMANDS, type SyncAnswer, type SyncRequest } from '../../contract/sync.ts';
import type { Clock } from '../../core/clock.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { defined } from '../../core/optional.ts';
import { jitter, type Random } from '../../core/random.ts';
import type { Storage } from '../../core/storage.ts';
import type { TmuListener } from '../tmu-event.ts';
import { BackendTime } from './backend-time.ts';
import { BatchStore } from './batch-store.ts';
import { CommandQueue } from './command-queue.ts';
import { type CommandLimits, VehicleCommandStore } from './command-store.ts';
import { VehicleConfigurationStore } from './configuration-store.ts';
import type { EcuGate } from './ecu-gate.ts';
import type { ServiceBackend } from './remote-backend.ts';
import { Telemetry } from './telemetry.ts';
import { WakeSignal } from './wake-signal.ts';

export interface RemoteFeaturesOptions {
  readonly vin: string;
  readonly ecus: EcuServices;
  /** Opened once the state directory is taken. */
  readonly backend: () => Promise<ServiceBackend>;
  readonly gate: EcuGate;
  /** Of the vehicle file. */
  readonly approval: Readonly<Record<ApprovalPhase, 'ask' | 'none'>>;
  /** There is a console on which the driver can be asked. */
  readonly canAsk: boolean;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** From one contact to the next, when there is nothing to tell. */
  readonly syncIntervalMs?: number | undefined;
  readonly commandLimits?: CommandLimits;
}

const SYNC_MS = 10_000;
const SYNC_JITTER = 0.2;
/** Contacts with a backend that is not there become rarer up to this. */
const LONGEST_SYNC_MS = 10 * 60_000;
/** A single cycle waits for its commands no longer than this. */
const DRAIN_MS = 60_000;

export class RemoteFeatures {
  readonly #options: RemoteFeaturesOptions;
  readonly #backend: ServiceBackend;
  readonly #configuration: VehicleConfigurationStore;
  readonly #commands: VehicleCommandStore;
  readonly #queue: CommandQueue;
  readonly #telemetry: Telemetry;
  readonly #time: BackendTime;
  readonly #catalogueDigest: string;
  readonly #news: WakeSignal;
  #wantsCatalogue = false;
  #contact: 'found' | 'lost' | undefined;

  private constructor(
    options: RemoteFeaturesOptions,
    parts: {
      readonly backend: ServiceBackend;
      readonly configuration: VehicleConfigurationStore;
      readonly commands: VehicleCommandStore;
      readonly store: BatchStore;
      readonly time: BackendTime;
      readonly news: WakeSignal;
    },
  ) {
    this.#options = options;
    this.#backend = parts.backend;
    this.#configuration = parts.configuration;
    this.#commands = parts.commands;
    this.#time = parts.time;
    this.#news = parts.news;
    this.#catalogueDigest = catalogueDigest(options.ecus.catalogue);
    const configuration = (): Configuration => this.configuration;
    const limits = (): Configuration['limits'] => this.configuration.limits;
    this.#queue = new CommandQueue({ ...options, ...parts, limits });
    this.#telemetry = new Telemetry({ ...options, ...parts, configuration });
  }

  /** Throws StorageError. */
  static async open(options: RemoteFeaturesOptions): Promise<RemoteFeatures> {
    const { ecus, approval, canAsk } = options;
    const news = new WakeSignal();
    const time = new BackendTime(options.clock);
    const onChange = (): void => news.raise();
    const vehicle = { ecus, approval, canAsk };
    return new RemoteFeatures(options, {
      backend: await options.backend(),
      configuration: await VehicleConfigurationStore.open({ ...options, vehicle, onChange }),
      commands: await VehicleCommandStore.open({ ...options, time, onChange }),
      store: await BatchStore.open(options),
      time,
      news,
    });
  }

  /** What is in force. */
  get configuration(): Configuration {
    return this.#configuration.inForce;
  }

  /** Until the signal comes; resolves when nothing of it is under way any more. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#stayInContact(signal),
      this.#queue.run(signal),
      this.#telemetry.run(signal),
    ]);
  }

  /**
   * Beside one cycle of the daemon: what was begun in an earlier life is settled meanwhile; afterwards one contact,
   * what follows from it, and one reading.
   */
  async beside<T>(cycle: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const end = new AbortController();
    const stop = (): void => end.abort();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const commands = this.#queue.run(end.signal);
    try {
      const result = await cycle();
      if (!signal.aborted && (await this.#meet(signal)) === undefined) {
        await this.#queue.drained(DRAIN_MS, signal);
        await this.#telemetry.once(signal);
        if (!signal.aborted) await this.#meet(signal);
      }
      return result;
    } finally {
      end.abort();
      signal.removeEventListener('abort', stop);
      await commands;
    }
  }

  /** Not while `run` or `beside` is under way. */
  async close(): Promise<void> {
    await this.#commands.close();
  }

  async #stayInContact(signal: AbortSignal): Promise<void> {
    const { clock, random, syncIntervalMs = SYNC_MS } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const failure = await this.#meet(signal);
      failures = failure === undefined ? 0 : failures + 1;
      const longest = Math.max(syncIntervalMs, LONGEST_SYNC_MS);
      const backedOff = Math.min(longest, syncIntervalMs * 2 ** Math.min(failures, 16));
      const inMs = Math.max(failure?.retryAfterMs ?? 0, jitter(random, backedOff, SYNC_JITTER));
      // News is for a backend that answers; one that does not is left in peace.
      const wake = failure === undefined ? this.#news : new WakeSignal();
      await wake.wait(clock, 'service-contact', inMs, signal);
    }
  }

  /** One contact. Undefined: it was one. Never rejects. */
  async #meet(signal: AbortSignal): Promise<{ readonly retryAfterMs?: number } | undefined> {
    const { clock, logger } = this.#options;
    // What comes from now on is told by the next one.
    this.#news.clear();
    const request = this.#request();
    const sentMs = clock.nowMs();
    try {
      const answer = await this.#backend.sync(request, signal);
      if (signal.aborted) return undefined;
      if ('kind' in answer) {
        this.#changed('lost', answer.reason);
        return answer;
      }
      this.#changed('found');
      this.#time.heard(answer.value.now, sentMs);
      await this.#take(answer.value, request);
      return undefined;
    } catch (error) {
      logger.error({ error: describeError(error) }, 'a contact with the backend failed');
      return {};
    }
  }

  #request(): SyncRequest {
    const { vin, ecus } = this.#options;
    return {
      vin,
      configuration: this.#configuration.tell(),
      commands: {
        reports: this.#commands.reports(),
        ...(this.#wantsCatalogue ? { catalogue: ecus.catalogue } : {}),
        catalogueDigest: this.#catalogueDigest,
      },
    };
  }

  async #take({ configuration, commands }: SyncAnswer, { commands: told }: SyncRequest) {
    this.#wantsCatalogue = commands.wantsCatalogue;
    const before = this.configuration;
    await this.#configuration.take(configuration);
    if (this.configuration !== before) this.#telemetry.changed();
    await this.#queue.take(commands, told.reports);
    // A backend that asks again for what it has just been given has to wait for its turn.
    const asksForCatalogue = commands.wantsCatalogue && told.catalogue === undefined;
    const hasMore = told.reports.length === MAX_COMMANDS && commands.acknowledged.length > 0;
    if (asksForCatalogue || hasMore) this.#news.raise();
  }

  #changed(status: 'found' | 'lost', reason?: string): void {
    if (status === this.#contact) return;
    this.#contact = status;
    this.#options.emit({ kind: 'contact', status, ...defined({ reason }) });
    if (status === 'found') this.#telemetry.found();
  }
}
