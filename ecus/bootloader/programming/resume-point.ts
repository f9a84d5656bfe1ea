// The durable position of an interrupted download, from which a tester may resume it; stored in a separate file.

import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { DurableFile } from '../../../src/core/durable-file.ts';
import { sha256Hex } from '../../../src/core/names.ts';
import type { Storage } from '../../../src/core/storage.ts';
import { carriedFor, HEADER_BYTES } from '../../../src/trust/image-encryption.ts';
import type { ResumeState } from '../../../src/uds/resume-state.ts';
import { sealedFile } from '../flash/sealed-json.ts';

const RESUME_FILE = 'resume.json';

const pointSchema = z
  .strictObject({
    bank: z.union([z.literal(0), z.literal(1)]),
    /** Signed target name and digest, so that no other image is resumed here. */
    name: z.string().max(256),
    sha256: sha256Hex,
    /** Length of the plain image in bytes. */
    length: z.number().int().min(1),
    encrypted: z.boolean(),
    /** Number of plain bytes that are durable in the bank. */
    received: z.number().int().min(1),
    /** Number of bytes on the wire for them. */
    carried: z.number().int().min(1),
    /** CRC-32 over the bytes on the wire. */
    crc32: z.number().int().min(0).max(0xffff_ffff),
    /** Header of an encrypted image as hexadecimal digits, from which the key is derived again. */
    header: z.string().regex(/^(?:[0-9a-f]{2})*$/),
  })
  // The file has a checksum and no signature, so a forged file must not crash the bootloader.
  .refine(
    ({ encrypted, header, received, carried, length }) =>
      received < length &&
      header.length === (encrypted ? 2 * HEADER_BYTES : 0) &&
      carried === (encrypted ? carriedFor(received) : received),
    'the position does not belong to this transfer',
  );
export type ResumePoint = z.infer<typeof pointSchema>;

const fileSchema = z.strictObject({
  format: z.literal(1),
  point: pointSchema.nullable(),
});
type Content = z.infer<typeof fileSchema>;

const NOTHING: Content = { format: 1, point: null };

export class ResumeStore {
  readonly #file: DurableFile<Content>;
  /** Whether the point was given up, even if the file still exists. */
  #forgotten = false;

  private constructor(file: DurableFile<Content>) {
    this.#file = file;
  }

  /** Opens the store; damage only means that the transfer begins again. Throws StorageError. */
  static async open(storage: Storage): Promise<ResumeStore> {
    const { file } = await DurableFile.open(storage, RESUME_FILE, sealedFile(fileSchema), NOTHING);
    return new ResumeStore(file);
  }

  get point(): ResumePoint | undefined {
    return this.#forgotten ? undefined : (this.#file.content.point ?? undefined);
  }

  /** Stores a point; the bytes in the bank must already be durable. Throws StorageError. */
  async set(point: ResumePoint): Promise<void> {
    await this.#file.update(() => ({ format: 1, point }));
    this.#forgotten = false;
  }

  /**
   * Forgets the point, before the bytes are erased or when they are useless; in RAM also when it throws StorageError.
   */
  async forget(): Promise<void> {
    if (this.#file.content.point === null) return;
    this.#forgotten = true;
    await this.#file.update(() => NOTHING);
  }

  powerOff(): void {
    this.#file.powerOff();
  }

  settled(): Promise<void> {
    return this.#file.settled();
  }
}

/** The value of DID FD03 for a point. */
export function resumeStateOf({
  sha256,
  received,
  length,
  carried,
  crc32,
}: ResumePoint): ResumeState {
  return { sha256, received, total: length, carried, crc32 };
}

/** Position of a transfer on the wire and in the image, and the last position at which it can be resumed. */
export class TransferPosition {
  #carried: number;
  #crc: number;
  #resumable: Pick<ResumePoint, 'carried' | 'received' | 'crc32'>;

  constructor(from?: Pick<ResumePoint, 'carried' | 'received' | 'crc32'>) {
    this.#resumable = from ?? { carried: 0, received: 0, crc32: 0 };
    this.#carried = this.#resumable.carried;
    this.#crc = this.#resumable.crc32;
  }

  /** The last position from which the transfer can be resumed. */
  get resumable(): Pick<ResumePoint, 'carried' | 'received' | 'crc32'> {
    return this.#resumable;
  }

  /**
   * Adds bytes. The memory now holds (durable or not) the content of the first `wholeCarried` bytes of the transfer:
   * `received` bytes of the image. The rest is a part of an encrypted block.
   */
  push(bytes: Uint8Array, wholeCarried: number, received: number): void {
    const whole = wholeCarried - this.#carried;
    if (whole > 0) {
      this.#crc = crc32(bytes.subarray(0, whole), this.#crc);
      this.#resumable = { carried: wholeCarried, received, crc32: this.#crc };
    }
    this.#crc = crc32(bytes.subarray(Math.max(0, whole)), this.#crc);
    this.#carried += bytes.length;
  }
}
