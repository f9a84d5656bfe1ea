// Counts the bytes fetched over the network on each day (UTC), durably, and limits images to a budget of bytes per day.

import type { Backend, MetadataBody } from '../campaign/ports.ts';
import type { Clock } from '../core/clock.ts';
import type { TmuMemory, Traffic } from './memory.ts';

export interface TrafficOptions {
  readonly memory: TmuMemory;
  readonly clock: Clock;
  /** Budget for images; null: counted, not limited. */
  readonly bytesPerDay: number | null;
}

/** Bytes that are counted in advance, so that a power cut never makes the day's sum too small. */
const RESERVE_BYTES = 1024 * 1024;
const DAY_MS = 24 * 60 * 60_000;

export class TrafficMeter {
  readonly #options: TrafficOptions;
  /** Bytes counted on `#reservedDay` and not received yet. */
  #reserved = 0;
  #reservedDay = '';
  #metadataBytes = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  /** Sums of today, with what is not stored yet. */
  get today(): Traffic {
    const { memory, clock } = this.#options;
    const day = dayOf(clock.wallMs());
    const known = memory.content.traffic;
    const today = known?.day === day ? known : { day, imageBytes: 0, metadataBytes: 0 };
    return { ...today, metadataBytes: today.metadataBytes + this.#metadataBytes };
  }

  /** When the next day begins. */
  get nextDayWallMs(): number {
    return (Math.floor(this.#options.clock.wallMs() / DAY_MS) + 1) * DAY_MS;
  }

  get bytesPerDay(): number | null {
    return this.#options.bytesPerDay;
  }

  /** Bytes of images that may still be fetched today. */
  get left(): number {
    const { bytesPerDay } = this.#options;
    this.#forgetYesterday();
    if (bytesPerDay === null) return Number.POSITIVE_INFINITY;
    return Math.max(0, bytesPerDay - this.today.imageBytes) + this.#reserved;
  }

  /**
   * Returns how many of `count` bytes of an image may be kept, and counts them. `ahead` is how much of this image
   * is still to come, these bytes included; it saves writes. Throws StorageError.
   */
  async take(count: number, ahead: number): Promise<number> {
    const granted = Math.min(count, this.left);
    if (granted > this.#reserved) await this.#reserve(granted, ahead);
    this.#reserved -= granted;
    return granted;
  }

  /** Releases bytes that were counted and not received, and stores the metadata count. Throws StorageError. */
  async settle(): Promise<void> {
    this.#forgetYesterday();
    const back = this.#reserved;
    const { today } = this;
    if (back === 0 && this.#metadataBytes === 0) return;
    this.#reserved = 0;
    await this.#write({ ...today, imageBytes: Math.max(0, today.imageBytes - back) });
  }

  /** Wraps a backend so that its metadata is counted. */
  counting(backend: Backend): Backend {
    const count = (length: number): void => {
      this.#metadataBytes += length;
    };
    return {
      latest: (ecus, etag, signal) => backend.latest(ecus, etag, signal),
      nonce: (signal) => backend.nonce(signal),
      download: (release, nonce, offset, signal) =>
        backend.download(release, nonce, offset, signal),
      report: (report, signal) => backend.report(report, signal),
      campaign: (status, signal) => backend.campaign(status, signal),
      checkin: (checkin, signal) => backend.checkin(checkin, signal),
      time: (nonces, signal) => backend.time(nonces, signal),
      metadata: async (repository, file, signal): Promise<MetadataBody> => {
        const body = await backend.metadata(repository, file, signal);
        return body.kind === 'body' ? { ...body, chunks: countChunks(body.chunks, count) } : body;
      },
    };
  }

  async #reserve(count: number, ahead: number): Promise<void> {
    const { today } = this;
    const wanted = Math.min(Math.max(count, Math.min(RESERVE_BYTES, ahead)), this.left);
    const more = wanted - this.#reserved;
    await this.#write({ ...today, imageBytes: today.imageBytes + more });
    this.#reserved += more;
    this.#reservedDay = today.day;
  }

  #forgetYesterday(): void {
    if (this.#reservedDay !== this.today.day) this.#reserved = 0;
  }

  async #write(traffic: Traffic): Promise<void> {
    const counted = this.#metadataBytes;
    await this.#options.memory.update({ traffic });
    this.#metadataBytes -= counted;
  }
}

async function* countChunks(
  chunks: AsyncIterable<Uint8Array>,
  count: (length: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}

function dayOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10);
}
