// Telemetry that the backend has not accepted yet: one file for each window, and one with the numbers sent (`telemetry/`).

import { z } from 'zod';
import { type Batch, MAX_SAMPLES, type Sample, sample } from '../../contract/telemetry.ts';
import { toHex } from '../../core/bytes.ts';
import { DurableFile, jsonFile, readFileOnce } from '../../core/durable-file.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { present } from '../../core/present.ts';
import type { Random } from '../../core/random.ts';
import type { Storage } from '../../core/storage.ts';

export const TELEMETRY_FOLDER = 'telemetry';
const HEAD_FILE = `${TELEMETRY_FOLDER}/sent.json`;
const WINDOW_NAME = /^(\d{12})\.json$/;
const SENDER_BYTES = 8;

interface StoreLimits {
  readonly windows: number;
  /** Size of the files. */
  readonly bytes: number;
}
/** At one window a minute, 1024 windows last 17 hours. */
const STORE_LIMITS: StoreLimits = { windows: 1024, bytes: 4 * 1024 * 1024 };

const count = z.number().int().nonnegative();
const headSchema = z.object({
  format: z.literal(1),
  sender: z.string().regex(/^[0-9a-f]{16}$/),
  /** The backend has all batches up to this number. */
  sent: count,
  /** Windows below this index are finished: sent or dropped. */
  first: count,
  /** Samples dropped since the last batch got its number. */
  dropped: count,
  /** The batch that has a number but no answer yet: it is sent again unchanged and never dropped. */
  flight: z.object({ window: count, number: z.number().int().min(1), dropped: count }).nullable(),
});
type Head = z.output<typeof headSchema>;
const headCodec = jsonFile(headSchema);
const windowCodec = jsonFile(z.array(sample).min(1).max(MAX_SAMPLES));

interface Window {
  readonly index: number;
  readonly bytes: number;
  readonly samples: number;
}

export interface BatchStoreOptions {
  readonly storage: Storage;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: StoreLimits;
}

export class BatchStore {
  readonly #options: BatchStoreOptions;
  readonly #file: DurableFile<Head>;
  /** Content of the file, plus the samples that were dropped since it was written. */
  #head: Head;
  /** The oldest window is first. */
  #windows: Window[];
  #next: number;
  #working: Promise<unknown> = Promise.resolve();

  private constructor(options: BatchStoreOptions, file: DurableFile<Head>, windows: Window[]) {
    const head = file.content;
    this.#options = options;
    this.#file = file;
    this.#head = head;
    this.#windows = windows;
    this.#next = Math.max(head.first, (windows.at(-1)?.index ?? -1) + 1);
  }

  /** A damaged file counts as missing; a damaged file of numbers starts a new sender. Throws StorageError. */
  static async open(options: BatchStoreOptions): Promise<BatchStore> {
    const { storage, logger } = options;
    const read = await readFileOnce(storage, HEAD_FILE, headCodec);
    if (typeof read.state === 'object') {
      logger.warn({}, `${storage.location}/${HEAD_FILE} was unreadable: a new sender begins`);
    }
    const head = read.state === 'known' ? read.content : newHead(options.random);
    const windows: Window[] = [];
    for (const name of await storage.list(TELEMETRY_FOLDER)) {
      const match = WINDOW_NAME.exec(name);
      if (match === null) continue;
      const index = Number(match[1]);
      const bytes = await storage.read(fileOf(index));
      const samples = bytes === undefined ? undefined : samplesIn(bytes);
      const isWanted = index >= head.first || index === head.flight?.window;
      if (isWanted && bytes !== undefined && samples !== undefined) {
        windows.push({ index, bytes: bytes.length, samples: samples.length });
        continue;
      }
      if (isWanted) logger.warn({ file: name }, 'a window of telemetry is unreadable');
      await storage.remove(fileOf(index));
    }
    return new BatchStore(options, new DurableFile(storage, HEAD_FILE, headCodec, head), windows);
  }

  /** Number of windows that the backend does not have. */
  get waiting(): number {
    return this.#windows.length;
  }

  /**
   * Keeps one window durably; where there is no room for it, the oldest windows are dropped. Returns how many samples
   * were dropped. On StorageError the given samples count as dropped, too.
   */
  add(samples: readonly Sample[]): Promise<number> {
    return this.#exclusively(() => this.#add(samples));
  }

  /** The next batch, which keeps its number and content until it is `stored` or `refused`. Throws StorageError. */
  next(vin: string): Promise<Batch | undefined> {
    return this.#exclusively(() => this.#nextBatch(vin));
  }

