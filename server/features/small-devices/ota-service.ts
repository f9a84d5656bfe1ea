// The server's side of a chunked download: what is there for a device, its chunks, and how it ended.

import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { isNewerPackage } from '../../../src/contract/chunked/package.ts';
import {
  type CheckAnswer,
  type checkRequest,
  chunkCount,
  chunkKey,
  chunkLength,
  type chunkRequest,
  type completeRequest,
  type StatusAnswer,
  type statusRequest,
  type TransferFacts,
  type TransferPace,
  type VerifyAnswer,
  type verifyRequest,
} from '../../../src/contract/chunked/protocol.ts';
import { defined } from '../../../src/core/optional.ts';
import type { SealedSession } from '../../../src/trust/sealed-session.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { ImageStore, OpenImage } from '../releases/image-store.ts';
import { type ChunkFaults, readRecords } from './chunk-answer.ts';
import type { DeviceCopies } from './device-copies.ts';
import type { DevicePackageStore } from './package-store.ts';
import type { TransferRow } from './rows.ts';
import type { NewTransfer, TransferEnd, TransferStore } from './transfer-store.ts';

export interface OtaParts {
  readonly packages: DevicePackageStore;
  readonly transfers: TransferStore;
  readonly copies: DeviceCopies;
  readonly images: ImageStore;
  readonly faults: ChunkFaults;
  /** The pace that each device is told. */
  readonly pace: TransferPace;
}

/** A device that has proven itself, and where it asks from. */
export interface SmallDeviceCaller {
  readonly device: RegisteredDevice;
  readonly session: SealedSession;
  readonly address: string;
}

type Check = z.output<typeof checkRequest>;
type PackageCheck = Extract<Check, { kind: 'package' }>;
type Held = NonNullable<Check['held']>;

/** A file that a vehicle may fetch. */
export interface TransferFile {
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
}

export class OtaService {
  readonly #parts: OtaParts;

  constructor(parts: OtaParts) {
    this.#parts = parts;
  }

