// A first-in first-out queue that does not copy on removal and keeps no reference to removed items.

const FIRST_SIZE = 16;

/** A ring that doubles when it is full; a queue that becomes empty again and again makes no garbage. */
export class Fifo<T> {
  /** Its length is a power of two. */
  #ring: (T | undefined)[] = new Array<T | undefined>(FIRST_SIZE).fill(undefined);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length++) & (this.#ring.length - 1)] = item;
  }

  /** Puts `item` before all others. */
  unshift(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#ring[this.#head];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    return item;
  }

  /** Removes and returns everything, oldest first. */
  drain(): T[] {
    const all: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    this.#ring = new Array<T | undefined>(FIRST_SIZE).fill(undefined);
    this.#head = 0;
    return all;
  }

  #grow(): void {
    const size = this.#ring.length;
    const ring = new Array<T | undefined>(2 * size).fill(undefined);
    for (let index = 0; index < size; index++) {
      ring[index] = this.#ring[(this.#head + index) & (size - 1)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}
