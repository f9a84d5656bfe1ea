// One small durable file: read at the start, replaced as a whole, never half of it.

import type { z } from 'zod';
import { describeError } from './errors.ts';
import { firstIssue } from './schema-issue.ts';
import type { Storage } from './storage.ts';

/** How a content is written to its file and read from it. */
export interface FileCodec<T> {
  encode(content: T): Uint8Array;
  /** `fault`: what is wrong with the bytes. */
  decode(bytes: Uint8Array): { readonly value: T } | { readonly fault: string };
}

/** `damaged`: what is wrong with the file; nothing in it is used. */
export type FileState = 'known' | 'missing' | { readonly damaged: string };

export type Read<T> =
  | { readonly state: 'known'; readonly content: T }
  | { readonly state: Exclude<FileState, 'known'> };

/** Throws StorageError. */
export async function readFileOnce<T>(
  storage: Storage,
  name: string,
  codec: Pick<FileCodec<T>, 'decode'>,
): Promise<Read<T>> {
  const bytes = await storage.read(name);
  if (bytes === undefined) return { state: 'missing' };
  const decoded = codec.decode(bytes);
  return 'value' in decoded
    ? { state: 'known', content: decoded.value }
    : { state: { damaged: decoded.fault } };
}

export class DurableFile<T> {
  readonly #storage: Storage;
  readonly #name: string;
  readonly #codec: FileCodec<T>;
  #content: T;
  /** Writes run one after the other: two replacements at once would share a temporary file. */
  #tail: Promise<void> = Promise.resolve();
  #poweredOff = false;

  /** `content`: what was read, or the initial content where the file is missing or damaged. */
  constructor(storage: Storage, name: string, codec: FileCodec<T>, content: T) {
    this.#storage = storage;
    this.#name = name;
    this.#codec = codec;
    this.#content = content;
  }

  /** A missing or damaged file has the content `initial`, and nothing is written. Throws StorageError. */
  static async open<T>(
    storage: Storage,
    name: string,
    codec: FileCodec<T>,
    initial: T,
  ): Promise<{ readonly file: DurableFile<T>; readonly state: FileState }> {
    const read = await readFileOnce(storage, name, codec);
    const content = read.state === 'known' ? read.content : initial;
    return { file: new DurableFile(storage, name, codec, content), state: read.state };
  }

  /** Replaces whatever is there; durable when it resolves. Throws StorageError. */
  static async create<T>(
    storage: Storage,
    name: string,
    codec: FileCodec<T>,
    content: T,
  ): Promise<DurableFile<T>> {
    await storage.replace(name, readable(codec, content));
    return new DurableFile(storage, name, codec, content);
  }

  /** The durable content, which the next start finds. */
  get content(): T {
    return this.#content;
  }

  /**
   * Calls `change` with the content when all earlier updates are done; if it returns the same object, nothing is written.
   * The change is durable when this resolves. Rejects with StorageError, and with what `change` throws: then nothing has
   * changed, and later updates still run.
   */
  update(change: (content: T) => T): Promise<T> {
    const done = this.#tail.then(async () => {
      const content = change(this.#content);
      if (content !== this.#content && !this.#poweredOff) {
        await this.#storage.replace(this.#name, readable(this.#codec, content));
        this.#content = content;
      }
      return this.#content;
    });
    this.#tail = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Stops all writes, as a loss of power does. */
  powerOff(): void {
    this.#poweredOff = true;
  }

  /** Resolves when every update so far is durable or has failed. */
  settled(): Promise<void> {
    return this.#tail;
  }
}

/** Throws for a content that `decode` would refuse at the next start. */
function readable<T>(codec: FileCodec<T>, content: T): Uint8Array {
  const bytes = codec.encode(content);
  const decoded = codec.decode(bytes);
  if ('fault' in decoded) throw new Error(`a content that cannot be read again: ${decoded.fault}`);
  return bytes;
}

/** JSON that people can read, with a line feed at the end. */
export function jsonFile<T>(schema: z.ZodType<T>): FileCodec<T> {
  return {
    encode: (content) => new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`),
    decode(bytes) {
      try {
        return parsedBy(schema, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
      } catch (error) {
        return { fault: describeError(error) };
      }
    },
  };
}

/** Parses `text` as JSON of this schema. Throws SyntaxError. */
export function parsedBy<T>(
  schema: z.ZodType<T>,
  text: string,
): { readonly value: T } | { readonly fault: string } {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return { value: parsed.data };
  const issue = firstIssue(parsed.error);
  return { fault: `${issue.path.join('.')}: ${issue.message}` };
}
