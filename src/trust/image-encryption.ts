// Images encrypted for one ECU: X25519, HKDF-SHA256, AES-256-GCM in blocks, written and read as a stream.
//
// The blob is a header and then blocks of 4096 bytes of the image, the last one shorter, each with a tag of 16 bytes:
//
//     0  4  magic "COE1"                  6  32  ephemeral X25519 public key
//     4  1  version, 1                   38  16  salt
//     5  1  log2 of the block size, 12   54      blocks
//
// Key and nonce prefix are made from shared secret, salt, both public keys, serial, target name, SHA-256 and length of the
// plain image, so a blob can be opened by one ECU and as one image only. A nonce is prefix (7), block number (4), last
// flag (1), the STREAM construction of Hoang, Reyhanitabar, Rogaway, Vizar: blocks cannot be swapped, left out, added or
// moved. The header is associated data of each block.

import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { asciiBytes, concatBytes, equalBytes, fromHex, uintToBytes } from '../core/bytes.ts';
import { isSha256Hex } from '../core/names.ts';
import type { Random } from '../core/random.ts';
import { accepted, refused, type TrustFault, type Verdict } from './attack.ts';
import { lengthPrefixed } from './length-prefixed.ts';
import { generateX25519, KEY_BYTES, x25519Agree, x25519PublicKey } from './signing-key.ts';

export const ENCRYPTION_METHOD = 'X25519-HKDF-SHA256-AES-256-GCM';

const MAGIC = asciiBytes('COE1');
const VERSION = 1;
const BLOCK_BITS = 12;
export const BLOCK_BYTES = 2 ** BLOCK_BITS;
export const TAG_BYTES = 16;
const SALT_BYTES = 16;
const PUBLIC_KEY_AT = MAGIC.length + 2;
const SALT_AT = PUBLIC_KEY_AT + KEY_BYTES;
export const HEADER_BYTES = SALT_AT + SALT_BYTES;
const AES_KEY_BYTES = 32;
const PREFIX_BYTES = 7;
/** Longest image in bytes: block numbers have 32 bits. */
const MAX_LENGTH = BLOCK_BYTES * 2 ** 32;
const CIPHER = 'aes-256-gcm';
const LABEL = 'can-ota image encryption 1';
const WHERE = 'encrypted image';

/** The image and its recipient: the key depends on all of these facts. */
export interface EncryptionFacts {
  readonly serial: string;
  /** Target name, as signed. */
  readonly name: string;
  /** SHA-256 of the plain image, hexadecimal. */
  readonly sha256: string;
  /** Length of the plain image in bytes. */
  readonly length: number;
}

export interface ImageEncryptor {
  readonly header: Uint8Array;
  /** Returns the encrypted blocks that are complete with the next bytes of the image: none, or several. */
  update(chunk: Uint8Array): Uint8Array;
  /** Returns the rest. Throws RangeError if the bytes do not have `length` and `sha256`. */
  finish(): Uint8Array;
}

/** Length in bytes of the blob of an image. */
export function encryptedLength(length: number): number {
  return HEADER_BYTES + length + TAG_BYTES * blockCount(length);
}

/** Position in the blob after the blocks of the first `received` bytes; undefined if no block ends there. */
export function carriedFor(received: number): number | undefined {
  const blocks = received / BLOCK_BYTES;
  return Number.isInteger(blocks) ? HEADER_BYTES + received + blocks * TAG_BYTES : undefined;
}

/**
 * Each blob has a new key. Throws RangeError for impossible facts, and for a recipient's key that is not an X25519 key
 * (the registry got it from a device).
 */
