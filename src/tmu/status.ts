// `progress.txt` and `status.json`: what is happening, for scripts and people. Written whole, at most five times a second.

import type { CampaignState } from '../campaign/state.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Storage } from '../core/storage.ts';
import type { AttackCode } from '../trust/attack.ts';
import type { RoleVersions } from '../trust/repository.ts';

export const STATUS_FILE = 'status.json';
export const PROGRESS_FILE = 'progress.txt';

/** Shortest time between two writes: at most five a second. */
const LEAST_INTERVAL_MS = 200;

export interface TransferStatus {
  readonly sent: number;
  readonly total: number;
  /** Bytes per second since the transfer began in this process. */
  readonly bytesPerSecond: number;
  /** null before there is a rate */
  readonly secondsLeft: number | null;
}

export interface Status {
  readonly state: CampaignState['kind'];
  readonly campaign: string | null;
  /** Outcome of the last cycle that ended. */
  readonly outcome: string | null;
  readonly code: string | null;
  readonly reason: string | null;
  readonly download: (TransferStatus & { readonly ecu: string; readonly file: string }) | null;
  readonly ecus: Readonly<
    Record<
      string,
      {
        readonly from: string;
        readonly to: string;
        readonly step: string | null;
        readonly transfer: TransferStatus | null;
      }
    >
  >;
  /** The versions of both repositories that were verified, and when. */
  readonly verified: {
    readonly at: string;
    readonly director: RoleVersions;
    readonly images: RoleVersions;
  } | null;
  /** Attack detected since the last check that passed. */
  readonly attack: {
    readonly code: AttackCode;
    readonly where: string;
    readonly reason: string;
  } | null;
  readonly lastError: string | null;
  /** ISO 8601 */
  readonly nextPoll: string | null;
}

export type Progress = number | 'ERROR';

const INITIAL: Status = {
  state: 'idle',
  campaign: null,
  outcome: null,
  code: null,
  reason: null,
  download: null,
  ecus: {},
  verified: null,
  attack: null,
  lastError: null,
  nextPoll: null,
};

export class StatusFiles {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #status: Status = INITIAL;
  #progress: Progress | undefined;
  #writtenProgress: Progress | undefined;
  #dirty = false;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: {
    readonly storage: Storage;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get status(): Status {
    return this.#status;
  }

  set(change: Partial<Status>, progress?: Progress): void {
    this.#status = { ...this.#status, ...change };
    if (progress !== undefined) this.#progress = progress;
    this.#dirty = true;
    this.#writeInTime();
  }

  /** The latest status is on disk when it resolves. */
  async flush(): Promise<void> {
    while (this.#dirty || this.#writing !== undefined) {
      this.#write();
      await this.#writing;
    }
  }

  #writeInTime(): void {
    const waitMs = this.#writtenMs + LEAST_INTERVAL_MS - this.#clock.nowMs();
    if (waitMs <= 0) this.#write();
    else this.#timer ??= this.#clock.after('status-write', waitMs, () => this.#write());
  }

  /** One write at a time: a slow disk gets the newest status next, not a queue of old ones. */
  #write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#writing !== undefined) return;
    this.#writtenMs = this.#clock.nowMs();
    this.#dirty = false;
    this.#writing = this.#store().finally(() => {
      this.#writing = undefined;
      if (this.#dirty) this.#writeInTime();
    });
  }

  /** A status that cannot be written does not stop an update; it is logged. */
  async #store(): Promise<void> {
    const encoder = new TextEncoder();
    const updated = new Date(this.#clock.wallMs()).toISOString();
    const progress = this.#progress;
    try {
      const json = JSON.stringify(
        { ...this.#status, progress: progress ?? null, updated },
        undefined,
        2,
      );
      await this.#storage.replace(STATUS_FILE, encoder.encode(`${json}\n`));
      if (progress !== undefined && progress !== this.#writtenProgress) {
        await this.#storage.replace(PROGRESS_FILE, encoder.encode(`${progress}\n`));
        this.#writtenProgress = progress;
      }
    } catch (error) {
      this.#logger.warn({ error: describeError(error) }, 'the status cannot be written');
    }
  }
}

/** Rate and estimated remaining time of one transfer. */
export class RateMeter {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #startBytes: number;

  constructor(clock: Clock, startBytes: number) {
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#startBytes = startBytes;
  }

  at(sent: number, total: number): TransferStatus {
    const seconds = (this.#clock.nowMs() - this.#startMs) / 1000;
    const moved = sent - this.#startBytes;
    const bytesPerSecond = seconds > 0 && moved > 0 ? Math.round(moved / seconds) : 0;
    return {
      sent,
      total,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? Math.ceil((total - sent) / bytesPerSecond) : null,
    };
  }
}
