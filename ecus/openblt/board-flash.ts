// The flash of a simulated OpenBLT board: sectors, bytes that were erased, and the checksum that lets the application start.

import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { equalBytes, uintToBytes } from '../../src/core/bytes.ts';
import { DurableFile, jsonFile } from '../../src/core/durable-file.ts';
import type { Storage } from '../../src/core/storage.ts';
import type { MemoryImage } from '../../src/image/memory-image.ts';
import { regionsOf } from '../../src/vehicle/memory.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import { ForeignFlash } from '../foreign/flash.ts';

const bootSchema = z.strictObject({
  /** Ranges that were programmed since their erase, and the CRC-32 over them; null: the programming was not ended. */
  ranges: z.array(z.strictObject({ address: z.number(), size: z.number() })),
  crc32: z.number().nullable(),
});
type BootNote = z.infer<typeof bootSchema>;

const codec = jsonFile(bootSchema);
const NOTHING: BootNote = { ranges: [], crc32: null };
const WORD_BYTES = 4;

export class BoardFlash {
  readonly #ecu: VehicleEcu;
  readonly #flash: ForeignFlash;
  readonly #boot: DurableFile<BootNote>;
  /** Address of the word that the boot loader replaces by its checksum. */
  readonly #checksumAt: number | undefined;
  #ranges: { address: number; size: number }[];

  private constructor(
    ecu: VehicleEcu,
    flash: ForeignFlash,
    boot: DurableFile<BootNote>,
    checksumAt: number | undefined,
  ) {
    this.#ecu = ecu;
    this.#flash = flash;
    this.#boot = boot;
    this.#checksumAt = checksumAt;
    this.#ranges = [...boot.content.ranges];
  }

  /** A new board holds `factoryImage`. Throws StorageError. */
  static async open(
    ecu: VehicleEcu,
    storage: Storage,
    factoryImage: MemoryImage,
    checksumAt: number | undefined,
  ): Promise<BoardFlash> {
    const flash = await ForeignFlash.open(ecu.memory, storage);
    const { file, state } = await DurableFile.open(storage, 'boot.json', codec, NOTHING);
    const board = new BoardFlash(ecu, flash, file, checksumAt);
    if (state === 'missing') {
      for (const { address, bytes } of factoryImage.segments) flash.erase(address, bytes.length);
      for (const { address, bytes } of factoryImage.segments) board.write(address, bytes);
      await board.finish();
    }
    return board;
  }

  /** First address of the application. */
  get start(): number {
    return regionsOf(this.#ecu.memory)[0]?.address ?? this.#ecu.memory.address;
  }

  /** Where the application was programmed. */
  get application(): number {
    return this.#boot.content.ranges[0]?.address ?? this.start;
  }

  /** Bytes that were programmed since the last erase. */
  get programmed(): number {
    return this.#ranges.reduce((sum, { size }) => sum + size, 0);
  }

  holds(address: number, size: number): boolean {
    return this.#flash.holds(address, size);
  }

  read(address: number, size: number): Uint8Array {
    return this.#flash.read(address, size);
  }

  /** Whether the programming was ended, and the bytes still have their checksum. */
  get isComplete(): boolean {
    const { crc32: kept } = this.#boot.content;
    return kept !== null && kept === this.#sum(this.#boot.content.ranges);
  }

  /** Whole sectors. The application is not complete from then on, whatever happens. */
  async erase(address: number, size: number): Promise<void> {
    this.#ranges = [];
    await this.#boot.update(() => NOTHING);
    this.#flash.erase(address, size);
    await this.#flash.save();
  }

  /** False: the bytes are not erased, and are not the same already. */
  write(address: number, data: Uint8Array): boolean {
    const isFree = this.#flash.isErased(address, data.length);
    if (!isFree && !equalBytes(this.#flash.read(address, data.length), data)) return false;
    if (!isFree) return true;
    this.#flash.write(address, data);
    const last = this.#ranges.at(-1);
    if (last !== undefined && last.address + last.size === address) last.size += data.length;
    else this.#ranges.push({ address, size: data.length });
    return true;
  }

  save(): Promise<void> {
    return this.#flash.save();
  }

  /** Ends the programming: the checksum is written last. */
  async finish(): Promise<void> {
    if (this.#checksumAt !== undefined) {
      const sum = uintToBytes(this.#sum(this.#ranges), WORD_BYTES);
      this.#flash.write(this.#checksumAt, sum);
    }
    await this.#flash.save();
    const ranges = this.#ranges.map((range) => ({ ...range }));
    await this.#boot.update(() => ({ ranges, crc32: this.#sum(ranges) }));
  }

  #sum(ranges: readonly { readonly address: number; readonly size: number }[]): number {
    return ranges.reduce(
      (sum, { address, size }) => crc32(this.#flash.read(address, size), sum),
      0,
    );
  }
}
