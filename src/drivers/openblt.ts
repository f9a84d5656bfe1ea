// The driver of one board with OpenBLT over XCP: one bank, programmed while the board starts, known by the TMU's own record.

import { worse } from '../campaign/changes.ts';
import type {
  Changed,
  DriverHooks,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  EcuReport,
  HealthChecks,
  RollbackOrder,
  RollbackReport,
  Target,
  TransferReport,
} from '../campaign/ports.ts';
import type { Clock } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { MemoryStorage } from '../core/memory-storage.ts';
import { defined } from '../core/optional.ts';
import type { Storage } from '../core/storage.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import { memoryRoom, roomField } from '../vehicle/memory.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { XcpRequester } from '../xcp/master.ts';
import type { Advice } from './advice.ts';
import { ChangeFact } from './change-fact.ts';
import { failure } from './exchange.ts';
import { wanted } from './image-reader.ts';
import { encryptedOf, type Layout, layOut } from './layout.ts';
import { type AliveFrames, watchApplication } from './openblt/application.ts';
import { type BoardAnswer, BoardExchange } from './openblt/board-exchange.ts';
import { type BoardNote, BoardRecord } from './openblt/board-record.ts';
import type { BoardWait } from './openblt/board-session.ts';
import { evidenceText, updateBoard } from './openblt/board-update.ts';

const NOTHING_SENT = {
  ok: true,
  value: { bytes: 0, transferMs: 0, changed: 'no', held: false },
} as const;

export interface OpenbltDriverOptions extends Pick<BoardWait, 'waitMs'> {
  readonly ecu: VehicleEcu;
  readonly requester: XcpRequester;
  /** Listens for the frame of the application (`programming.openblt.alive`). */
  readonly frames: AliveFrames;
  readonly clock: Clock;
  /** Where the record of the board is kept; missing: nothing is known of the board, and nothing is kept. */
  readonly storage?: Storage | undefined;
  /** For `security.algorithm: command` and `module`. */
  readonly runCommand?: KeyCommand | undefined;
  readonly logger?: Logger;
  readonly advice?: Advice;
}

/**
 * A board has no version and no digest to read, and CONNECT restarts its application: so identification sends nothing and
 * reports the record, which says what this TMU last wrote and saw. Without a record the software is unknown.
 */
export class OpenbltDriver implements EcuDriver {
  readonly #options: OpenbltDriverOptions;
  readonly #board: BoardExchange;
  readonly #logger: Logger;
  #record: Promise<BoardRecord> | undefined;
  /** What this driver has changed, by the digest of the target. */
  readonly #changes = new Map<string, Changed>();

  constructor(options: OpenbltDriverOptions) {
    this.#options = options;
    this.#board = new BoardExchange(options);
    this.#logger = options.logger ?? silentLogger;
  }