  /** The backend has all batches up to this number. On StorageError the batch is sent once more. */
  stored(number: number): Promise<void> {
    return this.#exclusively(async () => {
      const { flight } = this.#head;
      if (flight !== null && number >= flight.number) await this.#leave(number);
    });
  }

  /** The backend will never accept the batch; the next batch gets its number. Returns how many samples are lost. */
  refused(): Promise<number> {
    return this.#exclusively(async () => {
      const { flight, sent, dropped } = this.#head;
      if (flight === null) return 0;
      const lost = this.#windows.find(({ index }) => index === flight.window)?.samples ?? 0;
      await this.#leave(sent, dropped + flight.dropped + lost);
      return lost;
    });
  }

  async #add(samples: readonly Sample[]): Promise<number> {
    const { storage, limits = STORE_LIMITS } = this.#options;
    const text = new TextEncoder().encode(JSON.stringify(samples));
    const isTooMuch = (): boolean =>
      this.#windows.length >= limits.windows ||
      this.#windows.reduce((sum, { bytes }) => sum + bytes, text.length) > limits.bytes;
    let dropped = 0;
    try {
      while (isTooMuch()) {
        const oldest = this.#windows.find(({ index }) => index !== this.#head.flight?.window);
        if (oldest === undefined) break;
        await this.#drop(oldest);
        dropped += oldest.samples;
      }
      const index = this.#next++;
      await storage.replace(fileOf(index), text);
      this.#windows.push({ index, bytes: text.length, samples: samples.length });
    } catch (error) {
      // The next head stores this number; a crash before that loses only the number.
      this.#head = { ...this.#head, dropped: this.#head.dropped + samples.length };
      throw error;
    }
    return dropped;
  }

  async #nextBatch(vin: string): Promise<Batch | undefined> {
    for (;;) {
      const { flight, sent, dropped } = this.#head;
      const oldest = this.#windows[0];
      if (flight === null) {
        if (oldest === undefined) return undefined;
        const begun = { window: oldest.index, number: sent + 1, dropped };
        await this.#write({ ...this.#head, dropped: 0, flight: begun });
        continue;
      }
      const bytes = await this.#options.storage.read(fileOf(flight.window));
      const samples = bytes === undefined ? undefined : samplesIn(bytes);
      if (samples !== undefined) {
        const { number, dropped: before } = flight;
        return { vin, number, sender: this.#head.sender, dropped: before, samples };
      }
      // The backend may have this batch, so its number is not used again.
      await this.#leave(flight.number);
    }
  }

  async #leave(sent: number, dropped = this.#head.dropped): Promise<void> {
    const { window } = present(this.#head.flight, 'the batch on its way');
    const first = Math.max(this.#head.first, window + 1);
    await this.#write({ ...this.#head, sent, dropped, first, flight: null });
    this.#windows = this.#windows.filter(({ index }) => index > window);
    await this.#remove(window);
  }

  /** Writes the count first: after a crash between the two steps the window counts as finished. */
  async #drop({ index, samples }: Window): Promise<void> {
    const dropped = this.#head.dropped + samples;
    const first = Math.max(this.#head.first, index + 1);
    await this.#write({ ...this.#head, dropped, first });
    this.#windows = this.#windows.filter((window) => window.index !== index);
    await this.#remove(index);
  }

  /** A file that remains is removed at the next start. */
  async #remove(index: number): Promise<void> {
    const { storage, logger } = this.#options;
    await storage.remove(fileOf(index)).catch((error: unknown) => {
      logger.warn({ error: describeError(error) }, 'a window of telemetry cannot be removed');
    });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => {});
    return done;
  }

  async #write(head: Head): Promise<void> {
    this.#head = await this.#file.update(() => head);
  }
}

function fileOf(index: number): string {
  return `${TELEMETRY_FOLDER}/${String(index).padStart(12, '0')}.json`;
}

/** Number of window files among the names in the folder. */
export function windowsAmong(names: readonly string[]): number {
  return names.filter((name) => WINDOW_NAME.test(name)).length;
}

function newHead(random: Random): Head {
  const sender = toHex(random.bytes(SENDER_BYTES));
  return { format: 1, sender, sent: 0, first: 0, dropped: 0, flight: null };
}

function samplesIn(bytes: Uint8Array): Sample[] | undefined {
  const decoded = windowCodec.decode(bytes);
  return 'value' in decoded ? decoded.value : undefined;
}
