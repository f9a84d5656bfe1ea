// The readers of flash files with damaged and made-up files: each ends in an image or in a sentence.
//   CAN_OTA_FUZZ=1000000   so many inputs for each reader (default 4,000)
//   CAN_OTA_FUZZ_SEED=2    another seed

import { expect, it } from 'vitest';
import { asciiBytes, concatBytes, uintToBytes } from '../../src/core/bytes.ts';
import { InputError } from '../../src/core/errors.ts';
import { unpackLzss } from '../../src/image/formats/lzss.ts';
import type { LoadedImage } from '../../src/image/loaded-image.ts';
import { ADDRESS_END, totalBytes } from '../../src/image/memory-image.ts';
import { readImage } from '../../src/image/read-image.ts';
import { type SeededRandom, seededRandom } from '../../src/sim/seeded-random.ts';
import { hexLine, makeElf, makeVbf, packLzss, sLine } from './support.ts';

const COUNT = Number(process.env.CAN_OTA_FUZZ ?? 4000);
const SEED = process.env.CAN_OTA_FUZZ_SEED ?? '1';

type Maker = (random: Dice) => Uint8Array;

class Dice {
  readonly #random: SeededRandom;

  constructor(seed: string) {
    this.#random = seededRandom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random.fraction() * limit);
  }

  chance(share: number): boolean {
    return this.#random.fraction() < share;
  }

  of<T>(...all: readonly [T, ...T[]]): T {
    return all[this.below(all.length)] ?? all[0];
  }

  bytes(length: number): Uint8Array {
    return this.#random.bytes(length);
  }

  /** Small, at an edge, or anything of 32 bits. */
  number(): number {
    const edge = this.of(
      0,
      1,
      0xff,
      0x100,
      0xffff,
      0x1_0000,
      0x7fff_ffff,
      0x8000_0000,
      0xffff_ffff,
    );
    return this.of(edge, Math.max(0, edge - 1), this.below(64), this.below(2 ** 32));
  }

  hex(bytes: number): string {
    return Buffer.from(this.bytes(bytes)).toString('hex').toUpperCase();
  }

  address(width: number): string {
    const value = this.chance(0.8) ? this.below(0x4000) : this.number();
    return Buffer.from(uintToBytes(value % 2 ** (8 * width), width)).toString('hex');
  }
}

/** Right in its checksums; what it says may be anything. */
const hexFile: Maker = (dice) => {
  const all: string[] = [];
  for (let record = dice.below(12); record > 0; record--) {
    const type = dice.chance(0.85) ? dice.of(0, 0, 0, 0, 2, 3, 4, 5) : dice.below(256);
    const length =
      type === 0
        ? dice.below(20)
        : dice.chance(0.9)
          ? [3, 5].includes(type)
            ? 4
            : 2
          : dice.below(6);
    const head = Buffer.from([length]).toString('hex') + dice.address(2);
    all.push(hexLine(head + Buffer.from([type]).toString('hex') + dice.hex(length)));
  }
  if (dice.chance(0.9)) all.push(':00000001FF');
  return textOf(all, dice);
};

const sFile: Maker = (dice) => {
  const all: string[] = [];
  let count = 0;
  if (dice.chance(0.5)) all.push(sLine(0, `0000${dice.hex(dice.below(8))}`));
  for (let record = dice.below(12); record > 0; record--) {
    const type = dice.chance(0.95) ? dice.of(1, 2, 3) : dice.below(10);
    if (type > 0 && type < 4) count++;
    all.push(
      sLine(
        type,
        dice.address([2, 2, 3, 4, 2, 2, 3, 4, 3, 2][type] ?? 2) + dice.hex(dice.below(20)),
      ),
    );
  }
  if (dice.chance(0.5))
    all.push(sLine(5, dice.chance(0.9) ? `000${count.toString(16)}` : dice.hex(2)));
  if (dice.chance(0.9)) all.push(dice.of('S9030000FC', 'S804000000FB', 'S70500000000FA'));
  return textOf(all, dice);
};

function textOf(all: readonly string[], dice: Dice): Uint8Array {
  const comment = dice.chance(0.1) ? ['a comment'] : [];
  return asciiBytes([...comment, ...all].join(dice.of('\n', '\r\n', '\r', '\n\n', ' \n')));
}

const elfFile: Maker = (dice) => {
  const segments = Array.from({ length: dice.below(5) }, () => ({
    type: dice.chance(0.9) ? 1 : dice.below(8),
    address: dice.chance(0.7) ? dice.below(0x400) : dice.number(),
    bytes: dice.bytes(dice.below(64)),
    ...(dice.chance(0.2) ? { filesz: dice.number() } : {}),
    ...(dice.chance(0.2) ? { offset: dice.number() } : {}),
  }));
  return makeElf({
    is64: dice.chance(0.5),
    big: dice.chance(0.5),
    type: dice.chance(0.9) ? 2 : dice.below(6),
    entry: dice.number(),
    ...(dice.chance(0.1) ? { phnum: dice.below(0x1_0000) } : {}),
    segments,
  });
};

