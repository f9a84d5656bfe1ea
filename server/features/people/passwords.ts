// Passwords: what is accepted for a new one, bcrypt, and a check that takes as long for names that do not exist.

import { compare, hash } from '@node-rs/bcrypt';
import { InputError } from '../../../src/core/errors.ts';

const DEFAULT_BCRYPT_COST = 12;
const MIN_CHARACTERS = 10;
/** bcrypt reads no further; what it would ignore must not be accepted. */
const MAX_BYTES = 72;
/** bcrypt keeps a thread of the pool that also reads files busy for a quarter of a second. */
const AT_ONCE = 2;

/** The same password typed on another keyboard is the same bytes. */
function bytesOf(password: string): Buffer {
  return Buffer.from(password.normalize('NFKC'), 'utf8');
}

/** Throws InputError that says what is wrong with a new password. */
function checkNewPassword(password: string): void {
  if ([...password].length < MIN_CHARACTERS) {
    throw new InputError('password', `too short: use at least ${MIN_CHARACTERS} characters`);
  }
  const bytes = bytesOf(password);
  if (bytes.length > MAX_BYTES) {
    throw new InputError(
      'password',
      `too long: bcrypt reads ${MAX_BYTES} bytes and this has ${bytes.length}, use a shorter one`,
    );
  }
  if (bytes.includes(0)) {
    throw new InputError('password', 'it holds a NUL character, where bcrypt would stop reading');
  }
}

export class Passwords {
  readonly #cost: number;
  #decoy: Promise<string> | undefined;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(cost = DEFAULT_BCRYPT_COST) {
    if (!Number.isInteger(cost) || cost < 4 || cost > 31) {
      throw new InputError('bcrypt cost', `${cost} is not a whole number from 4 to 31`);
    }
    this.#cost = cost;
  }

  /** Throws InputError for a password that is not accepted. */
  async hash(password: string): Promise<string> {
    checkNewPassword(password);
    return this.#inTurn(() => hash(bytesOf(password), this.#cost));
  }

  /** `passwordHash` is undefined for an unknown name: that costs the same time, and fails. */
  async verify(password: string, passwordHash: string | undefined): Promise<boolean> {
    const bytes = bytesOf(password);
    const acceptable = bytes.length <= MAX_BYTES && !bytes.includes(0);
    this.#decoy ??= this.#inTurn(() => hash('the password of nobody', this.#cost));
    const against = passwordHash ?? (await this.#decoy);
    // What bcrypt would cut short is compared as a text that no password can be: it is too short.
    const same = await this.#inTurn(() => compare(acceptable ? bytes : Buffer.from('?'), against));
    return same && passwordHash !== undefined;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running >= AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}
