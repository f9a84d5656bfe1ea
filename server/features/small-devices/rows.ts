// Packages for small devices, their keys and copies, and chunked downloads, as they are stored.

import { z } from 'zod';
import { PROFILES, type SignedManifest } from '../../../src/contract/chunked/package.ts';
import { TRANSFER_STATES, type TransferState } from '../../../src/contract/chunked/protocol.ts';
import { count, hex, json, tableRows, text, time } from '../../platform/db/row.ts';

export interface DevicePackage {
  readonly id: string;
  readonly signed: SignedManifest;
  /** Identifies the key that signed it. */
  readonly keyId: string;
  readonly releasedBy: string;
  readonly releasedAt: string;
  /** Undefined of a package that is offered. */
  readonly withdrawn: Withdrawal | undefined;
}

interface Withdrawal {
  readonly by: string;
  /** ISO 8601 */
  readonly at: string;
  readonly reason: string;
}

/** The image of a package, encrypted for one device. */
export interface DeviceCopy {
  readonly packageId: string;
  /** Tells by which secret of the device it was encrypted. */
  readonly secretMark: string;
  readonly length: number;
  readonly sha256: string;
}

export interface TransferRow {
  readonly id: string;
  readonly serial: string;
  /** Undefined for a file. */
  readonly packageId: string | undefined;
  /** For people: `MODEL VERSION`, or the name of the file. */
  readonly what: string;
  /** SHA-256 of what travels, as the device was told. */
  readonly image: string;
  /** The stored file that is sent. */
  readonly content: string;
  /** bytes of it */
  readonly length: number;
  readonly chunkBytes: number;
  readonly state: TransferState;
  /** Highest chunk that was asked for, plus one. */
  readonly asked: number;
  /** That the device runs, as it said at the end. */
  readonly version: string | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly diagnostics: Readonly<Record<string, unknown>> | undefined;
  readonly startedAt: string;
  readonly changedAt: string;
}

const packageRows = tableRows('device_packages', {
  id: text,
  model: text,
  version: text,
  counter: count,
  profile: z.enum(PROFILES),
  length: count,
  sha256: hex,
  signature: text,
  key_id: text,
  released_by: text,
  released_at: time,
  withdrawn_at: time.nullable(),
  withdrawn_by: text.nullable(),
  withdrawn_reason: text.nullable(),
});

export function packageOf(row: unknown): DevicePackage {
  const read = packageRows.read(row);
  const { model, version, counter, profile, length, sha256, signature } = read;
  return {
    id: read.id,
    signed: {
      manifest: {
        ...{ type: 'can-ota device package', format: 1 },
        ...{ model, version, counter, profile, length, sha256 },
      },
      signature,
    },
    keyId: read.key_id,
    releasedBy: read.released_by,
    releasedAt: read.released_at,
    withdrawn:
      read.withdrawn_at === null
        ? undefined
        : {
            by: read.withdrawn_by ?? '',
            at: read.withdrawn_at,
            reason: read.withdrawn_reason ?? '',
          },
  };
}

const keyRows = tableRows('release_keys', {
  model: text,
  profile: z.enum(PROFILES),
  key_id: text,
  public_key: text,
  pinned_at: time,
});
export const pinnedKeyOf = keyRows.only('key_id');

const copyRows = tableRows('device_copies', {
  serial: text,
  package_id: text,
  secret_mark: text,
  length: count,
  sha256: hex,
  created_at: time,
});

export function deviceCopyOf(row: unknown): DeviceCopy {
  const { package_id, secret_mark, length, sha256 } = copyRows.read(row);
  return { packageId: package_id, secretMark: secret_mark, length, sha256 };
}
export const copyDigestOf = copyRows.only('sha256');

const transferRows = tableRows('transfers', {
  id: text,
  serial: text,
  package_id: text.nullable(),
  what: text,
  image: hex,
  content: hex,
  length: count,
  chunk_bytes: count,
  state: z.enum(TRANSFER_STATES),
  asked: count,
  version: text.nullable(),
  code: text.nullable(),
  reason: text.nullable(),
  diagnostics: json(z.record(z.string(), z.unknown())).nullable(),
  started_at: time,
  changed_at: time,
});
export const transferStateOf = transferRows.only('state');
export const transferOwnerOf = transferRows.only('serial');

export function transferOf(row: unknown): TransferRow {
  const transfer = transferRows.read(row);
  return {
    id: transfer.id,
    serial: transfer.serial,
    packageId: transfer.package_id ?? undefined,
    what: transfer.what,
    image: transfer.image,
    content: transfer.content,
    length: transfer.length,
    chunkBytes: transfer.chunk_bytes,
    state: transfer.state,
    asked: transfer.asked,
    version: transfer.version ?? undefined,
    code: transfer.code ?? undefined,
    reason: transfer.reason ?? undefined,
    diagnostics: transfer.diagnostics ?? undefined,
    startedAt: transfer.started_at,
    changedAt: transfer.changed_at,
  };
}
