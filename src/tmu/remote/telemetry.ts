// Reads the configured DIDs, collects them in windows, and uploads the windows in order and without loss.

import type { Configuration } from '../../contract/configuration.ts';
import type { EcuServices, ReadResult } from '../../contract/ecu-services.ts';
import { MAX_SAMPLES } from '../../contract/telemetry.ts';
import type { BackendFailure } from '../../core/backend-failure.ts';
import type { Clock } from '../../core/clock.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { jitter, type Random } from '../../core/random.ts';
import type { TmuListener } from '../tmu-event.ts';
import type { BatchStore } from './batch-store.ts';
import type { EcuGate } from './ecu-gate.ts';
import type { ServiceBackend } from './remote-backend.ts';
import { TelemetryWindow } from './telemetry-window.ts';
import { WakeSignal } from './wake-signal.ts';

export interface TelemetryOptions {
  readonly vin: string;
  readonly ecus: EcuServices;
  readonly gate: EcuGate;
  readonly store: BatchStore;
  readonly backend: ServiceBackend;
  readonly configuration: () => Configuration;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
}

const RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 10 * 60_000;
const RETRY_JITTER = 0.2;
/** The backend has looked at the batch and rejects it as invalid; it would do so every time. */
const REFUSALS = ['HTTP_400', 'HTTP_413', 'HTTP_422'];

