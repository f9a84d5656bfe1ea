// The memory of an ECU of another make: one bank and a few durable facts. Its bytes can be read from outside.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DurableFile, jsonFile, readFileOnce } from '../../core/durable-file.ts';
import type { Storage } from '../../core/storage.ts';
import type { EcuContents, ReadFile } from '../ecu-contents.ts';

const FLASH = 'flash.bin';
const FACTS = 'facts.json';

const factsSchema = z.object({
  /** The bank holds a complete image. */
  valid: z.boolean(),
  /** The next boot stays in the bootloader for programming. */
  programming: z.boolean(),
  /** SHA-256 of the image that has run. */
  proven: z.string().nullable(),
});
type Facts = z.output<typeof factsSchema>;
const codec = jsonFile(factsSchema);

export class PlainMemory {
  readonly #storage: Storage;
  readonly #file: DurableFile<Facts>;
  #image: Uint8Array;

  private constructor(storage: Storage, facts: Facts, image: Uint8Array) {
    this.#storage = storage;
    this.#file = new DurableFile(storage, FACTS, codec, facts);
    this.#image = image;
  }

  /** Opens the memory as after power-on. `factory`: the image of a new ECU. */
  static async open(storage: Storage, factory: Uint8Array): Promise<PlainMemory> {
    const read = await readFileOnce(storage, FACTS, codec);
    if (read.state === 'known') {
      return new PlainMemory(
        storage,
        read.content,
        (await storage.read(FLASH)) ?? new Uint8Array(),
      );
    }
    await storage.replace(FLASH, factory);
    const facts = { valid: true, programming: false, proven: hashOf(factory) };
    await DurableFile.create(storage, FACTS, codec, facts);
    return new PlainMemory(storage, facts, factory);
  }

  get valid(): boolean {
    return this.#file.content.valid;
  }

  get programming(): boolean {
    return this.#file.content.programming;
  }

  /** Whether the image has run before. */
  get isProven(): boolean {
    return this.#file.content.proven === this.sha256;
  }

  get sha256(): string {
    return hashOf(this.#image);
  }

  get length(): number {
    return this.#image.length;
  }

  /** The last word in the first line of the image. Undefined: there is no valid image. */
  get version(): string | undefined {
    if (!this.valid) return undefined;
    const end = this.#image.indexOf(0x0a);
    return new TextDecoder('latin1').decode(this.#image.subarray(0, end)).split(' ').at(-1);
  }

  async wantProgramming(programming: boolean): Promise<void> {
    await this.#keep({ ...this.#file.content, programming });
  }

  async prove(): Promise<void> {
    if (!this.isProven) await this.#keep({ ...this.#file.content, proven: this.sha256 });
  }

  async erase(): Promise<void> {
    await this.#keep({ ...this.#file.content, valid: false });
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

  /** Makes everything durable that was appended. */
  async sync(): Promise<void> {
    const file = await this.#storage.open(FLASH);
    await file.sync();
    await file.close();
  }

  async makeValid(): Promise<void> {
    await this.#keep({ ...this.#file.content, valid: true });
  }

  async #keep(facts: Facts): Promise<void> {
    await this.#file.update(() => facts);
  }
}

/** Contents by the bytes on its disk. The ECU has neither a counter nor a trial. */
export function readPlainContents(read: ReadFile): EcuContents {
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
  const decoded = codec.decode(bytes);
  return 'value' in decoded ? decoded.value : undefined;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
