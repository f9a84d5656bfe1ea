// Commands in one contact of a vehicle: first its reports, then its orders. All of it is inside one transaction.

import type { Kysely } from 'kysely';
import type { Catalogue, CommandOrder, CommandReport } from '../../../src/contract/command.ts';
import { MAX_COMMANDS } from '../../../src/contract/sync.ts';
import type { Database } from '../../platform/db/database.ts';
import type { Schema } from '../../platform/db/schema.ts';
import type { AuditLog } from '../audit/store.ts';
import { catalogueDigestOf } from '../configuration/vehicle-rows.ts';
import { commandIdOf, commandOf, isStepForward, OPEN_STATES, type StoredCommand } from './rows.ts';
import { expireAtHome } from './store.ts';

const MAX_CANCELS = 64;

export class CommandContact {
  readonly #transaction: Kysely<Schema>;
  readonly #db: Database;
  readonly #audit: AuditLog;
  readonly #vin: string;
  readonly #address: string;

  constructor(
    transaction: Kysely<Schema>,
    deps: { readonly db: Database; readonly audit: AuditLog },
    vehicle: { readonly vin: string; readonly address: string },
  ) {
    this.#transaction = transaction;
    this.#db = deps.db;
    this.#audit = deps.audit;
    this.#vin = vehicle.vin;
    this.#address = vehicle.address;
  }

  /** True when the catalogue that is here is not the vehicle's. */
  async heardCatalogue(digest: string, catalogue: Catalogue | undefined): Promise<boolean> {
    const vin = this.#vin;
    const known = await this.#transaction
      .selectFrom('vehicle_services')
      .select('catalogue_digest')
      .where('vin', '=', vin)
      .executeTakeFirst();
    if (known !== undefined && catalogueDigestOf(known).catalogue_digest === digest) return false;
    if (catalogue === undefined) return true;
    const told = {
      catalogue: JSON.stringify(catalogue),
      catalogue_digest: digest,
      catalogue_at: this.#db.timestamp(),
    };
    await this.#transaction
      .insertInto('vehicle_services')
      .values({ vin, judged_version: 0, ...told })
      .onConflict((conflict) => conflict.column('vin').doUpdateSet(told))
      .execute();
    await this.#note('catalogue.changed', `commands for ${Object.keys(catalogue).join(', ')}`);
    return false;
  }

  /**
   * Takes reports in, each as far as it is news. Returns the ids of all of them: also of those that count for nothing,
   * so that the vehicle does not send them again.
   */
  async heard(reports: readonly CommandReport[]): Promise<string[]> {
    const foreign: string[] = [];
    for (const report of reports) {
      const row = await this.#transaction
        .selectFrom('commands')
        .selectAll()
        .where('id', '=', report.id)
        .executeTakeFirst();
      if (row === undefined) continue; // so old that it was forgotten here
      const command = commandOf(row);
      if (command.vin === this.#vin) await this.#step(command, report);
      else foreign.push(command.id);
    }
    if (foreign.length > 0) {
      const ids = foreign.join(', ');
      await this.#note('command.foreign', `reports on commands of another vehicle: ${ids}`);
    }
    await this.#settle(reports.length < MAX_COMMANDS);
    return [...new Set(reports.map(({ id }) => id))];
  }

  /** What waits, the most urgent first, then the oldest. It goes out again until the vehicle says that it has it. */
  async orders(): Promise<CommandOrder[]> {
    const now = this.#db.timestamp();
    const rows = await this.#transaction
      .selectFrom('commands')
      .selectAll()
      .where('vin', '=', this.#vin)
      .where('state', '=', 'pending')
      .where('cancelled_at', 'is', null)
      .where('expires_at', '>', now)
      .orderBy('priority', 'desc')
      .orderBy('id')
      .limit(MAX_COMMANDS)
      .execute();
    const commands = rows.map(commandOf);
    const first = commands.filter((command) => command.handedOutAt === undefined);
    if (first.length > 0) {
      await this.#transaction
        .updateTable('commands')
        .set({ handed_out_at: now })
        .where(
          'id',
          'in',
          first.map(({ id }) => id),
        )
        .execute();
    }
    return commands.map(({ id, ecu, action, arguments: given, expiresAt, priority }) => {
      return { id, ecu, action, arguments: given, expiresAt, priority };
    });
  }

  /** Ids of commands that the vehicle may have and must not begin any more. */
  async cancels(): Promise<string[]> {
    const rows = await this.#transaction
      .selectFrom('commands')
      .select('id')
      .where('vin', '=', this.#vin)
      .where('state', 'in', OPEN_STATES)
      .where('cancelled_at', 'is not', null)
      .orderBy('id')
      .limit(MAX_CANCELS)
      .execute();
    return rows.map((row) => commandIdOf(row).id);
  }

  async #step(command: StoredCommand, report: CommandReport): Promise<void> {
    const { state } = report;
    if (!isStepForward(command.state, state)) return;
    const now = this.#db.timestamp();
    const isBegun = state === 'executing';
    const isEnd = state !== 'delivered' && !isBegun;
    await this.#transaction
      .updateTable('commands')
      .set({
        state,
        vehicle_at: report.at,
        delivered_at: command.deliveredAt ?? now,
        executing_at: isBegun ? now : (command.executingAt ?? null),
        ended_at: isEnd ? now : null,
        code: report.code ?? null,
        reason: report.reason ?? null,
        nrc: report.nrc ?? null,
        result: report.result ?? null,
        runs: report.runs,
      })
      .where('id', '=', command.id)
      .execute();
    if (!isEnd) return;
    const why = report.reason ?? report.result;
    await this.#note(
      'command.reported',
      `${command.id}, ${command.ecu} ${command.action}: ${[state, report.code, why].filter(Boolean).join(', ')}`,
    );
  }

  /**
   * Ends what is over its time here. `isAll`: the vehicle had room for all that it has to tell, so what left for it
   * and is not among that has never arrived.
   */
  async #settle(isAll: boolean): Promise<void> {
    await expireAtHome(this.#transaction, this.#db, this.#vin);
    if (!isAll) return;
    const now = this.#db.timestamp();
    const lost = this.#transaction
      .updateTable('commands')
      .where('vin', '=', this.#vin)
      .where('state', '=', 'pending')
      .where('handed_out_at', 'is not', null);
    const reason = 'it never reached the vehicle';
    await lost
      .set({ state: 'cancelled', ended_at: now, reason })
      .where('cancelled_at', 'is not', null)
      .execute();
    await lost
      .set({ state: 'expired', ended_at: now, code: 'EXPIRED', reason })
      .where('expires_at', '<=', now)
      .execute();
  }

  #note(
    action: 'catalogue.changed' | 'command.foreign' | 'command.reported',
    detail: string,
  ): Promise<void> {
    return this.#audit.add(this.#transaction, {
      ...{ action, detail },
      ...{ who: this.#vin, address: this.#address },
    });
  }
}
