// Decrypts the image of a package in a few kilobytes of memory, which the caller provides.

import { createDecipheriv, createHmac } from 'node:crypto';
import { constantTimeEqual, equalBytes } from '../../core/bytes.ts';
import { present } from '../../core/present.ts';
import { type PackageFault, type PackageManifest, packageFault } from './package.ts';
import {
  BLOCK_BYTES,
  blockKeys,
  CBC_BYTES,
  cbcKeys,
  cbcLength,
  headBytes,
  headStart,
  ivOf,
  MAC_BYTES,
  nonceOf,
  type PackageKey,
  PlainCheck,
  TAG_BYTES,
} from './package-cipher.ts';

/** Working memory of a decryptor, independent of the size of the image. */
export const DECRYPTOR_BYTES = BLOCK_BYTES + TAG_BYTES;

export type Opened =
  | {
      readonly ok: true;
      /** Number of bytes that were taken from the input. */
      readonly taken: number;
      /** The next bytes of the image, often none: a view of the decryptor's memory, valid until the next call. */
      readonly plain: Uint8Array;
    }
  | PackageFault;

/**
 * Decrypts the image in pieces of any size. With `default` all returned bytes are authentic. With `rsa` this is known
 * only at the end, so the caller must not run the bytes before `finish` is ok.
 */
export class PackageDecryptor {
  readonly #manifest: PackageManifest;
  readonly #to: PackageKey;
  readonly #memory: Uint8Array;
  readonly #check: PlainCheck;
  readonly #head: Uint8Array;
  #headFilled = 0;
  #filled = 0;
  #opener: BlockOpener | CbcOpener | undefined;
  #fault: PackageFault | undefined;

  /** Throws RangeError for less memory than DECRYPTOR_BYTES. */
  constructor(options: {
    readonly manifest: PackageManifest;
    readonly to: PackageKey;
    readonly memory: Uint8Array;
  }) {
    const { manifest, to, memory } = options;
    if (memory.length < DECRYPTOR_BYTES) {
      throw new RangeError(`needs ${DECRYPTOR_BYTES} bytes of memory, here are ${memory.length}`);
    }
    this.#manifest = manifest;
    this.#to = to;
    this.#memory = memory;
    this.#check = new PlainCheck(manifest);
    this.#head = new Uint8Array(headBytes(manifest.profile));
  }

  /** Takes input; call it again with the bytes that it did not take. */
  take(bytes: Uint8Array): Opened {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#headFilled < this.#head.length) {
      const part = bytes.subarray(0, this.#head.length - this.#headFilled);
      this.#head.set(part, this.#headFilled);
      this.#headFilled += part.length;
      if (this.#headFilled < this.#head.length) return opened(part.length);
      const opener = this.#openHead();
      if (opener === undefined) {
        return this.#refuse('DECRYPTION', 'the image does not begin with a head of this profile');
      }
      this.#opener = opener;
      return opened(part.length);
    }
    const opener = present(this.#opener, 'the opener of the image');
    const size = opener.wants(this.#check.left);
    if (size === 0) return this.#refuse('LENGTH', 'the image is longer than its manifest says');
    const part = bytes.subarray(0, size - this.#filled);
    this.#memory.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled < size) return opened(part.length);
    this.#filled = 0;
    const plain = opener.open(this.#memory.subarray(0, size), this.#check.left);
    if (plain === undefined) {
      return this.#refuse(
        'DECRYPTION',
        'the image is damaged, or was encrypted for another device or package',
      );
    }
    this.#memory.set(plain);
    const given = this.#memory.subarray(0, plain.length);
    this.#check.update(given);
    return opened(part.length, given);
  }

  /** Called after the last bytes: whether the returned bytes are the signed image. */
  finish(): { readonly ok: true } | PackageFault {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#opener === undefined || this.#opener.wants(this.#check.left) !== 0) {
      return this.#refuse('LENGTH', 'the image is shorter than its manifest says');
    }
    if (!this.#check.right()) {
      return this.#refuse('DIGEST_MISMATCH', 'the image is not the one that was signed');
    }
    return { ok: true };
  }

  #openHead(): BlockOpener | CbcOpener | undefined {
    const { profile } = this.#manifest;
    const known = headStart(profile);
    if (!equalBytes(this.#head.subarray(0, known.length), known)) return undefined;
    return profile === 'default'
      ? new BlockOpener(this.#manifest, this.#to, this.#head)
      : new CbcOpener(this.#manifest, this.#to, this.#head);
  }

  #refuse(code: PackageFault['code'], reason: string): PackageFault {
    this.#fault = packageFault(code, reason);
    return this.#fault;
  }
}

function opened(taken: number, plain: Uint8Array = new Uint8Array()): Opened {
  return { ok: true, taken, plain };
}

class BlockOpener {
  readonly #keys: ReturnType<typeof blockKeys>;
  readonly #head: Uint8Array;
  #index = 0;

  constructor(manifest: PackageManifest, to: PackageKey, head: Uint8Array) {
    this.#keys = blockKeys(manifest, to, head);
    this.#head = head;
  }

  /** Length of the next piece when `left` bytes of the image are still missing. */
  wants(left: number): number {
    return left === 0 ? 0 : Math.min(left, BLOCK_BYTES) + TAG_BYTES;
  }

  open(sealed: Uint8Array, left: number): Uint8Array | undefined {
    const end = sealed.length - TAG_BYTES;
    const nonce = nonceOf(this.#keys.prefix, this.#index++, left === end);
    const decipher = createDecipheriv('aes-256-gcm', this.#keys.key, nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(this.#head);
    decipher.setAuthTag(sealed.subarray(end));
    const plain = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
      return plain;
    } catch {
      return undefined; // the tag is wrong, and no byte of the block was returned
    }
  }
}

class CbcOpener {
  readonly #decipher: ReturnType<typeof createDecipheriv>;
  readonly #mac: ReturnType<typeof createHmac>;
  readonly #padding: number;
  /** Bytes of CBC text left before its last block. */
  #bodyLeft: number;
  #done = false;

  constructor({ length, ...facts }: PackageManifest, to: PackageKey, head: Uint8Array) {
    const { key, macKey } = cbcKeys({ length, ...facts }, to, head);
    this.#decipher = createDecipheriv('aes-256-cbc', key, ivOf(head));
    this.#decipher.setAutoPadding(false);
    this.#mac = createHmac('sha256', macKey).update(head);
    this.#bodyLeft = cbcLength(length) - CBC_BYTES;
    this.#padding = cbcLength(length) - length;
  }

  wants(): number {
    if (this.#bodyLeft > 0) return Math.min(this.#bodyLeft, BLOCK_BYTES);
    return this.#done ? 0 : CBC_BYTES + MAC_BYTES;
  }

  open(text: Uint8Array): Uint8Array | undefined {
    if (this.#bodyLeft > 0) {
      this.#bodyLeft -= text.length;
      this.#mac.update(text);
      return this.#decipher.update(text);
    }
    this.#done = true;
    const last = text.subarray(0, CBC_BYTES);
    const mac = this.#mac.update(last).digest();
    // Check the HMAC over everything before the padding.
    if (!constantTimeEqual(mac, text.subarray(CBC_BYTES))) return undefined;
    const block = this.#decipher.update(last);
    const end = CBC_BYTES - this.#padding;
    return block.subarray(end).every((byte) => byte === this.#padding)
      ? block.subarray(0, end)
      : undefined;
  }
}
