// Download nonces: 128 bit, five minutes or to the last byte of the image, bound to the asker and to one file.

import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Database } from '../../platform/db/database.ts';
import { total } from '../../platform/db/row.ts';
import { nonceOf } from './rows.ts';

export const NONCE_LIFE_MS = 5 * 60 * 1000;
/** Nonces that one address may have open unless told; more is a fault or a flood. */
const OPEN_PER_ADDRESS = 1000;
/** How long an expired nonce is still answered with "expired" instead of "unknown". */
const REMEMBER_MS = 60 * 60 * 1000;
const PRUNE_EVERY_MS = 60_000;

/** Who asks. */
export interface NonceOwner {
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
  async issue(asker: NonceOwner): Promise<string | undefined> {
    await this.#prune();
    const now = this.#db.timestamp();
    const open = await this.#db.query
      .selectFrom('nonces')
      .select((select) => select.fn.countAll<number | string>().as('count'))
      .where('address', '=', asker.address)
      .where('expires_at', '>', now)
      .where('used_at', 'is', null)
      .where('ended_at', 'is', null)
      .executeTakeFirstOrThrow();
    if (total('nonces', open.count) >= this.#openPerAddress) return undefined;
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
        sent_bytes: 0,
        last_sent: 0,
        ended_at: null,
      })
      .execute();
    return nonce;
  }

  /** Why `asker` may not read anything with `nonce`; undefined when he may. Changes nothing. */
  async check(nonce: string, asker: NonceOwner): Promise<NonceRefusal | undefined> {
    return (await this.#examine(nonce, asker)).refusal;
  }

  /**
   * Takes the nonce for one file of a release: the image, or a copy encrypted for one ECU. `whole`: for all of it,
   * which works once, also when a hundred requests come at the same time. Otherwise for a part, as often as wanted
   * while the nonce lives.
   */
  async claim(
    nonce: string,
    asker: NonceOwner,
    wanted: { readonly releaseId: string | null; readonly file: string },
    whole: boolean,
  ): Promise<NonceRefusal | undefined> {
    const { refusal, file: bound } = await this.#examine(nonce, asker);
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
      .where('ended_at', 'is', null)
      .where((where) => where.or([where('file', 'is', null), where('file', '=', wanted.file)]));
    if (whole) update = update.where('used_at', 'is', null);
    if ((await update.executeTakeFirst()).numUpdatedRows === 1n) return undefined;
    // It ended, or went to another file, since it was looked at.
    return whole ? 'USED' : ((await this.#examine(nonce, asker)).refusal ?? 'OTHER_FILE');
  }

  /**
   * `bytes` of the file were sent. The nonce ends when as many bytes as the file has were sent and the last one was
   * among them: a client that was cut off goes on until then.
   */
  async sent(
    nonce: string,
    file: { readonly size: number },
    { bytes, last }: { readonly bytes: number; readonly last: boolean },
  ): Promise<void> {
    const isOver = sql<boolean>`sent_bytes + ${bytes} >= ${file.size} and last_sent + ${last ? 1 : 0} > 0`;
    await this.#db.query
      .updateTable('nonces')
      .set({
        sent_bytes: sql`sent_bytes + ${bytes}`,
        ...(last ? { last_sent: 1 } : {}),
        ended_at: sql`case when ${isOver} then ${this.#db.timestamp()} else ended_at end`,
      })
      .where('hash', '=', hashOf(nonce))
      .execute();
  }

  async #examine(
    nonce: string,
    asker: NonceOwner,
  ): Promise<{ refusal: NonceRefusal | undefined; file: string | null }> {
    const found = await this.#db.query
      .selectFrom('nonces')
      .selectAll()
      .where('hash', '=', hashOf(nonce))
      .executeTakeFirst();
    if (found === undefined) return { refusal: 'UNKNOWN', file: null };
    const row = nonceOf(found);
    // Another client learns nothing about the state. A VIN that is left out claims nothing:
    // the address is what cannot be made up, so it must match always and the VIN whenever it is given.
    const foreign =
      row.address !== asker.address || (asker.vin !== undefined && asker.vin !== row.vin);
    if (foreign) return { refusal: 'FOREIGN', file: null };
    if (row.expires_at <= this.#db.timestamp()) return { refusal: 'EXPIRED', file: null };
    if (row.ended_at !== null) return { refusal: 'USED', file: row.file };
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