  /** Throws HttpProblem 409 for a device whose entry in the registry does not fit what it says. */
  async checkPackage(asker: SmallDeviceCaller, wish: PackageCheck): Promise<CheckAnswer> {
    const { packages, transfers, copies, faults } = this.#parts;
    const { serial, secretHash } = requireFacts(asker.device, wish.model);
    for (;;) {
      const newest = await packages.newest(wish.model, wish.profile);
      if (newest === undefined) return { kind: 'none', why: 'no-package' };
      const { manifest } = newest.signed;
      if (!isNewerPackage(manifest, wish)) return { kind: 'none', why: 'up-to-date' };
      if (!wish.again && (await transfers.cameBack(serial, newest.id))) {
        return { kind: 'none', why: 'rolled-back' };
      }
      const copy = await copies.copyFor(serial, secretHash, newest);
      const transfer = await this.#open(asker, wish, {
        packageId: newest.id,
        what: `${manifest.model} ${manifest.version}`,
        content: copy.sha256,
        length: copy.length,
      });
      // It was withdrawn between the two looks: then there is another newest one.
      if (transfer === undefined) continue;
      const signature = faults.spoil('bad-signature', newest.signed.signature);
      return { kind: 'transfer', transfer, package: { manifest, signature } };
    }
  }

  /** Of a file that is here. */
  async checkFile(
    asker: SmallDeviceCaller,
    wish: Check,
    offered: TransferFile,
  ): Promise<CheckAnswer> {
    const transfer = await this.#open(asker, wish, {
      packageId: undefined,
      what: offered.file,
      content: offered.sha256,
      length: offered.size,
    });
    if (transfer === undefined) throw new Error('a file is no package, and is not withdrawn');
    return { kind: 'transfer', transfer, package: null };
  }

  /**
   * The records. `count` is told how many bytes of the image they hold before these are read, and throws to refuse.
   * Throws HttpProblem 404, 409 for a transfer that is over, 416 for chunks behind the end.
   */
  async chunks(
    { device, session }: SmallDeviceCaller,
    wish: z.output<typeof chunkRequest>,
    count: (bytes: number) => Promise<void>,
  ): Promise<Uint8Array> {
    const { transfers, faults } = this.#parts;
    const transfer = await this.#running(device.serial, wish.transfer);
    const chunks = chunkCount(transfer);
    const numbers =
      'numbers' in wish
        ? wish.numbers
        : Array.from({ length: wish.count }, (_, index) => wish.from + index);
    const last = Math.max(...numbers);
    if (last >= chunks) {
      throw new HttpProblem(
        416,
        'CHUNK_RANGE',
        `chunk ${last} is behind the end: this image has ${chunks} of ${transfer.chunkBytes} bytes`,
      );
    }
    await count(numbers.reduce((sum, number) => sum + chunkLength(transfer, number), 0));
    const records = await this.#withImage(transfer, (image) =>
      readRecords(image, transfer, chunkKey(session, transfer.image), numbers),
    );
    if (last + 1 > transfer.asked) await transfers.setAsked(transfer.id, last + 1);
    return faults.answer(
      device.serial,
      records.map((record) => faults.record(record)),
    );
  }

  /** The same again gets the same answer. */
  async verify(
    asker: SmallDeviceCaller,
    wish: z.output<typeof verifyRequest>,
  ): Promise<VerifyAnswer> {
    const transfer = await this.#known(asker.device.serial, wish.transfer);
    const right = wish.sha256 === transfer.image;
    if (transfer.state === 'verified' && wish.result === 'ok' && right) return { next: 'install' };
    if (transfer.state !== 'downloading') throw over(transfer);
    if (wish.result === 'ok' && right) {
      await this.#end(asker, transfer, { state: 'verified' });
      return { next: 'install' };
    }
    const code = wish.result === 'failed' ? (wish.code ?? 'FAILED') : 'DIGEST_MISMATCH';
    const reason = right
      ? (wish.reason ?? 'the device does not take it')
      : `the device has ${wish.sha256}, sent was ${transfer.image}`;
    await this.#end(asker, transfer, { state: 'refused', code, reason });
    return { next: 'discard', reason };
  }

  /** What the device says about itself is recorded, whatever was believed before. The same again changes nothing. */
  async complete(asker: SmallDeviceCaller, wish: z.output<typeof completeRequest>): Promise<void> {
    const transfer = await this.#known(asker.device.serial, wish.transfer);
    if (transfer.state === wish.outcome && transfer.version === wish.version) return;
    const { outcome: state, version, code, reason, diagnostics } = wish;
    await this.#end(asker, transfer, {
      state,
      version,
      ...defined({ code, reason, diagnostics }),
    });
  }

  async status(
    asker: SmallDeviceCaller,
    { held }: z.output<typeof statusRequest>,
  ): Promise<StatusAnswer> {
    const transfer = await this.#parts.transfers.last(asker.device.serial);
    if (transfer === undefined) return { transfer: null };
    const { state, asked } = transfer;
    return { transfer: { ...(await this.#facts(transfer, held)), state, asked } };
  }

  /**
   * Goes on with the transfer that the device names where it is still open for the same image, or begins one. Undefined when the
   * package was withdrawn meanwhile.
   */
  async #open(
    { device: { serial }, address }: SmallDeviceCaller,
    wish: Check,
    wanted: Omit<NewTransfer, 'serial' | 'image' | 'chunkBytes'>,
  ): Promise<TransferFacts | undefined> {
    const { transfers, faults } = this.#parts;
    const { chunkBytes } = wish;
    const known =
      wish.transfer === undefined ? undefined : await transfers.find(serial, wish.transfer);
    if (known?.state === 'downloading' && known.content === wanted.content) {
      if (known.chunkBytes !== chunkBytes) await transfers.setChunkBytes(known.id, chunkBytes);
      return this.#facts({ ...known, chunkBytes }, wish.held);
    }
    const image = faults.spoil('bad-hash', wanted.content);
    const begun = await transfers.begin(
      { ...wanted, serial, image, chunkBytes },
      { who: serial, address },
    );
    return begun === undefined ? undefined : this.#facts(begun, wish.held);
  }

  async #facts(transfer: TransferRow, held: Held | undefined): Promise<TransferFacts> {
    const { id, image, length, chunkBytes } = transfer;
    const same =
      held !== undefined && held.image === image && held.bytes > 0 && held.bytes <= length;
    const prefix = same
      ? { bytes: held.bytes, sha256: await this.#prefix(transfer, held.bytes) }
      : null;
    return { id, image: { length, sha256: image }, chunkBytes, prefix, pace: this.#parts.pace };
  }

  #prefix(transfer: TransferRow, bytes: number): Promise<string> {
    return this.#withImage(transfer, async (image) => {
      const hash = createHash('sha256');
      for (let at = 0; at < bytes; ) {
        const piece = await image.read(at, Math.min(PIECE_BYTES, bytes - at));
        if (piece.length === 0) throw new Error('the stored image is shorter than it was');
        hash.update(piece);
        at += piece.length;
      }
      return hash.digest('hex');
    });
  }

  async #withImage<T>(transfer: TransferRow, work: (image: OpenImage) => Promise<T>): Promise<T> {
    const image = await this.#parts.images.openImage(transfer.content);
    // A copy for the device is replaced by the next one.
    if (image === undefined) throw over(transfer);
    try {
      return await work(image);
    } finally {
      await image.close();
    }
  }

  async #running(serial: string, id: string): Promise<TransferRow> {
    const transfer = await this.#known(serial, id);
    if (transfer.state !== 'downloading') throw over(transfer);
    return transfer;
  }

  async #known(serial: string, id: string): Promise<TransferRow> {
    const transfer = await this.#parts.transfers.find(serial, id);
    if (transfer === undefined) {
      throw new HttpProblem(
        404,
        'TRANSFER_UNKNOWN',
        'this device has no such transfer: POST /ota/check begins one',
      );
    }
    return transfer;
  }

  #end(
    { device, address }: SmallDeviceCaller,
    transfer: TransferRow,
    end: TransferEnd,
  ): Promise<void> {
    return this.#parts.transfers.end(transfer, end, { who: device.serial, address });
  }
}

