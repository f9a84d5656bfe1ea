// The stored sealed session of this device; it guarantees that no sequence number is used twice.

import { z } from 'zod';
import { fromHex, toHex } from '../core/bytes.ts';
import { DurableFile, jsonFile, readFileOnce } from '../core/durable-file.ts';
import type { Storage } from '../core/storage.ts';
import { type SealedSession, SUITES } from '../trust/sealed-session.ts';

const FILE = 'session.json';
/**
 * Sequence numbers that one write reserves, so that the disk is not written for each message. A restart skips the rest
 * of them, which does no harm with 2^48 numbers.
 */
const RESERVED = 64;

const fileSchema = z.object({
  format: z.literal(1),
  serial: z.string(),
  /** Number of opened sessions, durable before it is sent to the server. */
  counter: z.number().int().min(0),
  session: z
    .object({
      id: z.string().regex(/^[0-9a-f]{32}$/),
      suite: z.enum(SUITES),
      secret: z.string().regex(/^[0-9a-f]{64}$/),
      /** All numbers below may have been used. */
      reserved: z.number().int().min(1),
      /** Time of the renewal in milliseconds since 1970, by the device's clock. */
      renewAtMs: z.number(),
    })
    .nullable(),
});
type Content = z.output<typeof fileSchema>;
const codec = jsonFile(fileSchema);

export class SealedState {
  readonly #file: DurableFile<Content>;
  #session: SealedSession | undefined;
  #next: number;

  private constructor(file: DurableFile<Content>) {
    const { content } = file;
    this.#file = file;
    this.#next = content.session?.reserved ?? 1;
    this.#session = sessionOf(content);
  }

  /** Opens the file; a lost or damaged file only causes a new session. */
  static async open(serial: string, storage: Storage): Promise<SealedState> {
    const read = await readFileOnce(storage, FILE, codec);
    const isKnown = read.state === 'known' && read.content.serial === serial;
    const content = isKnown
      ? read.content
      : { format: 1 as const, serial, counter: 0, session: null };
    return new SealedState(new DurableFile(storage, FILE, codec, content));
  }

  get session(): SealedSession | undefined {
    return this.#session;
  }

  /** Time of the renewal in milliseconds since 1970. */
  get renewAtMs(): number {
    return this.#file.content.session?.renewAtMs ?? 0;
  }

  /** Increments the session counter and returns it; durable when it resolves. */
  async count(): Promise<number> {
    const { counter } = await this.#file.update((content) => ({
      ...content,
      counter: content.counter + 1,
    }));
    return counter;
  }

  /**
   * Stores a new session. `lastCounter`: the backend's last counter; below it the device would look like a copy for
   * ever.
   */
  async begin(session: SealedSession, renewAtMs: number, lastCounter: number): Promise<void> {
    const { id, suite, secret } = session;
    await this.#file.update((content) => ({
      ...content,
      counter: Math.max(content.counter, lastCounter),
      session: { id, suite, secret: toHex(secret), reserved: 1 + RESERVED, renewAtMs },
    }));
    this.#session = session;
    this.#next = 1;
  }

  /** A sequence number that was never used in this session. */
  async nextSequence(): Promise<number> {
    const { session } = this.#file.content;
    if (session === null) throw new Error('there is no session');
    const sequence = this.#next;
    if (sequence >= session.reserved) {
      const reserved = sequence + RESERVED;
      await this.#file.update((content) => ({ ...content, session: { ...session, reserved } }));
    }
    this.#next = sequence + 1;
    return sequence;
  }

  /** Ends a session that the backend does not know. */
  async end(id: string): Promise<void> {
    if (this.#session?.id !== id) return;
    this.#session = undefined;
    await this.#file.update((content) => ({ ...content, session: null }));
  }
}

function sessionOf({ serial, session }: Content): SealedSession | undefined {
  if (session === null) return undefined;
  const { id, suite, secret } = session;
  return { id, suite, serial, secret: fromHex(secret) };
}
