// Reads the status of a device from its files, while it works or when it is off.

import { jsonFile, readFileOnce } from '../core/durable-file.ts';
import { InputError } from '../core/errors.ts';
import type { Storage } from '../core/storage.ts';
import { readBootRecord } from './boot.ts';
import { bankLetter } from './boot-record.ts';
import { DEVICE_FILE } from './device.ts';
import { type DeviceFile, deviceFileSchema, NEW_DEVICE } from './device-state.ts';
import { readIdentity } from './identity.ts';

export interface SmallDeviceStatus {
  readonly serial: string;
  readonly model: string;
  readonly profile: string;
  readonly state: DeviceFile['state'];
  readonly since: string;
  readonly code: string | null;
  readonly reason: string | null;
  /** Active bank; null where no boot record can be read. */
  readonly bank: 'A' | 'B' | null;
  readonly version: string | null;
  readonly trial: boolean;
  /** Least release counter that may run. */
  readonly counter: number;
  readonly transfer: { readonly version: string; readonly length: number } | null;
  readonly last: DeviceFile['last'];
  /** Whether the outcome of the last update is not yet reported to the backend. */
  readonly owesReport: boolean;
  readonly beats: number;
  readonly peakBytes: number;
}

/** Reads the status. Throws InputError for a folder without a device, StorageError. */
export async function readDeviceStatus(storage: Storage): Promise<SmallDeviceStatus> {
  const known = await readIdentity(storage);
  if (known === undefined) {
    throw new InputError(storage.location, 'there is no device in this folder');
  }
  const read = await readFileOnce(storage, DEVICE_FILE, jsonFile(deviceFileSchema));
  const file = read.state === 'known' ? read.content : NEW_DEVICE;
  const record = await readBootRecord(storage);
  const bank = record?.banks[record.active];
  const { state, since, code, reason, transfer, last, beats, peakBytes } = file;
  return {
    serial: known.identity.serial,
    model: known.identity.model,
    profile: known.releaseKey.profile,
    state,
    since,
    code,
    reason,
    bank: record === undefined ? null : bankLetter(record.active),
    version: bank?.content === 'valid' ? bank.version : null,
    trial: record?.trial != null,
    counter: record?.counter ?? 0,
    transfer:
      transfer === null
        ? null
        : { version: transfer.package.manifest.version, length: transfer.length },
    last,
    owesReport: file.report !== null,
    beats,
    peakBytes,
  };
}