/** A crash loses the open window, at most `uploadInterval`; an orderly end keeps it. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #window = new TelemetryWindow();
  /** Raised when the configuration has changed. */
  readonly #changed = new WakeSignal();
  /** Raised when there is something to upload. */
  readonly #full = new WakeSignal();
  /** Raised when the backend answers again. */
  readonly #found = new WakeSignal();
  /** ECUs that did not answer last time; the warning is given once. */
  readonly #silent = new Set<string>();

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /** The configuration has changed. */
  changed(): void {
    this.#changed.raise();
  }

  /** The backend answers again: a pause before the next upload ends. */
  found(): void {
    this.#found.raise();
  }

  /** Runs until the signal; resolves when nothing is running any more and all readings are on disk. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#readOn(signal), this.#uploadOn(signal)]);
  }

  /** Takes one reading and uploads it with everything that waits. */
  async once(signal: AbortSignal): Promise<void> {
    await this.#readAll(signal);
    await this.#close();
    await this.#upload(signal);
  }

  async #readOn(signal: AbortSignal): Promise<void> {
    const { clock, configuration } = this.#options;
    let readMs = clock.nowMs();
    let openedMs = clock.nowMs();
    while (!signal.aborted) {
      const { pollInterval, uploadInterval, dids } = configuration();
      const nowMs = clock.nowMs();
      // A due time that an earlier, longer interval set must not delay the next reading.
      readMs = Math.min(readMs, nowMs + pollInterval * 1000);
      if (dids.length > 0 && nowMs >= readMs) {
        readMs = nowMs + pollInterval * 1000;
        await this.#readAll(signal);
      }
      if (clock.nowMs() >= openedMs + uploadInterval * 1000) await this.#close();
      if (this.#window.isEmpty) openedMs = clock.nowMs();
      const dues = [
        ...(dids.length === 0 ? [] : [readMs]),
        ...(this.#window.isEmpty ? [] : [openedMs + uploadInterval * 1000]),
      ];
      const waitMs = dues.length === 0 ? undefined : Math.max(0, Math.min(...dues) - clock.nowMs());
      await this.#changed.wait(clock, 'telemetry', waitMs, signal);
    }
    await this.#close();
  }

  async #readAll(signal: AbortSignal): Promise<void> {
    const { configuration, gate } = this.#options;
    const byEcu = Map.groupBy(configuration().dids, (did) => partsOf(did).ecu);
    for (const [ecu, dids] of byEcu) {
      if (signal.aborted) return;
      // The ECU is occupied; the next round reads it.
      const leave = gate.tryEnter(ecu);
      if (leave === undefined) continue;
      try {
        await this.#readOne(ecu, dids, signal);
      } finally {
        leave();
      }
    }
  }

  async #readOne(ecu: string, dids: readonly string[], signal: AbortSignal): Promise<void> {
    const { ecus, clock, emit } = this.#options;
    const numbers = dids.map((did) => partsOf(did).number);
    let read: ReadResult;
    try {
      read = await ecus.read(ecu, numbers, signal);
    } catch (error) {
      read = { ok: false, code: 'FAILED', reason: describeError(error) };
    }
    if (read.ok) {
      this.#silent.delete(ecu);
      for (const reading of read.readings) this.#window.add(reading, clock.wallMs());
    } else if (!this.#silent.has(ecu) && !signal.aborted) {
      this.#silent.add(ecu);
      emit({ kind: 'warning', ecu, text: `${ecu} cannot be read for telemetry: ${read.reason}` });
    }
  }

  async #close(): Promise<void> {
    if (this.#window.isEmpty) return;
    const { store, emit, logger } = this.#options;
    const samples = this.#window.close().slice(0, MAX_SAMPLES);
    const count = samples.length;
    try {
      const dropped = await store.add(samples);
      emit({ kind: 'telemetry', status: 'stored', samples: count, waiting: store.waiting });
      if (dropped > 0) this.#lost(dropped, 'there is no room for more while the backend is away');
    } catch (error) {
      logger.error({ error: describeError(error) }, 'a window of telemetry cannot be kept');
      this.#lost(count, `it cannot be written: ${describeError(error)}`);
    }
    this.#full.raise();
  }

  #lost(samples: number, why: string): void {
    const { emit, store } = this.#options;
    emit({ kind: 'telemetry', status: 'dropped', samples, waiting: store.waiting });
    emit({ kind: 'warning', text: `telemetry: ${samples} samples are lost: ${why}` });
  }

  async #uploadOn(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      this.#full.clear();
      this.#found.clear();
      const failure = await this.#upload(signal);
      failures = failure === undefined ? 0 : failures + 1;
      if (failure === undefined) {
        await this.#full.wait(clock, 'telemetry-upload', undefined, signal);
        continue;
      }
      const pauseMs = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.min(failures - 1, 16));
      const waitMs = Math.max(failure.retryAfterMs ?? 0, jitter(random, pauseMs, RETRY_JITTER));
      await this.#found.wait(clock, 'telemetry-retry', waitMs, signal);
    }
  }

  /** Uploads everything that waits, until one upload fails. */
  async #upload(signal: AbortSignal): Promise<BackendFailure | undefined> {
    const { store, backend, vin, emit, logger } = this.#options;
    try {
      while (!signal.aborted) {
        const batch = await store.next(vin);
        if (batch === undefined) return undefined;
        const answer = await backend.upload(batch, signal);
        if (signal.aborted) return undefined;
        const samples = batch.samples.length;
        if ('stored' in answer) {
          if (answer.stored < batch.number) return behind(answer.stored, batch.number);
          await store.stored(answer.stored);
          const { waiting } = store;
          emit({ kind: 'telemetry', status: 'uploaded', number: batch.number, samples, waiting });
        } else if (answer.sealed === true && REFUSALS.includes(answer.code)) {
          this.#lost(await store.refused(), answer.reason);
        } else {
          logger.debug({ reason: answer.reason, waiting: store.waiting }, 'telemetry is kept');
          return answer;
        }
      }
    } catch (error) {
      logger.error({ error: describeError(error) }, 'telemetry cannot be uploaded');
      return { kind: 'failed', code: 'STORAGE', reason: describeError(error), transient: true };
    }
    return undefined;
  }
}

function behind(stored: number, number: number): BackendFailure {
  const reason = `the backend has only the batches up to ${stored} after number ${number}`;
  return { kind: 'failed', code: 'BEHIND', reason, transient: true };
}

/** `BMS.F40D`: the ECU and the number of the DID. */
function partsOf(did: string): { readonly ecu: string; readonly number: number } {
  const [ecu = '', digits = ''] = did.split('.');
  return { ecu, number: Number.parseInt(digits, 16) };
}
