// Writes the bytes of an image to the bank: decrypts them where needed, and makes them durable from time to time.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { accepted, type Verdict } from '../../../src/trust/attack.ts';
import { ImageDecryptor } from '../../../src/trust/image-encryption.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import type { BootedEcu } from '../device.ts';
import type { AcceptedRelease } from './release.ts';
import { type ResumePoint, TransferPosition } from './resume-point.ts';

export class ImageTransfer {
  readonly #device: BootedEcu;
  readonly #header: ImageHeader;
  readonly #decryptor: ImageDecryptor | undefined;
  readonly #position: TransferPosition;
  /** Bytes received on the wire so far, and at the last durable point. */
  #carried: number;
  #durable: number;

  private constructor(
    device: BootedEcu,
    header: ImageHeader,
    decryptor: ImageDecryptor | undefined,
    from: ResumePoint | undefined,
  ) {
    this.#device = device;
    this.#header = header;
    this.#decryptor = decryptor;
    this.#position = new TransferPosition(from);
    this.#carried = from?.carried ?? 0;
    this.#durable = this.#carried;
  }

  /** Opens the bank, blank or after the durable part of this image. Throws FlashFault, StorageError. */
  static async begin(
    device: BootedEcu,
    header: ImageHeader,
    encrypted: boolean,
    from: ResumePoint | undefined,
  ): Promise<ImageTransfer> {
    const decryptor = encrypted ? newDecryptor(device, header, from) : undefined;
    if (from === undefined) await device.flash.beginWrite();
    else await device.flash.resumeWrite(from.received);
    return new ImageTransfer(device, header, decryptor, from);
  }

  /** Takes the next bytes. A refusal means the whole image. Throws FlashFault, StorageError. */
  async take(bytes: Uint8Array): Promise<Verdict<void>> {
    const { flash } = this.#device;
    const image = this.#decryptor?.update(bytes) ?? accepted(bytes);
    if (!image.ok) return image;
    await flash.append(image.value);
    this.#carried += bytes.length;
    const { carried, received } = this.#decryptor?.position ?? {
      carried: this.#carried,
      received: this.#carried,
    };
    this.#position.push(bytes, carried, received);
    if (this.#carried - this.#durable >= this.#device.checkpointBytes) await this.#checkpoint();
    return accepted(undefined);
  }

  /** Ends the transfer and makes all bytes durable; the memory check decides about the content. */
  async finish(): Promise<Verdict<void>> {
    const { flash } = this.#device;
    const rest = this.#decryptor?.finish();
    if (rest?.ok === false) return rest;
    if (rest !== undefined) await flash.append(rest.value);
    await flash.finishWrite();
    return accepted(undefined);
  }

  /** Makes the bytes durable, then the resume point. The last bytes need no point, because the memory check follows. */
  async #checkpoint(): Promise<void> {
    const { flash, resume } = this.#device;
    const { name, sha256, length } = this.#header;
    // Without a digest the ECU cannot recognise the same image later.
    if (sha256 === '') return;
    const { received, carried, crc32 } = this.#position.resumable;
    if (received === 0 || received >= length || carried <= this.#durable) return;
    await flash.checkpoint();
    await resume.set({
      bank: flash.targetBank,
      name,
      sha256,
      length,
      encrypted: this.#decryptor !== undefined,
      received,
      carried,
      crc32,
      header: this.#decryptor === undefined ? '' : toHex(this.#decryptor.header),
    });
    this.#durable = carried;
  }
}

function newDecryptor(
  device: BootedEcu,
  { serial, name, sha256, length }: ImageHeader,
  from: ResumePoint | undefined,
): ImageDecryptor {
  const { encryptionKey } = device.identity.content;
  if (encryptionKey === null) throw new Error('a locked ECU has its keys');
  return new ImageDecryptor(
    { privateKey: fromHex(encryptionKey), serial, name, sha256, length },
    from && { header: fromHex(from.header), received: from.received },
  );
}

/** The point at which the download of this image can be resumed; undefined: it must begin with an erase. */
export function resumePointFor(device: BootedEcu, release: AcceptedRelease | undefined) {
  const point = unfinishedDownload(device);
  if (point === undefined || release === undefined) return undefined;
  const { name, sha256, length } = release.header;
  const same =
    point.sha256 === sha256 &&
    point.length === length &&
    (release.format === 'either' || (release.format === 'encrypted') === point.encrypted) &&
    // The key depends on the name.
    (!point.encrypted || point.name === name);
  return same ? point : undefined;
}

/** The unfinished download for DID FD03: the target bank holds the beginning of an image. */
export function unfinishedDownload({ flash, resume }: BootedEcu): ResumePoint | undefined {
  const { point } = resume;
  const bank = flash.targetBank;
  return point?.bank === bank && flash.record.banks[bank].content === 'receiving'
    ? point
    : undefined;
}
