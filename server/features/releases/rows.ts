// Releases and the signed metadata of repositories, as they are stored.

import { z } from 'zod';
import { bytes, count, hex, tableRows, text, time } from '../../platform/db/row.ts';

export interface StoredRelease {
  readonly id: string;
  readonly ecu: string;
  readonly version: string;
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
  readonly notes: string;
  readonly uploadedBy: string;
  readonly uploadedAt: string;
}

export interface StoredMetadata {
  readonly role: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

const releaseRows = tableRows('releases', {
  id: text,
  ecu: text,
  version: text,
  file: text,
  size: count,
  sha256: hex,
  notes: text,
  uploaded_by: text,
  uploaded_at: time,
});

export function releaseOf(row: unknown): StoredRelease {
  const { uploaded_by, uploaded_at, ...release } = releaseRows.read(row);
  return { ...release, uploadedBy: uploaded_by, uploadedAt: uploaded_at };
}

const metadataRows = tableRows('metadata', {
  repository: z.enum(['director', 'images']),
  role: text,
  version: count,
  bytes,
  stored_at: time,
});
export const metadataOf: (row: unknown) => StoredMetadata = metadataRows.only(
  'role',
  'version',
  'bytes',
);
export const metadataBytesOf = metadataRows.only('bytes');