const vbfFile: Maker = (dice) => {
  const isPacked = dice.chance(0.6);
  const blocks = Array.from({ length: dice.below(4) }, () => {
    const address = dice.chance(0.7) ? dice.below(0x400) : dice.number();
    const plain = dice.chance(0.5)
      ? new Uint8Array(dice.below(200)).fill(dice.below(256))
      : dice.bytes(dice.below(60));
    const packed = dice.chance(0.5)
      ? packLzss(plain, dice.chance(0.3))
      : dice.bytes(dice.below(60));
    const stored = isPacked ? packed : plain;
    const data = isPacked ? (unpackLzss(stored, 1 << 20) ?? stored) : stored;
    return { address, stored, data, ...(dice.chance(0.05) ? { crc: dice.below(0x1_0000) } : {}) };
  });
  return makeVbf({
    header: [
      ...(isPacked ? ['data_format_identifier = 0x10;'] : []),
      ...(dice.chance(0.3) ? [`erase = { { ${dice.number()}, ${dice.number()} } };`] : []),
      ...(dice.chance(0.3) ? [`call = 0x${dice.number().toString(16)};`] : []),
      ...(dice.chance(0.3) ? ['description = { "a // b", "c" }; // d'] : []),
      ...(dice.chance(0.1)
        ? [
            dice.of(
              '{',
              '}',
              ';',
              '=',
              '"',
              'x = "',
              '/* ',
              'a b c',
              'data_format_identifier = 0x1;',
            ),
          ]
        : []),
    ],
    blocks,
    ...(dice.chance(0.2) ? { gap: dice.of('\n', '\r\n', ' ', '\n\n') } : {}),
    ...(dice.chance(0.1) ? { checksum: dice.of<number | null>(null, dice.number()) } : {}),
  });
};

/** One to four damages, as disks, editors, transfers and people make them. */
function damaged(file: Uint8Array, dice: Dice, other: Maker): Uint8Array {
  let bytes = file;
  for (let times = 1 + dice.below(4); times > 0; times--) {
    const at = dice.below(bytes.length + 1);
    const length = dice.below(Math.min(64, bytes.length - at + 1));
    const before = bytes.subarray(0, at);
    const behind = bytes.subarray(at + length);
    switch (dice.below(9)) {
      case 0: // a bit
        bytes = concatBytes(bytes);
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
        break;
      case 1: // a byte
        bytes = concatBytes(bytes);
        if (at < bytes.length)
          bytes[at] = dice.of(0, 0x0a, 0x20, 0x30, 0x3a, 0x46, 0x53, 0x7d, 0xff, dice.below(256));
        break;
      case 2: // something lost
        bytes = concatBytes(before, behind);
        break;
      case 3: // something twice
        bytes = concatBytes(before, bytes.subarray(at, at + length), bytes.subarray(at));
        break;
      case 4: // something between
        bytes = concatBytes(before, dice.bytes(dice.below(16)), bytes.subarray(at));
        break;
      case 5: // the end
        bytes = before;
        break;
      case 6: // erased
        bytes = concatBytes(before, new Uint8Array(length).fill(dice.of(0, 0xff)), behind);
        break;
      case 7: // a number
        bytes = concatBytes(
          before,
          uintToBytes(dice.number(), 4),
          bytes.subarray(Math.min(at + 4, bytes.length)),
        );
        break;
      default: // two files in one
        bytes = concatBytes(before, other(dice));
    }
  }
  return bytes;
}

function judge(bytes: Uint8Array, told: boolean | undefined): LoadedImage | InputError {
  let loaded: LoadedImage;
  try {
    loaded = readImage(bytes, 'fw', told === undefined ? {} : { raw: { told, address: 0x1000 } });
  } catch (error) {
    // Anything else than this is what the fuzzer looks for.
    if (!(error instanceof InputError)) throw error;
    if (!/^[^\r\n]{8,600}$/.test(error.message)) throw new Error(`no sentence: ${error.message}`);
    return error;
  }
  const { segments } = loaded.image;
  let end = -1;
  for (const segment of segments) {
    if (segment.address <= end || segment.bytes.length === 0)
      throw new Error('segments out of order');
    end = segment.address + segment.bytes.length;
  }
  if (segments.length === 0 || end > ADDRESS_END) throw new Error('not within 32 bits');
  // LZSS unpacks one byte to at most 9.1.
  if (totalBytes(loaded.image) > 10 * bytes.length)
    throw new Error('more data than the file can hold');
  return loaded;
}

it.each([
  ['intel-hex', hexFile],
  ['s-record', sFile],
  ['elf', elfFile],
  ['vbf', vbfFile],
] as const)(
  '%s: every input ends in an image or in a sentence',
  (format, make) => {
    const dice = new Dice(`${SEED}:${format}`);
    const seen = { images: 0, ofFormat: 0, refused: 0 };
    const messages = new Set<string>();
    for (let run = 0; run < COUNT; run++) {
      const other = dice.of<Maker>(hexFile, sFile, elfFile, vbfFile);
      const kind = dice.below(10);
      const bytes =
        kind < 4
          ? make(dice)
          : kind < 9
            ? damaged(make(dice), dice, other)
            : concatBytes(make(dice).subarray(0, dice.below(20)), dice.bytes(dice.below(300)));
      const told = dice.of(undefined, undefined, false, true);
      let found: LoadedImage | InputError;
      try {
        found = judge(bytes, told);
      } catch (error) {
        const input = Buffer.from(bytes).toString('base64');
        throw new Error(`input ${run} of seed ${SEED}: ${input}`, { cause: error });
      }
      if (found instanceof InputError) {
        seen.refused++;
        messages.add(found.message.replaceAll(/0x[0-9A-F]+|[0-9]+|"[^"]*"/g, '#'));
      } else {
        seen.images++;
        if (found.format === format) seen.ofFormat++;
      }
    }
    process.stdout.write(
      `${format}: ${COUNT} inputs, ${seen.images} images (${seen.ofFormat} of the format), ${seen.refused} refused with ${messages.size} messages\n`,
    );
    // Both ends are reached, and the messages differ: the inputs go deep enough.
    expect(seen.ofFormat).toBeGreaterThan(COUNT / 50);
    expect(seen.refused).toBeGreaterThan(COUNT / 5);
    expect(messages.size).toBeGreaterThan(15);
  },
  3_600_000,
);
