// Copies of images that were encrypted for one ECU each, as they are stored.

import { count, hex, tableRows, text, time } from '../../platform/db/row.ts';

export interface EncryptedCopy {
  /** The public name in URLs. */
  readonly file: string;
  readonly serial: string;
  /** The ECU's key, hexadecimal: with another key the ECU could not read it. */
  readonly encryptionKey: string;
  /** The target, and its plain image. */
  readonly name: string;
  readonly plainSha256: string;
  /** Bytes of the encrypted copy. */
  readonly length: number;
  readonly sha256: string;
}

const copyRows = tableRows('encrypted_images', {
  file: text,
  serial: text,
  encryption_key: hex,
  name: text,
  plain_sha256: hex,
  length: count,
  sha256: hex,
  created_at: time,
});

export function encryptedCopyOf(row: unknown): EncryptedCopy {
  const { encryption_key, plain_sha256, created_at: _, ...copy } = copyRows.read(row);
  return { ...copy, encryptionKey: encryption_key, plainSha256: plain_sha256 };
}