export function encryptImage(
  { recipient, ...facts }: EncryptionFacts & { readonly recipient: Uint8Array },
  random: Random,
): ImageEncryptor {
  requireFacts(facts);
  const ephemeral = generateX25519(random);
  const shared = x25519Agree(ephemeral.privateKey, recipient);
  if (shared === undefined) throw new RangeError(`the key of ${facts.serial} is no X25519 key`);
  const header = concatBytes(
    MAGIC,
    Uint8Array.of(VERSION, BLOCK_BITS),
    ephemeral.publicKey,
    random.bytes(SALT_BYTES),
  );
  const keys = deriveKeys(shared, header, recipient, facts);
  const blocks = new BlockStream(facts.length, 0);
  const hash = createHash('sha256');
  const seal = ({ bytes, index, last }: Block): Uint8Array => {
    const cipher = createCipheriv(CIPHER, keys.key, nonceOf(keys.prefix, index, last), {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(header);
    return concatBytes(cipher.update(bytes), cipher.final(), cipher.getAuthTag());
  };
  return {
    header,
    update(chunk) {
      hash.update(chunk);
      const sealed = blocks.push(chunk).map(seal);
      if (blocks.overflow) throw new RangeError(`more than the ${facts.length} bytes of the image`);
      return concatBytes(...sealed);
    },
    finish() {
      // Only the block of an empty image can be missing here.
      const sealed = blocks.push(new Uint8Array()).map(seal);
      if (!blocks.done) throw new RangeError(`fewer than the ${facts.length} bytes of the image`);
      if (hash.digest('hex') !== facts.sha256) {
        throw new RangeError(`the bytes are not those of ${facts.name}: wrong SHA-256`);
      }
      return concatBytes(...sealed);
    },
  };
}

/** Returns only authenticated text; stores at most one block, for chunks of any size. */
export class ImageDecryptor {
  readonly #privateKey: Uint8Array;
  readonly #facts: EncryptionFacts;
  readonly #blocks: BlockStream;
  /** The part of the header that has arrived. */
  #header: Uint8Array = new Uint8Array();
  #keys: Keys | undefined;
  #fault: TrustFault | undefined;

  /**
   * `from`: continues after the blocks of the first `received` bytes of the image, which another decryptor has opened, with
   * its header. Throws RangeError for impossible facts, and for a position that is not the end of a block.
   */
  constructor(
    { privateKey, ...facts }: EncryptionFacts & { readonly privateKey: Uint8Array },
    from?: { readonly header: Uint8Array; readonly received: number },
  ) {
    requireFacts(facts);
    this.#privateKey = privateKey;
    this.#facts = facts;
    const index = (from?.received ?? 0) / BLOCK_BYTES;
    if (!Number.isInteger(index) || index >= blockCount(facts.length)) {
      throw new RangeError(`not the end of a block: ${from?.received} of ${facts.length} bytes`);
    }
    this.#blocks = new BlockStream(facts.length, TAG_BYTES, index);
    if (from === undefined) return;
    if (from.header.length !== HEADER_BYTES) throw new RangeError('the header is not whole');
    this.#header = Uint8Array.from(from.header);
  }

  /** The part of the header that has arrived. */
  get header(): Uint8Array {
    return this.#header;
  }

  /** End of the last complete block: `carried` bytes of the blob, `received` bytes of the image. */
  get position(): { readonly carried: number; readonly received: number } {
    const { index } = this.#blocks;
    if (this.#header.length < HEADER_BYTES) return { carried: 0, received: 0 };
    const received = Math.min(index * BLOCK_BYTES, this.#facts.length);
    return { carried: HEADER_BYTES + received + index * TAG_BYTES, received };
  }

  /**
   * Returns the plain text of the blocks that are complete with these bytes. IMAGE_MISMATCH from the first wrong byte on;
   * nothing is returned of the chunk that contains it.
   */
  update(chunk: Uint8Array): Verdict<Uint8Array> {
    if (this.#fault !== undefined) return this.#fault;
    const missing = HEADER_BYTES - this.#header.length;
    if (missing > 0) this.#header = concatBytes(this.#header, chunk.subarray(0, missing));
    if (this.#header.length < HEADER_BYTES) return accepted(new Uint8Array());
    const keys = this.#keys ?? this.#openHeader();
    if (keys === undefined) return this.#refuse('its header is damaged, or is for another method');
    this.#keys = keys;
    const plain: Uint8Array[] = [];
    for (const block of this.#blocks.push(chunk.subarray(Math.max(0, missing)))) {
      const text = this.#openBlock(keys, block);
      if (text === undefined) {
        return this.#refuse(
          `block ${block.index} is damaged, in the wrong place, or of another image, ECU or key`,
        );
      }
      plain.push(text);
    }
    if (this.#blocks.overflow) return this.#refuse('goes on after its last block');
    return accepted(concatBytes(...plain));
  }

  /**
   * Returns no bytes; IMAGE_MISMATCH if the end is missing. The reader checks the SHA-256 of the image.
   */
  finish(): Verdict<Uint8Array> {
    if (this.#fault !== undefined) return this.#fault;
    return this.#blocks.done
      ? accepted(new Uint8Array())
      : this.#refuse('ends before its last block');
  }

  #openHeader(): Keys | undefined {
    const header = this.#header;
    const known = concatBytes(MAGIC, Uint8Array.of(VERSION, BLOCK_BITS));
    if (!equalBytes(header.subarray(0, PUBLIC_KEY_AT), known)) return undefined;
    const shared = x25519Agree(this.#privateKey, header.subarray(PUBLIC_KEY_AT, SALT_AT));
    if (shared === undefined) return undefined;
    return deriveKeys(shared, header, x25519PublicKey(this.#privateKey), this.#facts);
  }

  #openBlock({ key, prefix }: Keys, { bytes, index, last }: Block): Uint8Array | undefined {
    const end = bytes.length - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, key, nonceOf(prefix, index, last), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(this.#header);
    decipher.setAuthTag(bytes.subarray(end));
    const plain = decipher.update(bytes.subarray(0, end));
    try {
      return concatBytes(plain, decipher.final());
    } catch {
      return undefined; // the tag is wrong: no text was returned
    }
  }

  #refuse(reason: string): TrustFault {
    this.#fault = refused('IMAGE_MISMATCH', WHERE, `${this.#facts.name} ${reason}`);
    this.#keys = undefined;
    return this.#fault;
  }
}

interface Block {
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly last: boolean;
}

/** Splits a stream into the blocks of an image of known length; `extra` bytes follow the text of each block. */
class BlockStream {
  readonly #length: number;
  readonly #extra: number;
  readonly #count: number;
  readonly #kept: Uint8Array;
  #keptBytes = 0;
  #index = 0;
  overflow = false;

  constructor(length: number, extra: number, index = 0) {
    this.#length = length;
    this.#extra = extra;
    this.#count = blockCount(length);
    this.#index = index;
    this.#kept = new Uint8Array(Math.min(length, BLOCK_BYTES) + extra);
  }

  /** Number of the next block. */
  get index(): number {
    return this.#index;
  }

  get done(): boolean {
    return this.#index === this.#count && !this.overflow;
  }

  /** Returns the blocks that are complete now. */
  push(chunk: Uint8Array): Block[] {
    const blocks: Block[] = [];
    let at = 0;
    while (this.#index < this.#count) {
      const size = this.#nextSize();
      const taken = Math.min(size - this.#keptBytes, chunk.length - at);
      this.#kept.set(chunk.subarray(at, at + taken), this.#keptBytes);
      this.#keptBytes += taken;
      at += taken;
      if (this.#keptBytes < size) return blocks;
      const last = this.#index === this.#count - 1;
      blocks.push({ bytes: this.#kept.slice(0, size), index: this.#index, last });
      this.#index += 1;
      this.#keptBytes = 0;
    }
    this.overflow ||= at < chunk.length;
    return blocks;
  }

  #nextSize(): number {
    const left = this.#length - this.#index * BLOCK_BYTES;
    return Math.min(left, BLOCK_BYTES) + this.#extra;
  }
}

/** Number of blocks. An empty image has one empty block, so that its end is authenticated, too. */
function blockCount(length: number): number {
  return Math.max(1, Math.ceil(length / BLOCK_BYTES));
}

interface Keys {
  readonly key: Uint8Array;
  readonly prefix: Uint8Array;
}

function deriveKeys(
  shared: Uint8Array,
  header: Uint8Array,
  recipient: Uint8Array,
  { serial, name, sha256: digest, length }: EncryptionFacts,
): Keys {
  const info = lengthPrefixed(
    LABEL,
    header.subarray(PUBLIC_KEY_AT, SALT_AT),
    recipient,
    serial,
    name,
    fromHex(digest),
    uintToBytes(length, 6),
  );
  const salt = header.subarray(SALT_AT, HEADER_BYTES);
  const derived = hkdf(sha256, shared, salt, info, AES_KEY_BYTES + PREFIX_BYTES);
  return { key: derived.subarray(0, AES_KEY_BYTES), prefix: derived.subarray(AES_KEY_BYTES) };
}

function nonceOf(prefix: Uint8Array, index: number, last: boolean): Uint8Array {
  return concatBytes(prefix, uintToBytes(index, 4), Uint8Array.of(last ? 1 : 0));
}

function requireFacts({ sha256: digest, length }: EncryptionFacts): void {
  if (!isSha256Hex(digest)) throw new RangeError(`not a SHA-256: ${JSON.stringify(digest)}`);
  if (!Number.isSafeInteger(length) || length < 0 || length > MAX_LENGTH) {
    throw new RangeError(`not the length of an image: ${length}`);
  }
}
