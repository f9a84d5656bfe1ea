// The image of a package as one device gets it: encrypted when it first asks, then kept, so that a download can go on.

import { createHash } from 'node:crypto';
import { encryptedLength, encryptPackage } from '../../../src/contract/chunked/package-cipher.ts';
import { fromHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { ImageStore, OpenImage } from '../releases/image-store.ts';
import type { DevicePackageStore } from './package-store.ts';
import type { DeviceCopy, DevicePackage } from './rows.ts';

export class DeviceCopies {
  readonly #packages: DevicePackageStore;
  readonly #images: ImageStore;
  readonly #random: Random;
  /** One at a time: each is one image's worth of disk traffic, none an image in memory. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly packages: DevicePackageStore;
    readonly images: ImageStore;
    readonly random: Random;
  }) {
    this.#packages = options.packages;
    this.#images = options.images;
    this.#random = options.random;
  }

  /** `secretHash`: the device key as the registry has it, hexadecimal. Throws HttpProblem when the image is lost. */
  async copyFor(serial: string, secretHash: string, released: DevicePackage): Promise<DeviceCopy> {
    const there = await this.#find(serial, secretHash, released);
    if (there !== undefined) return there;
    const made = this.#turn.then(async () => {
      // Another request may have made it meanwhile.
      const since = await this.#find(serial, secretHash, released);
      if (since !== undefined) return since;
      const known = await this.#packages.copyOf(serial);
      const copy = await this.#make(serial, secretHash, released);
      // The new row first: a power cut in between leaves the old file without a row, and never a row without its file.
      if (known !== undefined && known.sha256 !== copy.sha256) {
        await this.#images.remove(known.sha256);
      }
      return copy;
    });
    this.#turn = made.catch(() => {});
    return made;
  }

  /** The copy that is there, where it is of this package, by this secret, and not lost. */
  async #find(
    serial: string,
    secretHash: string,
    { id }: DevicePackage,
  ): Promise<DeviceCopy | undefined> {
    const known = await this.#packages.copyOf(serial);
    const fits = known?.packageId === id && known.secretMark === markOf(secretHash);
    return fits && (await this.#images.has(known.sha256)) ? known : undefined;
  }

  async #make(serial: string, secretHash: string, released: DevicePackage): Promise<DeviceCopy> {
    const { manifest } = released.signed;
    const plain = await this.#images.openImage(manifest.sha256);
    if (plain === undefined) {
      throw new HttpProblem(500, 'IMAGE_MISSING', 'the server has lost the image of this package');
    }
    const to = { serial, deviceKey: fromHex(secretHash) };
    const encryptor = encryptPackage(manifest, to, this.#random);
    async function* encrypted(source: OpenImage): AsyncGenerator<Uint8Array> {
      yield encryptor.head;
      for await (const piece of source.stream(0, source.size - 1)) {
        yield encryptor.update(piece as Uint8Array);
      }
      yield encryptor.finish();
    }
    const staged = await this.#images.stage(encrypted(plain), encryptedLength(manifest));
    try {
      // The file is there before the row that names it.
      await staged.commit();
      const copy = {
        packageId: released.id,
        secretMark: markOf(secretHash),
        length: staged.size,
        sha256: staged.sha256,
      };
      await this.#packages.setCopy(serial, copy);
      return copy;
    } finally {
      await staged.discard();
    }
  }
}

/** Tells whether it is the same secret still, and nothing else of it. */
function markOf(secretHash: string): string {
  return createHash('sha256').update(`copy|${secretHash}`).digest('hex').slice(0, 16);
}
