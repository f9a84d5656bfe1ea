// The identity of a device from its enrolment: serial, chip number, secret, release key.

import { z } from 'zod';
import { hardwareModel, type ReleaseKey, readReleaseKey } from '../contract/chunked/package.ts';
import { DurableFile, jsonFile, readFileOnce } from '../core/durable-file.ts';
import { InputError } from '../core/errors.ts';
import type { Storage } from '../core/storage.ts';

const IDENTITY_FILE = 'identity.json';

const identitySchema = z.strictObject({
  format: z.literal(1),
  serial: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/),
  /** Chip number. */
  hwId: z.string().min(1).max(64),
  model: hardwareModel,
  /** 32 bytes as hexadecimal digits; the backend stores their SHA-256. */
  deviceSecret: z.string().regex(/^[0-9a-f]{64}$/),
  /** Public release key, PEM, pinned permanently. Its type determines the profile. */
  releaseKey: z.string().max(4096),
});
export type SmallDeviceIdentity = Readonly<z.infer<typeof identitySchema>>;
const codec = jsonFile(identitySchema);

/** Stores the identity; durable when it resolves. Throws StorageError. */
export async function writeIdentity(
  storage: Storage,
  identity: SmallDeviceIdentity,
): Promise<void> {
  await DurableFile.create(storage, IDENTITY_FILE, codec, identity);
}

/** Reads the identity; undefined for a device that was never enrolled. Throws InputError for an invalid file. */
export async function readIdentity(
  storage: Storage,
): Promise<
  { readonly identity: SmallDeviceIdentity; readonly releaseKey: ReleaseKey } | undefined
> {
  const read = await readFileOnce(storage, IDENTITY_FILE, codec);
  const where = `${storage.location}/${IDENTITY_FILE}`;
  if (read.state === 'missing') return undefined;
  if (read.state !== 'known') {
    throw new InputError(where, `${read.state.damaged}: enrol the device again in an empty folder`);
  }
  const releaseKey = readReleaseKey(read.content.releaseKey);
  if (releaseKey === undefined) {
    throw new InputError(
      where,
      'releaseKey is not a public key of Ed25519 or RSA with 2048 bits: enrol the device again in an empty folder',
    );
  }
  return { identity: read.content, releaseKey };
}
