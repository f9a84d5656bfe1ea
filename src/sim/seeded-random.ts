// Reproducible randomness: one seed, and independent streams that are named by their use.

import { createHash } from 'node:crypto';
import type { Random } from '../core/random.ts';

/** A Random that its seed determines completely. Not for secrets outside of tests and the simulation. */
export interface SeededRandom extends Random {
  /**
   * An independent stream. It depends on the seed and on `label` only, not on earlier draws: an additional draw
   * in one part of the simulation changes nothing in the others. The same label gives the same stream again.
   */
  fork(label: string): SeededRandom;
}

/** Rounds after which every bit of the state depends on every bit of the seed; the author of sfc32 recommends them. */
const WARM_UP = 15;

/** `1` and `'1'` are the same seed: one comes from code, the other from a command line. */
export function seededRandom(seed: number | string = 1): SeededRandom {
  return new Sfc32(createHash('sha256').update(`seed:${seed}`).digest());
}

/**
 * sfc32 of PractRand (Chris Doty-Humphrey): 96 bits of state and a counter. It passes PractRand and BigCrush,
 * and needs only 32-bit additions and shifts, which are fast in JavaScript.
 */
class Sfc32 implements SeededRandom {
  readonly #key: Uint8Array;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(key: Buffer) {
    this.#key = key;
    this.#a = key.readInt32LE(0);
    this.#b = key.readInt32LE(4);
    this.#c = key.readInt32LE(8);
    for (let round = 0; round < WARM_UP; round++) this.#next();
  }

  /** 32 bits, as a signed integer. */
  #next(): number {
    const word = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + word) | 0;
    return word;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let word = 0;
    for (let at = 0; at < length; at++, word >>>= 8) {
      if ((at & 3) === 0) word = this.#next();
      bytes[at] = word;
    }
    return bytes;
  }

  fraction(): number {
    return (this.#next() >>> 0) / 2 ** 32;
  }

  fork(label: string): SeededRandom {
    return new Sfc32(createHash('sha256').update(this.#key).update(label).digest());
  }
}
