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
  /** Opened once the state directory is locked. */
  readonly backend: () => Promise<ServiceBackend>;
  readonly gate: EcuGate;
  /** Approval policy of the vehicle file. */
  readonly approval: Readonly<Record<ApprovalPhase, 'ask' | 'none'>>;
  /** Whether there is a console on which the driver can be asked. */
  readonly canAsk: boolean;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** Time between two contacts when there is nothing to report. */
  readonly syncIntervalMs?: number | undefined;
  readonly commandLimits?: CommandLimits;
}

const SYNC_MS = 10_000;
const SYNC_JITTER = 0.2;
/** Longest interval between contacts while the backend does not answer. */
const LONGEST_SYNC_MS = 10 * 60_000;
/** Longest time that a single cycle waits for its commands. */
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

  /** The configuration in force. */
  get configuration(): Configuration {
    return this.#configuration.inForce;
  }

  /** Runs until the signal; resolves when none of its work is running any more. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#stayInContact(signal),
      this.#queue.run(signal),
      this.#telemetry.run(signal),
    ]);
  }

  /**
   * Runs beside one cycle of the daemon. Meanwhile commands that began before a restart are settled. Afterwards it
   * makes one contact, handles what follows from it, and takes one reading.
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

  /** Must not be called while `run` or `beside` is running. */
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
      // A new report ends the pause only while the backend answers.
      const wake = failure === undefined ? this.#news : new WakeSignal();
      await wake.wait(clock, 'service-contact', inMs, signal);
    }
  }

  /** One contact. Undefined: it succeeded. Never rejects. */
  async #meet(signal: AbortSignal): Promise<{ readonly retryAfterMs?: number } | undefined> {
    const { clock, logger } = this.#options;
    // Changes from now on belong to the next contact.
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
    // A backend that asks again for the catalogue it has just received gets it with the next regular contact.
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
