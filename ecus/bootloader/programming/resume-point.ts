// How far an interrupted download is durable: what a tester may go on from, kept in a file of its own.

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
    /** Target name and digest as signed: the rest of another image must not follow. */
    name: z.string().max(256),
    sha256: sha256Hex,
    /** Of the plain image, in bytes. */
    length: z.number().int().min(1),
    encrypted: z.boolean(),
    /** Plain bytes that are durable in the bank. */
    received: z.number().int().min(1),
    /** Bytes on the wire that these were. */
    carried: z.number().int().min(1),
    /** CRC-32 over those. */
    crc32: z.number().int().min(0).max(0xffff_ffff),
    /** Of an encrypted image: its header as hexadecimal digits, from which the key is derived again. */
    header: z.string().regex(/^(?:[0-9a-f]{2})*$/),
  })
  // The file has a checksum and no signature: a forged file must not bring the bootloader down.
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
  /** Given up; whatever the disk still says. */
  #forgotten = false;

  private constructor(file: DurableFile<Content>) {
    this.#file = file;
  }

  /** Damage costs the transfer, nothing else. Throws StorageError. */
  static async open(storage: Storage): Promise<ResumeStore> {
    const { file } = await DurableFile.open(storage, RESUME_FILE, sealedFile(fileSchema), NOTHING);
    return new ResumeStore(file);
  }

  get point(): ResumePoint | undefined {
    return this.#forgotten ? undefined : (this.#file.content.point ?? undefined);
  }

  /** The bytes in the bank must be durable before. Throws StorageError. */
  async set(point: ResumePoint): Promise<void> {
    await this.#file.update(() => ({ format: 1, point }));
    this.#forgotten = false;
  }

  /** Before the bytes go, or when they are worth nothing. Throws StorageError; forgotten they are in any case. */
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

/** What DID FD03 tells of a point. */
export function resumeStateOf({
  sha256,
  received,
  length,
  carried,
  crc32,
}: ResumePoint): ResumeState {
  return { sha256, received, total: length, carried, crc32 };
}

/** Position of a transfer on the wire and in the image, and the last one at which nothing was half done. */
export class TransferPosition {
  #carried: number;
  #crc: number;
  #resumable: Pick<ResumePoint, 'carried' | 'received' | 'crc32'>;

  constructor(from?: Pick<ResumePoint, 'carried' | 'received' | 'crc32'>) {
    this.#resumable = from ?? { carried: 0, received: 0, crc32: 0 };
    this.#carried = this.#resumable.carried;
    this.#crc = this.#resumable.crc32;
  }

  /** Up to here the image could go on later. */
  get resumable(): Pick<ResumePoint, 'carried' | 'received' | 'crc32'> {
    return this.#resumable;
  }

  /**
   * Bytes have come, and the memory holds (durable or not) what belongs to the first `wholeCarried` bytes of the
   * transfer: `received` bytes of the image. The rest is a part of an encrypted block.
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
