// Reads the state directory of a TMU without its lock, whether or not a daemon uses it.

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  decodeJournal,
  JOURNAL_FILE,
  type JournalRecord,
  OLD_JOURNAL_FILE,
} from '../../campaign/journal.ts';
import { InputError, systemErrorCode } from '../../core/errors.ts';
import { StorageError } from '../../core/storage.ts';
import { decodeMemory, MEMORY_FILE, type MemoryContent } from '../../tmu/memory.ts';
import { PROGRESS_FILE, STATUS_FILE } from '../../tmu/status.ts';

export interface JournalFiles {
  /** Records of the current journal. */
  readonly current: readonly JournalRecord[];
  /** Records of the previous journal. Records that were copied at the change of files are in both. */
  readonly old: readonly JournalRecord[];
}

/** How often the files are read when they change meanwhile; they change seldom, so this is enough. */
const TRIES = 5;

/** Throws InputError when `folder` is not a folder, StorageError for files that cannot be read. */
export async function readJournals(folder: string): Promise<JournalFiles> {
  await checkFolder(folder);
  for (let tries = 1; ; tries++) {
    const before = await readBytes(folder, JOURNAL_FILE);
    const old = await readBytes(folder, OLD_JOURNAL_FILE);
    const after = await readBytes(folder, JOURNAL_FILE);
    // If the file has changed, a daemon has begun a new journal and moved records between the files.
    if (startsWith(after, before) || tries === TRIES) {
      return { current: decodeJournal(after).records, old: decodeJournal(old).records };
    }
  }
}

const transferSchema = z.object({
  sent: z.number(),
  total: z.number(),
  bytesPerSecond: z.number(),
  secondsLeft: z.number().nullable(),
});
/** The parts of `status.json` that are shown. */
const statusSchema = z.object({
  campaign: z.string().nullable(),
  outcome: z.string().nullable(),
  code: z.string().nullable(),
  reason: z.string().nullable(),
  download: transferSchema.extend({ ecu: z.string(), file: z.string() }).nullable(),
  ecus: z.record(
    z.string(),
    z.object({ step: z.string().nullable(), transfer: transferSchema.nullable() }),
  ),
  lastError: z.string().nullable(),
  nextPoll: z.string().nullable(),
  updated: z.string(),
});
export type StoredStatus = z.infer<typeof statusSchema>;
export type StoredTransfer = z.infer<typeof transferSchema>;

export interface StoredProgress {
  /** 0 to 100, or ERROR; null before the first cycle. */
  readonly progress: string | null;
  /** null where the file is missing or cannot be parsed. */
  readonly status: StoredStatus | null;
}

/** The last status that the daemon wrote; the daemon may have ended since. */
export async function readProgress(folder: string): Promise<StoredProgress> {
  const text = async (name: string): Promise<string> =>
    new TextDecoder().decode(await readBytes(folder, name));
  const progress = (await text(PROGRESS_FILE)).trim();
  let status: StoredStatus | null = null;
  try {
    status = statusSchema.parse(JSON.parse(await text(STATUS_FILE)));
  } catch (error) {
    if (error instanceof StorageError) throw error;
  }
  return { progress: progress === '' ? null : progress, status };
}

/** What the daemon remembers between cycles; undefined where the file is missing or cannot be parsed. */
export async function readMemory(folder: string): Promise<MemoryContent | undefined> {
  return decodeMemory(await readBytes(folder, MEMORY_FILE));
}

export async function checkFolder(folder: string): Promise<void> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    throw new InputError(
      '--state-dir',
      `${folder} is not a folder: expected the state directory of a TMU`,
    );
  }
}

/** Empty where the file does not exist. */
export async function readBytes(folder: string, name: string): Promise<Uint8Array> {
  const file = path.join(folder, name);
  try {
    return await readFile(file);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return new Uint8Array();
    throw code === 'EACCES' || code === 'EPERM'
      ? new StorageError('NO_ACCESS', file, 'no permission to read it', error)
      : new StorageError('IO', file, 'cannot be read', error);
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return (
    bytes.length >= start.length && Buffer.compare(bytes.subarray(0, start.length), start) === 0
  );
}
