// What the TMU last wrote into a board that cannot be asked: durable, and marked before the first byte changes.

import { z } from 'zod';
import { DurableFile, jsonFile } from '../../core/durable-file.ts';
import { sha256Hex } from '../../core/names.ts';
import type { Storage } from '../../core/storage.ts';

const noteSchema = z.strictObject({
  /** `writing`: the board holds neither the old image nor the new one. `written`: programmed, restarted, and seen. */
  state: z.enum(['unknown', 'writing', 'written']),
  /** Digest of the image that is or was written. */
  sha256: sha256Hex.nullable(),
  version: z.string().nullable(),
  campaign: z.string(),
  /** All bytes were read from the board after they were written. */
  readBack: z.boolean(),
});
export type BoardNote = Readonly<z.infer<typeof noteSchema>>;

const UNKNOWN: BoardNote = {
  state: 'unknown',
  sha256: null,
  version: null,
  campaign: '',
  readBack: false,
};
const codec = jsonFile(noteSchema);

/** The note of one board; a missing or damaged file says that nothing is known. */
export class BoardRecord {
  readonly #file: DurableFile<BoardNote>;

  private constructor(file: DurableFile<BoardNote>) {
    this.#file = file;
  }

  /** Throws StorageError. */
  static async open(storage: Storage, name: string): Promise<BoardRecord> {
    const { file } = await DurableFile.open(storage, `boards/${name}.json`, codec, UNKNOWN);
    return new BoardRecord(file);
  }

  get note(): BoardNote {
    return this.#file.content;
  }

  /** Durable when it resolves. Throws StorageError. */
  async set(note: BoardNote): Promise<void> {
    await this.#file.update(() => note);
  }
}
