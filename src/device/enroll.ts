// A new device in an empty folder: it makes its own secret, the registry gives it a serial, the factory its first image.

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

/** What the registry answers, as the factory sees it. */
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
  /** Public, PEM. */
  readonly releaseKey: string;
  /** The chip's own number; made where it is missing. */
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
 * The same again after an interruption goes on with the same secret: a serial is never lost. Throws InputError for a
 * folder that has a device already and for a key that is none, StorageError.
 */
export async function enroll(options: EnrollOptions): Promise<EnrollResult> {
  const { storage, registry, random, model, releaseKey, factory, signal } = options;
  const known = await readIdentity(storage);
  if (known !== undefined) {
    throw new InputError(
      storage.location,
      `holds device ${known.identity.serial} already: each device has a folder of its own`,
    );
  }
  if (readReleaseKey(releaseKey) === undefined) {
    throw new InputError(
      '--release-key',
      'expected a public key of Ed25519 or RSA with 2048 bits in PEM: the device believes it for its whole life',
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
  // Before anybody is told of it.
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
  // Last: from here on it is a device.
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
