// The memory of an ECU of another make: one bank, and a few durable facts beside it. The bytes can be read from outside.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Storage } from '../../core/storage.ts';
import type { EcuTruth, ReadFile } from '../truth.ts';

const FLASH = 'flash.bin';
const FACTS = 'facts.json';

const factsSchema = z.object({
  /** The bank holds a whole image. */
  valid: z.boolean(),
  /** The next boot stays in the bootloader: somebody wants to program. */
  programming: z.boolean(),
  /** SHA-256 of the image that has run. */
  proven: z.string().nullable(),
});
type Facts = z.output<typeof factsSchema>;

export class PlainMemory {
  readonly #storage: Storage;
  #facts: Facts = { valid: false, programming: false, proven: null };
  #image: Uint8Array = new Uint8Array();

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** As after power-on. `factory`: what a new ECU holds. */
  static async open(storage: Storage, factory: Uint8Array): Promise<PlainMemory> {
    const memory = new PlainMemory(storage);
    const facts = factsOf(await storage.read(FACTS));
    if (facts === undefined) {
      await storage.replace(FLASH, factory);
      await memory.#keep({ valid: true, programming: false, proven: hashOf(factory) });
      memory.#image = factory;
    } else {
      memory.#facts = facts;
      memory.#image = (await storage.read(FLASH)) ?? new Uint8Array();
    }
    return memory;
  }

  get valid(): boolean {
    return this.#facts.valid;
  }

  get programming(): boolean {
    return this.#facts.programming;
  }

  /** The image has run before. */
  get isProven(): boolean {
    return this.#facts.proven === this.sha256;
  }

  get sha256(): string {
    return hashOf(this.#image);
  }

  get length(): number {
    return this.#image.length;
  }

  /** The last word of the first line of the image. Undefined: it holds none. */
  get version(): string | undefined {
    if (!this.valid) return undefined;
    const end = this.#image.indexOf(0x0a);
    return new TextDecoder('latin1').decode(this.#image.subarray(0, end)).split(' ').at(-1);
  }

  async wantProgramming(programming: boolean): Promise<void> {
    await this.#keep({ ...this.#facts, programming });
  }

  async prove(): Promise<void> {
    if (!this.isProven) await this.#keep({ ...this.#facts, proven: this.sha256 });
  }

  async erase(): Promise<void> {
    await this.#keep({ ...this.#facts, valid: false });
    this.#image = new Uint8Array();
    await this.#storage.replace(FLASH, this.#image);
  }

  async append(bytes: Uint8Array): Promise<void> {
    const offset = this.#image.length;
    const grown = new Uint8Array(offset + bytes.length);
    grown.set(this.#image);
    grown.set(bytes, offset);
    this.#image = grown;
    const file = await this.#storage.open(FLASH);
    await file.write(offset, bytes);
    await file.close();
  }

  /** Everything that was appended is durable. */
  async sync(): Promise<void> {
    const file = await this.#storage.open(FLASH);
    await file.sync();
    await file.close();
  }

  async makeValid(): Promise<void> {
    await this.#keep({ ...this.#facts, valid: true });
  }

  async #keep(facts: Facts): Promise<void> {
    await this.#storage.replace(FACTS, new TextEncoder().encode(JSON.stringify(facts)));
    this.#facts = facts;
  }
}

/** By the bytes on its disk. It has neither counter nor trial. */
export function readPlainTruth(read: ReadFile): EcuTruth {
  const facts = factsOf(read(FACTS));
  const flash = read(FLASH);
  const valid = facts?.valid === true && flash !== undefined;
  return {
    sha256: valid ? hashOf(flash) : undefined,
    standing: valid ? 'settled' : 'none',
    counter: 0,
    imageCounter: 0,
    troubleCodes: [],
  };
}

function factsOf(bytes: Uint8Array | undefined): Facts | undefined {
  if (bytes === undefined) return undefined;
  try {
    return factsSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  } catch {
    return undefined;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
