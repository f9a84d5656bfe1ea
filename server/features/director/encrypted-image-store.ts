// Copies of images that were encrypted for one ECU each: made once, found again by ECU, key and target name.

import type { Database } from '../../platform/db/database.ts';
import { type EncryptedCopy, encryptedCopyOf } from './rows.ts';

export class EncryptedImageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(
    serial: string,
    encryptionKey: string,
    name: string,
  ): Promise<EncryptedCopy | undefined> {
    const row = await this.#db.query
      .selectFrom('encrypted_images')
      .selectAll()
      .where('serial', '=', serial)
      .where('encryption_key', '=', encryptionKey)
      .where('name', '=', name)
      .executeTakeFirst();
    return row === undefined ? undefined : encryptedCopyOf(row);
  }

  async byFile(file: string): Promise<EncryptedCopy | undefined> {
    const row = await this.#db.query
      .selectFrom('encrypted_images')
      .selectAll()
      .where('file', '=', file)
      .executeTakeFirst();
    return row === undefined ? undefined : encryptedCopyOf(row);
  }

  /** The first one stays where two were made at the same time; the result is the one that counts. */
  async add(copy: EncryptedCopy): Promise<EncryptedCopy> {
    await this.#db.query
      .insertInto('encrypted_images')
      .values({
        file: copy.file,
        serial: copy.serial,
        encryption_key: copy.encryptionKey,
        name: copy.name,
        plain_sha256: copy.plainSha256,
        length: copy.length,
        sha256: copy.sha256,
        created_at: this.#db.timestamp(),
      })
      .onConflict((conflict) => conflict.columns(['serial', 'encryption_key', 'name']).doNothing())
      .execute();
    return (await this.find(copy.serial, copy.encryptionKey, copy.name)) ?? copy;
  }
}