const PIECE_BYTES = 256 * 1024;

function over({ state, what, reason }: TransferRow): HttpProblem {
  if (state === 'withdrawn') {
    return new HttpProblem(
      409,
      'PACKAGE_WITHDRAWN',
      `${what} was withdrawn (${reason ?? 'no reason is known'}): keep what runs; POST /ota/check says what is offered now`,
    );
  }
  const why =
    state === 'superseded'
      ? 'another download of this device has begun: is its key in two places?'
      : `it is over (${state})`;
  return new HttpProblem(409, 'TRANSFER_ENDED', `${why}; POST /ota/check begins the next one`);
}

/** The keys of a copy are made of these facts. No device gets a package for other hardware. */
function requireFacts(
  { serial, secretHash, hardwareId }: RegisteredDevice,
  model: string,
): { readonly serial: string; readonly secretHash: string } {
  if (secretHash === undefined || hardwareId === undefined) {
    const field = secretHash === undefined ? 'device_secret_hash' : 'hardware_id';
    throw new HttpProblem(
      409,
      'DEVICE_INCOMPLETE',
      `${serial} was registered without ${field}: provision it again with one`,
    );
  }
  if (hardwareId !== model) {
    throw new HttpProblem(
      409,
      'MODEL_MISMATCH',
      `${serial} says that it is ${model}, it was registered as ${hardwareId}`,
    );
  }
  return { serial, secretHash };
}
