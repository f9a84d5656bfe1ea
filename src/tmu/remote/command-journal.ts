// The journal of commands (`commands.journal`): what must survive a restart so that no command runs twice.

import { concatBytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { RecordLog } from '../../core/record-log.ts';
import type { Storage } from '../../core/storage.ts';
import {
  COMMANDS_FILE,
  type CommandEntry,
  commandCodec,
  DAMAGED_COMMANDS_FILE,
  endedEntry,
  entriesIn,
  isOpen,
  OLD_COMMANDS_FILE,
} from './command-entry.ts';

const FILES = {
  current: COMMANDS_FILE,
  old: OLD_COMMANDS_FILE,
  damaged: DAMAGED_COMMANDS_FILE,
};
/** A smaller journal is not rewritten. */
const COMPACT_BYTES = 128 * 1024;

export interface CommandJournalOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class CommandJournal {
  readonly #options: CommandJournalOptions;
  readonly #log: RecordLog<CommandEntry>;
  readonly #entries: Map<string, CommandEntry>;
  #compactBytes: number;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(
    options: CommandJournalOptions,
    log: RecordLog<CommandEntry>,
    entries: Map<string, CommandEntry>,
  ) {
    this.#options = options;
    this.#log = log;
    this.#entries = entries;
    this.#compactBytes = Math.max(COMPACT_BYTES, 2 * log.sizeBytes);
  }

  /**
   * A record that a power loss has cut does not count. After damage in the middle, a command that seems not to
   * have begun may have run: it ends in doubt and is never run again. Throws StorageError.
   */
  static async open(options: CommandJournalOptions): Promise<CommandJournal> {
    const bytes = await options.storage.read(COMMANDS_FILE);
    if (bytes !== undefined && commandCodec.decode(bytes).end === 'damaged') {
      await mend(bytes, options);
    }
    const { log, content } = await RecordLog.open(options.storage, FILES, commandCodec);
    const entries = new Map(content.records.map(({ value }) => [value.order.id, value]));
    return new CommandJournal(options, log, entries);
  }

  get(id: string): CommandEntry | undefined {
    return this.#entries.get(id);
  }

  get all(): readonly CommandEntry[] {
    return [...this.#entries.values()];
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Durable when it resolves; `get` changes only then. Calls run one after the other. Throws StorageError. */
  put(entry: CommandEntry): Promise<void> {
    return this.#exclusively(async () => {
      await this.#log.append(entry, this.#options.clock.wallMs());
      this.#entries.set(entry.order.id, entry);
    });
  }

  /** The next rewrite removes it from the file; a restart before that reads it again, which does no harm. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** Shortens the file where that is worthwhile. A failure is only logged. */
  compact(): Promise<void> {
    return this.#exclusively(async () => {
      if (this.#log.sizeBytes <= this.#compactBytes) return;
      try {
        const wallMs = this.#options.clock.wallMs();
        await this.#log.rewrite(this.all.map((value) => ({ wallMs, value })));
      } catch (error) {
        const fields = { error: describeError(error) };
        this.#options.logger.warn(fields, `${COMMANDS_FILE} could not be shortened`);
      }
      this.#compactBytes = Math.max(COMPACT_BYTES, 2 * this.#log.sizeBytes);
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#log.close();
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}

/** Writes in one step: after a power cut the file is either the damaged one or the repaired one. */
async function mend(
  bytes: Uint8Array,
  { storage, clock, logger }: CommandJournalOptions,
): Promise<void> {
  const reason =
    'the journal of the vehicle was damaged: it may have run once, and is not run again';
  const ending = { state: 'failed', code: 'IN_DOUBT', reason, runs: 1 } as const;
  const wallMs = clock.wallMs();
  const entries = entriesIn(bytes).map((entry) =>
    isOpen(entry) ? endedEntry(entry, ending, wallMs) : entry,
  );
  logger.warn(
    { commands: entries.length },
    `${COMMANDS_FILE} is damaged: what was open in it is not run any more; a copy is in ${DAMAGED_COMMANDS_FILE}`,
  );
  await storage.replace(DAMAGED_COMMANDS_FILE, bytes);
  const records = entries.map((value, sequence) =>
    commandCodec.encode({ sequence, wallMs, value }),
  );
  await storage.replace(COMMANDS_FILE, concatBytes(...records));
}
