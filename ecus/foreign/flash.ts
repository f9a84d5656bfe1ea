// The flash of an ECU of another make: its regions, erased by ranges, written once, kept in one file.

import { equalBytes, uintToBytes } from '../../src/core/bytes.ts';
import { getOrAdd } from '../../src/core/present.ts';
import type { Storage } from '../../src/core/storage.ts';
import { regionsOf } from '../../src/vehicle/memory.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';

const PAGE_BYTES = 256;
const FILE = 'flash.bin';
const ERASED = 0xff;

interface Page {
  readonly bytes: Uint8Array;
  /** Which bytes were erased and not written since. */
  readonly blank: Uint8Array;
}

/** A byte that was never erased is FF and cannot be written. */
export class ForeignFlash {
  readonly #memory: VehicleEcu['memory'];
  readonly #storage: Storage;
  readonly #pages = new Map<number, Page>();

  private constructor(memory: VehicleEcu['memory'], storage: Storage) {
    this.#memory = memory;
    this.#storage = storage;
  }

  static async open(memory: VehicleEcu['memory'], storage: Storage): Promise<ForeignFlash> {
    const flash = new ForeignFlash(memory, storage);
    const kept = (await storage.read(FILE)) ?? new Uint8Array();
    const view = new DataView(kept.buffer, kept.byteOffset, kept.byteLength);
    const entry = 4 + 2 * PAGE_BYTES;
    for (let at = 0; at + entry <= kept.length; at += entry) {
      flash.#pages.set(view.getUint32(at), {
        bytes: kept.slice(at + 4, at + 4 + PAGE_BYTES),
        blank: kept.slice(at + 4 + PAGE_BYTES, at + entry),
      });
    }
    return flash;
  }

  /** Whether all bytes are inside of one region. */
  holds(address: number, size: number): boolean {
    return regionsOf(this.#memory).some(
      (region) => address >= region.address && address + size <= region.address + region.size,
    );
  }

  /** Whole sectors, as the vehicle file says. */
  erase(address: number, size: number): void {
    const region = regionsOf(this.#memory).find(
      (each) => address >= each.address && address < each.address + each.size,
    );
    const unit = region?.eraseUnit ?? 1;
    const from = Math.floor(address / unit) * unit;
    const to = Math.ceil((address + size) / unit) * unit;
    for (let at = from; at < to; ) {
      const { page, offset } = this.#page(at);
      const count = Math.min(PAGE_BYTES - offset, to - at);
      page.bytes.fill(ERASED, offset, offset + count);
      page.blank.fill(1, offset, offset + count);
      at += count;
    }
  }

  isErased(address: number, size: number): boolean {
    for (let at = address; at < address + size; at++) {
      const { page, offset } = this.#page(at);
      if (page.blank[offset] !== 1) return false;
    }
    return true;
  }

  /** The caller has asked `holds` and `isErased`. */
  write(address: number, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) {
      const { page, offset } = this.#page(address + index);
      page.bytes[offset] = byte;
      page.blank[offset] = 0;
    }
  }

  read(address: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at++) {
      const { page, offset } = this.#page(address + at);
      bytes[at] = page.bytes[offset] ?? ERASED;
    }
    return bytes;
  }

  /** Pages that were never touched are not kept. */
  async save(): Promise<void> {
    const untouched = new Uint8Array(PAGE_BYTES);
    const entries = [...this.#pages]
      .filter(
        ([, page]) =>
          !equalBytes(page.blank, untouched) || page.bytes.some((byte) => byte !== ERASED),
      )
      .flatMap(([address, page]) => [uintToBytes(address, 4), page.bytes, page.blank]);
    await this.#storage.replace(FILE, Buffer.concat(entries));
  }

  #page(address: number): { readonly page: Page; readonly offset: number } {
    const start = Math.floor(address / PAGE_BYTES) * PAGE_BYTES;
    const page = getOrAdd(this.#pages, start, () => ({
      bytes: new Uint8Array(PAGE_BYTES).fill(ERASED),
      blank: new Uint8Array(PAGE_BYTES),
    }));
    return { page, offset: address - start };
  }
}
