// Download nonces: 128 bit, five minutes, bound to the asker and to one file, one whole image each.

import { createHash } from 'node:crypto';
import { toHex } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/random.ts';
import type { Database } from './database.ts';

export const NONCE_LIFE_MS = 5 * 60 * 1000;
/** Nonces that one address may have open unless told; more is a fault or a flood. */
const OPEN_PER_ADDRESS = 1000;
/** How long an expired nonce is still answered with "expired" instead of "unknown". */
const REMEMBER_MS = 60 * 60 * 1000;
const PRUNE_EVERY_MS = 60_000;

/** Who asks. */
export interface Asker {
  /** The serial of a device with a session, which may change its address; otherwise the address. */
  readonly address: string;
  /** Where one was given, or the session says it. */
  readonly vin: string | undefined;
}

export type NonceRefusal = 'UNKNOWN' | 'FOREIGN' | 'EXPIRED' | 'OTHER_FILE' | 'USED';

export class NonceStore {
  readonly #db: Database;
  readonly #random: Random;
  readonly #openPerAddress: number;
  #prunedMs = Number.NEGATIVE_INFINITY;

  constructor(db: Database, random: Random, openPerAddress = OPEN_PER_ADDRESS) {
    this.#db = db;
    this.#random = random;
    this.#openPerAddress = openPerAddress;
  }

  /** 32 hexadecimal digits; undefined when the address has too many open ones. */
  async issue(asker: Asker): Promise<string | undefined> {
    await this.#prune();
    const now = this.#db.timestamp();
    const open = await this.#db.query
      .selectFrom('nonces')
      .select((select) => select.fn.countAll<number | string>().as('count'))
      .where('address', '=', asker.address)
      .where('expires_at', '>', now)
      .where('used_at', 'is', null)
      .executeTakeFirstOrThrow();
    if (Number(open.count) >= this.#openPerAddress) return undefined;
    const nonce = toHex(this.#random.bytes(16));
    await this.#db.query
      .insertInto('nonces')
      .values({
        hash: hashOf(nonce),
        address: asker.address,
        vin: asker.vin ?? null,
        release_id: null,
        file: null,
        issued_at: now,
        expires_at: this.#db.timestamp(NONCE_LIFE_MS),
        used_at: null,
      })
      .execute();
    return nonce;
  }

  /** Why `asker` may not read anything with `nonce`; undefined when he may. Changes nothing. */
  async check(nonce: string, asker: Asker): Promise<NonceRefusal | undefined> {
    return (await this.#judge(nonce, asker)).refusal;
  }

  /**
   * Takes the nonce for one file of a release: the image, or a copy encrypted for one ECU. `whole`: for all of it,
   * which works once, also when a hundred requests come at the same time. Otherwise for a part, as often as wanted
   * while the nonce lives.
   */
  async claim(
    nonce: string,
    asker: Asker,
    wanted: { readonly releaseId: string | null; readonly file: string },
    whole: boolean,
  ): Promise<NonceRefusal | undefined> {
    const { refusal, file: bound } = await this.#judge(nonce, asker);
    if (refusal !== undefined) return refusal;
    if (bound !== null && bound !== wanted.file) return 'OTHER_FILE';
    const now = this.#db.timestamp();
    // The conditions stand in the statement, not before it: that is what makes it single use.
    let update = this.#db.query
      .updateTable('nonces')
      .set({
        release_id: wanted.releaseId,
        file: wanted.file,
        ...(whole ? { used_at: now } : {}),
      })
      .where('hash', '=', hashOf(nonce))
      .where('expires_at', '>', now)
      .where((where) => where.or([where('file', 'is', null), where('file', '=', wanted.file)]));
    if (whole) update = update.where('used_at', 'is', null);
    if ((await update.executeTakeFirst()).numUpdatedRows === 1n) return undefined;
    return whole ? 'USED' : 'OTHER_FILE';
  }

  async #judge(
    nonce: string,
    asker: Asker,
  ): Promise<{ refusal: NonceRefusal | undefined; file: string | null }> {
    const row = await this.#db.query
      .selectFrom('nonces')
      .selectAll()
      .where('hash', '=', hashOf(nonce))
      .executeTakeFirst();
    if (row === undefined) return { refusal: 'UNKNOWN', file: null };
    // Whoever is not the asker learns nothing about the state. A VIN that is left out claims nothing:
    // the address is what cannot be made up, so it must match always and the VIN whenever it is given.
    const foreign =
      row.address !== asker.address || (asker.vin !== undefined && asker.vin !== row.vin);
    if (foreign) return { refusal: 'FOREIGN', file: null };
    if (row.expires_at <= this.#db.timestamp()) return { refusal: 'EXPIRED', file: null };
    return { refusal: undefined, file: row.file };
  }

  async #prune(): Promise<void> {
    const nowMs = this.#db.clock.nowMs();
    if (nowMs - this.#prunedMs < PRUNE_EVERY_MS) return;
    this.#prunedMs = nowMs;
    await this.#db.query
      .deleteFrom('nonces')
      .where('expires_at', '<', this.#db.timestamp(-REMEMBER_MS))
      .execute();
  }
}

function hashOf(nonce: string): string {
  return createHash('sha256').update(nonce).digest('hex');
}
