// The audit log: who did what from where. Refusals are counted together, so that a flood stays a line.

import { type Kysely, sql } from 'kysely';
import { AUDIT_CATEGORIES } from '../../../src/contract/endpoints/people/pages.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { defined } from '../../../src/core/optional.ts';
import { cleanLine } from '../../../src/core/text.ts';
import { networkOf } from '../../platform/auth/addresses.ts';
import type { Database } from '../../platform/db/database.ts';
import { keepNewest } from '../../platform/db/keep-newest.ts';
import type { Schema } from '../../platform/db/schema.ts';
import { type AuditCategory, type AuditEntry, entryOf } from './rows.ts';

/** Each action belongs to one category. */
const AUDIT_ACTIONS = {
  'login.ok': 'people',
  'login.failed': 'refusals',
  'login.throttled': 'refusals',
  logout: 'people',
  upload: 'people',
  'upload.refused': 'people',
  'image.download': 'people',
  'nonce.issued': 'vehicles',
  'nonce.refused': 'refusals',
  'download.start': 'vehicles',
  'download.complete': 'vehicles',
  'download.aborted': 'vehicles',
  report: 'vehicles',
  'ask.ordered': 'people',
  'cancel.ordered': 'people',
  'cancel.answered': 'vehicles',
  'config.changed': 'people',
  'config.reported': 'vehicles',
  'command.ordered': 'people',
  'command.cancelled': 'people',
  'command.expired': 'vehicles',
  'command.reported': 'vehicles',
  'command.foreign': 'attacks',
  'catalogue.changed': 'vehicles',
  'telemetry.lost': 'vehicles',
  'device.created': 'devices',
  'device.changed': 'devices',
  'device.activated': 'devices',
  'device.revoked': 'devices',
  'device.reopened': 'devices',
  'device.repeated': 'devices',
  'device.refused': 'refusals',
  'device.key': 'devices',
  'device.chip': 'attacks',
  'device.twin': 'attacks',
  'transfer.started': 'vehicles',
  'transfer.ended': 'vehicles',
  'package.released': 'people',
  'package.refused': 'people',
  'package.withdrawn': 'people',
  'token.created': 'devices',
  'token.removed': 'devices',
  'server.restored': 'people',
  'clock.jumped': 'attacks',
  'metadata.published': 'people',
  'metadata.refused': 'people',
  'vehicle.state': 'vehicles',
  'vehicle.attack': 'attacks',
  'manifest.refused': 'attacks',
  'refused.device': 'refusals',
  'refused.message': 'refusals',
  'refused.token': 'refusals',
  'refused.rate': 'refusals',
  'refused.address': 'refusals',
  'refused.csrf': 'refusals',
  'refused.role': 'refusals',
  'refused.session': 'refusals',
} as const;
export type AuditAction = keyof typeof AUDIT_ACTIONS;
export interface AuditEvent {
  readonly action: AuditAction;
  /** A user's name or a VIN; empty when neither is known. */
  readonly who?: string;
  readonly address: string;
  readonly detail?: string;
  /** Without an identity that was proven: such entries have a share of their own. */
  readonly stranger?: boolean;
}

/**
 * Rows kept of each category. Each kind of refusal, and what comes without an identity, has a smaller share of its own:
 * what a stranger can repeat as often as it wants pushes out nothing else.
 */
const KEEP = 100_000;
const SMALL_SHARE = 10;
const PRUNE_EVERY = 500;
/** Equal refusals within this time are one row with a count. */
const WINDOW_MS = 60_000;
/** Different refusals counted at a time; beyond, they share a row per action. */
const OPEN_WINDOWS = 500;
/** Rows that one network opens; beyond that it has a row per action. */
const OPEN_PER_NETWORK = 20;
/** UTF-8 bytes of each text in a row: a row has 1 KiB at most. */
const TEXT_BYTES = 300;

interface Window {
  readonly id: string;
  readonly network: string;
  readonly startMs: number;
  count: number;
  written: number;
  lastAt: string;
}

export class AuditLog {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #keep: number;
  readonly #windows = new Map<string, Window>();
  #sincePrune = PRUNE_EVERY;

  constructor(db: Database, logger: Logger, keep = KEEP) {
    this.#db = db;
    this.#logger = logger;
    this.#keep = keep;
  }

