// Copies of images that only one ECU can read (5.3.2.1 step 6): made as a stream, kept by digest, once per ECU.

import { fromHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import type { EncryptedImage } from '../../../src/trust/director.ts';
import { encryptedLength, encryptImage } from '../../../src/trust/image-encryption.ts';
import type { ImageStore, OpenImage } from '../releases/image-store.ts';
import type { SignedRelease } from './decide.ts';
import type { EncryptedImageStore } from './encrypted-image-store.ts';
import type { EncryptedCopy } from './rows.ts';

/** Opens the plain image, here or from where it is; undefined where there is none. */
export type OpenPlainImage = (release: SignedRelease) => Promise<OpenImage | undefined>;

export class ImageEncryption {
  readonly #store: EncryptedImageStore;
  readonly #images: ImageStore;
  readonly #open: OpenPlainImage;
  readonly #random: Random;
  /** One at a time: each holds one image's worth of disk traffic, none an image in memory. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    store: EncryptedImageStore;
    images: ImageStore;
    open: OpenPlainImage;
    random: Random;
  }) {
    this.#store = options.store;
    this.#images = options.images;
    this.#open = options.open;
    this.#random = options.random;
  }

  /** `encryptionKey`: the ECU's X25519 key, hexadecimal. Throws when the plain image cannot be had. */
  async copyFor(
    serial: string,
    encryptionKey: string,
    release: SignedRelease,
  ): Promise<EncryptedImage> {
    const known = await this.#store.find(serial, encryptionKey, release.name);
    if (known !== undefined) return described(known);
    const made = this.#turn.then(async () => {
      // Another request may have made it meanwhile.
      const since = await this.#store.find(serial, encryptionKey, release.name);
      return since ?? this.#make(serial, encryptionKey, release);
    });
    this.#turn = made.catch(() => {});
    return described(await made);
  }

  async #make(
    serial: string,
    encryptionKey: string,
    release: SignedRelease,
  ): Promise<EncryptedCopy> {
    const plain = await this.#open(release);
    if (plain === undefined) throw new Error('its plain image is not here');
    const { name, sha256, length } = release;
    const encryption = encryptImage(
      { recipient: fromHex(encryptionKey), serial, name, sha256, length },
      this.#random,
    );
    async function* encrypted(source: OpenImage): AsyncGenerator<Uint8Array> {
      yield encryption.header;
      for await (const chunk of source.stream(0, source.size - 1)) {
        yield encryption.update(chunk as Uint8Array);
      }
      yield encryption.finish();
    }
    const staged = await this.#images.stage(encrypted(plain), encryptedLength(length));
    try {
      // The file is there before the row that names it, as with uploads.
      await staged.commit();
      return await this.#store.add({
        file: `${release.ecu}-${release.version}-${staged.sha256.slice(0, 12)}.bin`,
        serial,
        encryptionKey,
        name,
        plainSha256: sha256,
        length: staged.size,
        sha256: staged.sha256,
      });
    } finally {
      await staged.discard();
    }
  }
}

function described(copy: EncryptedCopy): EncryptedImage {
  return {
    file: copy.file,
    length: copy.length,
    sha256: copy.sha256,
    method: 'X25519-HKDF-SHA256-AES-256-GCM',
  };
}
