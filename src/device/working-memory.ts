// The working memory of a small device: one fixed arena for all buffers of the client.

import { CanOtaError } from '../core/errors.ts';

export const ARENA_BYTES = 16 * 1024;

/** The arena has too little space: a mistake in the buffer sizes, which a retry does not solve. */
export class WorkingMemoryError extends CanOtaError {
  readonly code = 'WORKING_MEMORY';
}

/** A part of the arena. `using` frees it at the end of the block. */
export interface Block extends Disposable {
  readonly bytes: Uint8Array;
}

interface Taken {
  readonly offset: number;
  readonly length: number;
}

/**
 * First fit over one array that never grows. Blocks are not cleared, so a user must write a block before reading it.
 */
export class WorkingMemory {
  readonly #arena: Uint8Array;
  /** Used blocks, sorted by offset. */
  readonly #taken: Taken[] = [];
  #used = 0;
  #peak = 0;

  constructor(capacity = ARENA_BYTES) {
    this.#arena = new Uint8Array(capacity);
  }

  get capacity(): number {
    return this.#arena.length;
  }

  /** Used bytes. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Peak of the used bytes. */
  get peakBytes(): number {
    return this.#peak;
  }

  /** Allocates a block. `what` is for the message. Throws WorkingMemoryError where no gap of this length is left. */
  allocate(what: string, length: number): Block {
    let offset = 0;
    let index = 0;
    for (const next of this.#taken) {
      if (next.offset - offset >= length) break;
      offset = next.offset + next.length;
      index++;
    }
    if (offset + length > this.capacity) {
      throw new WorkingMemoryError(
        `${what} needs ${length} bytes of working memory, ${this.#used} of ${this.capacity} are taken: use smaller chunks`,
      );
    }
    const taken: Taken = { offset, length };
    this.#taken.splice(index, 0, taken);
    this.#used += length;
    this.#peak = Math.max(this.#peak, this.#used);
    return {
      bytes: this.#arena.subarray(offset, offset + length),
      [Symbol.dispose]: () => {
        const at = this.#taken.indexOf(taken);
        if (at < 0) return;
        this.#taken.splice(at, 1);
        this.#used -= length;
      },
    };
  }
}