  /** Never throws: that the log cannot be written is logged, and the request goes on. */
  async record(event: AuditEvent): Promise<void> {
    try {
      if (AUDIT_ACTIONS[event.action] === 'refusals') await this.#count(event);
      else await this.#insert(event, this.#db.newId());
    } catch (error) {
      this.#logger.error(
        { action: event.action, error: describeError(error) },
        'the audit log cannot be written: check the space and permissions of the data folder',
      );
    }
  }

  /** One line inside a transaction of the caller: the change and its line are there together, or neither. Throws. */
  async add(transaction: Kysely<Schema>, event: AuditEvent): Promise<void> {
    await transaction.insertInto('audit').values(this.#row(event, this.#db.newId())).execute();
    this.#sincePrune++;
  }

  /** Writes the counts that are still in memory only. */
  async flush(): Promise<void> {
    for (const [key, window] of this.#windows) {
      const over = this.#db.clock.nowMs() - window.startMs >= WINDOW_MS;
      if (over) this.#windows.delete(key);
      if (window.written === window.count) continue;
      window.written = window.count;
      await this.#db.query
        .updateTable('audit')
        .set({ count: window.count, last_at: window.lastAt })
        .where('id', '=', window.id)
        .execute();
    }
  }

  /**
   * Newest first. `before` is the id of the last entry of the previous page, `text` is looked for in
   * who, address, action and detail.
   */
  async list(filter: {
    limit: number;
    before?: string | undefined;
    category?: AuditCategory | undefined;
    text?: string | undefined;
  }): Promise<AuditEntry[]> {
    await this.flush();
    let select = this.#db.query.selectFrom('audit').selectAll().orderBy('id', 'desc');
    if (filter.before !== undefined) select = select.where('id', '<', filter.before);
    if (filter.category !== undefined) select = select.where('category', '=', filter.category);
    if (filter.text !== undefined && filter.text !== '') {
      const pattern = `%${filter.text.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
      select = select.where((where) =>
        where.or(
          (['who', 'address', 'action', 'detail'] as const).map(
            (column) => sql<boolean>`lower(${sql.ref(column)}) like ${pattern} escape '\\'`,
          ),
        ),
      );
    }
    const rows = await select.limit(filter.limit).execute();
    return rows.map(entryOf);
  }

  async #count(event: AuditEvent): Promise<void> {
    const nowMs = this.#db.clock.nowMs();
    const network = networkOf(event.address);
    let key = JSON.stringify([event.action, event.address, event.who, event.detail]);
    let row = event;
    let open = this.#windows.get(key);
    if (open === undefined && this.#openOf(network) >= OPEN_PER_NETWORK) {
      await this.flush();
      if (this.#openOf(network) >= OPEN_PER_NETWORK) {
        key = JSON.stringify([event.action, network]);
        row = { ...summed(event), address: network };
        open = this.#windows.get(key);
      }
    }
    if (open === undefined && this.#windows.size >= OPEN_WINDOWS) {
      await this.flush();
      if (this.#windows.size >= OPEN_WINDOWS) {
        key = event.action;
        row = summed(event);
        open = this.#windows.get(key);
      }
    }
    if (open !== undefined && nowMs - open.startMs < WINDOW_MS) {
      open.count++;
      open.lastAt = this.#db.timestamp();
      return;
    }
    if (open !== undefined) await this.flush();
    const id = this.#db.newId();
    const lastAt = this.#db.timestamp();
    this.#windows.set(key, { id, network, startMs: nowMs, count: 1, written: 1, lastAt });
    await this.#insert(row, id);
  }

  #openOf(network: string): number {
    let count = 0;
    for (const window of this.#windows.values()) if (window.network === network) count++;
    return count;
  }

  async #insert(event: AuditEvent, id: string): Promise<void> {
    await this.#db.query.insertInto('audit').values(this.#row(event, id)).execute();
    if (++this.#sincePrune >= PRUNE_EVERY) {
      this.#sincePrune = 0;
      await this.flush();
      await this.#prune();
    }
  }

  #row(event: AuditEvent, id: string): Schema['audit'] {
    const now = this.#db.timestamp();
    return {
      id,
      at: now,
      last_at: now,
      count: 1,
      category: AUDIT_ACTIONS[event.action],
      share: shareOf(event),
      action: event.action,
      who: shown(event.who),
      address: shown(event.address),
      detail: shown(event.detail),
    };
  }

  async #prune(): Promise<void> {
    for (const share of SHARES) {
      const isWhole = (AUDIT_CATEGORIES as readonly string[]).includes(share);
      const keep = isWhole ? this.#keep : Math.ceil(this.#keep / SMALL_SHARE);
      await keepNewest(this.#db.query, 'audit', keep, { column: 'share', value: share });
    }
  }
}

/** Names, paths and headers come from strangers; the log is read on terminals, too. */
function shown(text = ''): string {
  return cleanLine(cut(text));
}

/** The category, or a part of it: `refusals login.failed`, `vehicles strangers`. */
function shareOf({ action, stranger }: Pick<AuditEvent, 'action' | 'stranger'>): string {
  const category = AUDIT_ACTIONS[action];
  const kind = category === 'refusals' ? [action] : [];
  return [category, ...kind, ...(stranger === true ? ['strangers'] : [])].join(' ');
}

const SHARES = new Set(
  (Object.keys(AUDIT_ACTIONS) as AuditAction[]).flatMap((action) =>
    [false, true].map((stranger) => shareOf({ action, stranger })),
  ),
);

/** The row for refusals that have no row of their own. */
function summed({ action, stranger }: AuditEvent): AuditEvent {
  const detail = 'too many different ones to list';
  return { action, address: 'many', detail, ...defined({ stranger }) };
}

/** Whole characters, at most TEXT_BYTES of UTF-8. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= TEXT_BYTES) return text;
  const bytes = Buffer.from(text).subarray(0, TEXT_BYTES);
  // A character that was cut in two is no character; the decoder holds it back.
  return new TextDecoder('utf-8').decode(bytes, { stream: true });
}
