// Tokens of programs that are no vehicles: the factory tool and the release tool. Only hashes are kept.

import { createHash } from 'node:crypto';
import type { Random } from '../../../src/core/random.ts';
import type { ServiceToken, TokenRole } from '../../platform/auth/identity.ts';
import type { Database } from '../../platform/db/database.ts';
import type { AuditLog } from '../audit/store.ts';
import { TOKEN_COLUMNS, tokenOf } from './rows.ts';
import type { Actor } from './store.ts';

/** A use is written down at most this often. */
const TOUCH_AFTER_MS = 3_600_000;

const FORM = /^cot-[A-Za-z0-9_-]{43}$/;

export class ServiceTokenStore {
  readonly #db: Database;
  readonly #audit: AuditLog;

  constructor(db: Database, audit: AuditLog) {
    this.#db = db;
    this.#audit = audit;
  }

  /** The token, which cannot be shown a second time; undefined when the name is taken. */
  async add(
    name: string,
    role: TokenRole,
    random: Random,
    actor: Actor,
    lifeMs: number | undefined,
  ): Promise<string | undefined> {
    const token = `cot-${Buffer.from(random.bytes(32)).toString('base64url')}`;
    return this.#db.query.transaction().execute(async (transaction) => {
      const result = await transaction
        .insertInto('service_tokens')
        .values({
          name,
          role,
          token_hash: hashOf(token),
          created_at: this.#db.timestamp(),
          expires_at: lifeMs === undefined ? null : this.#db.timestamp(lifeMs),
        })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .executeTakeFirst();
      if (result.numInsertedOrUpdatedRows !== 1n) return undefined;
      await this.#audit.add(transaction, {
        action: 'token.created',
        ...actor,
        detail: `${name}, ${role}`,
      });
      return token;
    });
  }

  /** False when there is no such token. It is refused from its next request on. */
  async remove(name: string, actor: Actor): Promise<boolean> {
    return this.#db.query.transaction().execute(async (transaction) => {
      const result = await transaction
        .deleteFrom('service_tokens')
        .where('name', '=', name)
        .executeTakeFirst();
      if (result.numDeletedRows !== 1n) return false;
      await this.#audit.add(transaction, { action: 'token.removed', ...actor, detail: name });
      return true;
    });
  }

  async list(): Promise<ServiceToken[]> {
    const rows = await this.#db.query
      .selectFrom('service_tokens')
      .select(TOKEN_COLUMNS)
      .orderBy('name')
      .execute();
    return rows.map(tokenOf);
  }

  /** The token, expired or not; the use of one that is good is written down. Looked up by hash: how far a guess is right cannot be told from the time it takes. */
  async find(token: string): Promise<ServiceToken | undefined> {
    if (!FORM.test(token)) return undefined;
    const row = await this.#db.query
      .selectFrom('service_tokens')
      .select(TOKEN_COLUMNS)
      .where('token_hash', '=', hashOf(token))
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const found = tokenOf(row);
    if (this.hasExpired(found)) return found;
    if (found.usedAt === undefined || found.usedAt <= this.#db.timestamp(-TOUCH_AFTER_MS)) {
      await this.#db.query
        .updateTable('service_tokens')
        .set({ used_at: this.#db.timestamp() })
        .where('name', '=', found.name)
        .execute();
    }
    return found;
  }

  hasExpired({ expiresAt }: ServiceToken): boolean {
    return expiresAt !== undefined && expiresAt <= this.#db.timestamp();
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
