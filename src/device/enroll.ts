// Enrols a new device in an empty folder: makes its secret, gets a serial from the registry, writes the first image.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { readReleaseKey } from '../contract/chunked/package.ts';
import { fromHex, toHex } from '../core/bytes.ts';
import { DurableFile, jsonFile, readFileOnce } from '../core/durable-file.ts';
import { InputError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import { deviceKeyOf } from '../trust/device-session.ts';
import { BankWriter } from './banks.ts';
import { writeBootRecord } from './boot.ts';
import { installed } from './boot-record.ts';
import { readIdentity, type SmallDeviceIdentity, writeIdentity } from './identity.ts';

const FILE = 'enrolment.json';
const ID_BYTES = 16;
const SECRET_BYTES = 32;

/** The answer of the registry to the factory. */
type RegistryAnswer =
  | { readonly ok: true; readonly value: { readonly serial: string } }
  | { readonly ok: false; readonly code: string; readonly reason: string };

export interface DeviceRegistry {
  provision(
    facts: {
      readonly hwId: string;
      readonly hardwareId: string;
      readonly deviceSecretHash: string;
    },
    signal?: AbortSignal,
  ): Promise<RegistryAnswer>;
  activate(hwId: string, signal?: AbortSignal): Promise<RegistryAnswer>;
}

export interface EnrollOptions {
  readonly storage: Storage;
  readonly registry: DeviceRegistry;
  readonly random: Random;
  readonly model: string;
  /** Public release key, PEM. */
  readonly releaseKey: string;
  /** Chip number; missing: a new one is made. */
  readonly hwId?: string | undefined;
  readonly factory: { readonly image: Uint8Array; readonly version: string };
  readonly signal?: AbortSignal;
}

export type EnrollResult =
  | { readonly ok: true; readonly identity: SmallDeviceIdentity }
  | { readonly ok: false; readonly code: string; readonly reason: string };

const draftSchema = z.strictObject({
  hwId: z.string(),
  deviceSecret: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * Enrols a device. After an interruption the next call uses the same secret, so that no serial is lost. Throws
 * InputError for a folder that already has a device and for an invalid key, StorageError.
 */
export async function enroll(options: EnrollOptions): Promise<EnrollResult> {
  const { storage, registry, random, model, releaseKey, factory, signal } = options;
  const known = await readIdentity(storage);
  if (known !== undefined) {
    throw new InputError(
      storage.location,
      `already holds device ${known.identity.serial}: use a separate folder for each device`,
    );
  }
  if (readReleaseKey(releaseKey) === undefined) {
    throw new InputError(
      '--release-key',
      'expected a public key of Ed25519 or RSA with 2048 bits in PEM: the device trusts it permanently',
    );
  }
  const codec = jsonFile(draftSchema);
  const kept = await readFileOnce(storage, FILE, codec);
  const draft =
    kept.state === 'known'
      ? kept.content
      : {
          hwId: options.hwId ?? toHex(random.bytes(ID_BYTES)),
          deviceSecret: toHex(random.bytes(SECRET_BYTES)),
        };
  // Store the secret before its hash is sent.
  if (kept.state !== 'known') await DurableFile.create(storage, FILE, codec, draft);
  const { hwId, deviceSecret } = draft;
  const deviceSecretHash = toHex(deviceKeyOf(fromHex(deviceSecret)));
  const registered = await registry.provision(
    { hwId, hardwareId: model, deviceSecretHash },
    signal,
  );
  if (!registered.ok) return registered;
  const active = await registry.activate(hwId, signal);
  if (!active.ok) return active;
  await installFactoryImage(storage, factory);
  const { serial } = active.value;
  const identity: SmallDeviceIdentity = {
    format: 1,
    serial,
    hwId,
    model,
    deviceSecret,
    releaseKey,
  };
  // Write the identity last: a folder with it counts as a device.
  await writeIdentity(storage, identity);
  await storage.remove(FILE);
  return { ok: true, identity };
}

async function installFactoryImage(
  storage: Storage,
  { image, version }: EnrollOptions['factory'],
): Promise<void> {
  const writer = await BankWriter.open(storage, 0);
  try {
    await writer.append(image);
    await writer.finish();
  } finally {
    await writer.close();
  }
  const sha256 = createHash('sha256').update(image).digest('hex');
  await writeBootRecord(
    storage,
    installed({ version, counter: 0, length: image.length, sha256, signed: null }),
  );
}