  get #ecu(): VehicleEcu {
    return this.#options.ecu;
  }

  async identify(): Promise<DriverResult<EcuIdentity>> {
    const { version, sha256 } = reportOf((await this.#opened()).note);
    const identity = { hardwareId: undefined, serialNumber: undefined, version, sha256 };
    return this.#result({ ok: true, value: identity }, [], 'no');
  }

  /** Sends nothing: a question to the boot loader would restart the application while the vehicle is in use. */
  async stage(target: Target): Promise<DriverResult<TransferReport>> {
    const laidOut = this.#layOut(target);
    return this.#result(laidOut.ok ? NOTHING_SENT : laidOut, [], 'no');
  }

  async activate(target: Target, hooks: DriverHooks = {}): Promise<DriverResult<TransferReport>> {
    const warnings: string[] = [];
    const fact = new ChangeFact(hooks.changing);
    const { note } = await this.#opened();
    const { sha256 } = wanted(target);
    const done =
      note.state === 'written' && note.campaign === target.campaign && note.sha256 === sha256
        ? this.#wroteBefore(fact)
        : await this.#program(target, hooks, warnings, fact);
    this.#changes.set(sha256, worse(this.#changes.get(sha256) ?? 'no', fact.value));
    return this.#result(done, warnings, fact.value);
  }

  /** An earlier try of this campaign has written the image and seen the board start. */
  #wroteBefore(fact: ChangeFact): BoardAnswer<TransferReport> {
    fact.join('yes');
    return { ok: true, value: { bytes: 0, transferMs: 0, changed: 'yes', held: true } };
  }

  async verify(
    target: Target,
    { heartbeatMs }: HealthChecks,
    signal?: AbortSignal,
  ): Promise<DriverResult<EcuReport>> {
    const warnings: string[] = [];
    const { note } = await this.#opened();
    const { sha256 } = wanted(target);
    if (note.state !== 'written' || note.sha256 !== sha256) {
      const reason = `${this.#board.peer} was not programmed with ${sha256.slice(0, 12)}... to the end: activate it again`;
      return this.#result(failure('NOT_STAGED', reason), warnings, 'no');
    }
    const { frames } = this.#options;
    const alive = await watchApplication(this.#board, frames, heartbeatMs, signal);
    if (!alive.ok) return this.#result(alive, warnings, 'no');
    warnings.push(`${this.#ecu.name}: ${evidenceText(this.#ecu, note)}`);
    return this.#result({ ok: true, value: reportOf(note) }, warnings, 'no');
  }

  /** A single bank has no trial to end. */
  async confirm(): Promise<DriverResult<string | undefined>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  /** OpenBLT has no security counter. */
  async commit(): Promise<DriverResult<void>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  async rollback(
    order: RollbackOrder,
    hooks: DriverHooks = {},
  ): Promise<DriverResult<RollbackReport>> {
    const warnings: string[] = [];
    const fact = new ChangeFact();
    const { sha256 } = wanted(order.target);
    const remembered = this.#changes.get(sha256);
    const changed =
      order.changed === undefined
        ? (remembered ?? 'unknown')
        : worse(order.changed, remembered ?? 'no');
    const done = await this.#rollBack(order, changed, hooks, warnings, fact);
    if (done.ok) this.#changes.delete(sha256);
    return this.#result(done, warnings, fact.value);
  }

  /** The record is marked before the first byte changes: an old image in it is still in the board. */
  async #rollBack(
    { target, previous }: RollbackOrder,
    changed: Changed,
    hooks: DriverHooks,
    warnings: string[],
    fact: ChangeFact,
  ): Promise<BoardAnswer<RollbackReport>> {
    const { note } = await this.#opened();
    const isTarget = note.sha256 === wanted(target).sha256;
    if (changed === 'no' || (note.state === 'written' && !isTarget)) {
      return { ok: true, value: { ...reportOf(note), unchanged: changed !== 'yes' } };
    }
    if (note.state === 'unknown' && changed === 'unknown') {
      return { ok: true, value: { ...reportOf(note), unchanged: true } };
    }
    const { image, version = UNKNOWN_VERSION } = previous;
    if (image === undefined) {
      const kept = version === UNKNOWN_VERSION ? '' : ` ${version}`;
      return failure(
        'NO_PREVIOUS_IMAGE',
        `${this.#board.peer} has one bank, and its previous image${kept} is not kept here: ${this.#board.advise('no-previous-image')}`,
      );
    }
    const old = { ...previous, campaign: target.campaign, image, version: previous.version };
    const written = await this.#program(old, hooks, warnings, fact);
    if (!written.ok) return written;
    const report = reportOf((await this.#opened()).note);
    return { ok: true, value: { ...report, unchanged: false } };
  }

  async versionReport(): Promise<DriverResult<Uint8Array | undefined>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  async reportReceived(): Promise<DriverResult<void>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  #opened(): Promise<BoardRecord> {
    const { storage = new MemoryStorage(), ecu } = this.#options;
    this.#record ??= BoardRecord.open(storage, ecu.name);
    return this.#record;
  }

  #layOut(target: Target): BoardAnswer<Layout> {
    const { memory, name } = this.#ecu;
    if (target.encryption !== undefined) {
      return failure(
        'IMAGE_INVALID',
        `the image for ${name} is encrypted, and a board with OpenBLT cannot decrypt it: release it unencrypted`,
      );
    }
    const room = memoryRoom(memory);
    const { image } = target;
    const length = image.length - (image.map?.dataOffset ?? 0);
    if (length === 0) return failure('IMAGE_INVALID', `the image for ${name} is empty`);
    if (length > room) {
      return failure(
        'IMAGE_TOO_LARGE',
        `the image for ${name} has ${length} bytes, its flash holds ${room}: ` +
          `use a smaller image or correct ${roomField(memory)} in the vehicle file`,
      );
    }
    return layOut(this.#ecu, target.image, encryptedOf(target));
  }

  async #program(
    target: Target,
    hooks: DriverHooks,
    warnings: string[],
    fact: ChangeFact,
  ): Promise<BoardAnswer<TransferReport>> {
    const layout = this.#layOut(target);
    if (!layout.ok) return layout;
    const { runCommand, waitMs, frames } = this.#options;
    return updateBoard({
      ...{ board: this.#board, record: await this.#opened(), layout: layout.value, target, hooks },
      ...{ warnings, fact, frames, runCommand, waitMs },
    });
  }

  #result<T>(done: BoardAnswer<T>, warnings: readonly string[], changed: Changed): DriverResult<T> {
    for (const warning of warnings) this.#logger.warn({ ecu: this.#ecu.name }, warning);
    if (done.ok) return { ...done, warnings };
    const { code, reason, transient, attack } = done;
    this.#logger.warn({ ecu: this.#ecu.name, code }, reason);
    return { ok: false, code, reason, transient, changed, ...defined({ attack }) };
  }
}

/** A board that was left in the middle runs nothing that is known. A digest is told only where all bytes were read. */
function reportOf({ state, version, sha256, readBack }: BoardNote): EcuReport {
  if (state !== 'written') return { version: undefined, sha256: undefined };
  return { version: version ?? undefined, sha256: readBack ? (sha256 ?? undefined) : undefined };
}
