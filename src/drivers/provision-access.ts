// Reads, writes and compares in an ECU that is being provisioned; each failure is a value.

import type { DriverErrorCode } from '../campaign/ports.ts';
import { equalBytes, hexNumber, toHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { Nrc } from '../uds/nrc.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import { Did, ProvisioningState, Session } from '../uds/sid.ts';
import { type Exchange, failure } from './exchange.ts';
import { didText, readDid } from './identification.ts';
import { transfer } from './transfer.ts';
import { enterSession } from './unlock.ts';

/** Why an ECU is not provisioned: a closed set. */
export type ProvisionErrorCode =
  | DriverErrorCode
  /** The ECU has no chip number (FD10), so it is not an ECU of ours. */
  | 'NOT_OURS'
  /** The value read back differs from the value written. */
  | 'READ_BACK'
  /** The ECU is locked with other facts or keys. */
  | 'OTHER_KEYS'
  /** The ECU can be read out although it is locked. */
  | 'NOT_LOCKED';

export interface ProvisionFailure {
  readonly ok: false;
  readonly code: ProvisionErrorCode;
  /** Names the ECU, what was asked, what was answered and what to do. */
  readonly reason: string;
  readonly nrc?: number;
}

export type Provisioned<T> = { readonly ok: true; readonly value: T } | ProvisionFailure;

export const DONE = { ok: true, value: undefined } as const;

export function refuse(code: ProvisionErrorCode, reason: string): ProvisionFailure {
  return { ok: false, code, reason };
}

/** Public keys of an ECU, hexadecimal. */
export interface PublicKeys {
  readonly signingKey: string;
  readonly encryptionKey: string;
}

const PUBLIC_KEY_BYTES = 32;

/** Runs work in a new extended session; a transfer that was cut off before is discarded. */
export async function inFactorySession<T>(
  exchange: Exchange,
  signal: AbortSignal | undefined,
  body: () => Promise<Provisioned<T>>,
): Promise<Provisioned<T>> {
  const entered = await enterSession(exchange, Session.extended, signal);
  if (!entered.ok) return entered;
  exchange.keepAlive('this-ecu');
  try {
    const done = await body();
    if (!done.ok) return done;
    const left = await enterSession(exchange, Session.default, signal);
    return left.ok ? done : left;
  } finally {
    exchange.keepAlive('off');
  }
}

/** Reads DID FD11, the state of provisioning. */
export async function readState(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Provisioned<ProvisioningState>> {
  const doing = 'reading its state of provisioning (FD11)';
  const bytes = await readDid(exchange, Did.provisioningState, doing, signal);
  if (!bytes.ok) return bytes;
  const state = Object.values(ProvisioningState).find((value) => value === bytes.value?.[0]);
  if (state !== undefined && bytes.value?.length === 1) return { ok: true, value: state };
  return exchange.malformed(
    readDataByIdentifier.encodeRequest(Did.provisioningState),
    doing,
    `${bytes.value === undefined ? 'nothing' : toHex(bytes.value)}, expected 00, 01 or 02`,
  );
}

/** Reads DID F18C; empty for an ECU without a serial number. */
export async function readSerial(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Provisioned<string>> {
  const doing = 'reading its serial number (F18C)';
  const bytes = await readDid(exchange, Did.ecuSerialNumber, doing, signal);
  if (!bytes.ok) return bytes;
  return { ok: true, value: bytes.value === undefined ? '' : didText(bytes.value) };
}

/** Reads a DID; undefined where it was not written yet (conditionsNotCorrect). */
export async function readIfWritten(
  exchange: Exchange,
  did: number,
  name: string,
  signal?: AbortSignal,
): Promise<Provisioned<Uint8Array | undefined>> {
  const read = await readDid(exchange, did, `reading its ${name} (${idText(did)})`, signal);
  return read.ok || read.nrc !== Nrc.conditionsNotCorrect ? read : DONE;
}

/** Reads DID FD12; undefined while the ECU has made no keys. */
export async function readPublicKeys(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Provisioned<PublicKeys | undefined>> {
  const bytes = await readIfWritten(exchange, Did.publicKeys, 'public keys', signal);
  if (!bytes.ok) return bytes;
  if (bytes.value === undefined) return DONE;
  if (bytes.value.length !== 2 * PUBLIC_KEY_BYTES) {
    return exchange.malformed(
      readDataByIdentifier.encodeRequest(Did.publicKeys),
      'reading its public keys (FD12)',
      `${bytes.value.length} bytes, expected ${2 * PUBLIC_KEY_BYTES}`,
    );
  }
  return {
    ok: true,
    value: {
      signingKey: toHex(bytes.value.subarray(0, PUBLIC_KEY_BYTES)),
      encryptionKey: toHex(bytes.value.subarray(PUBLIC_KEY_BYTES)),
    },
  };
}

/** Writes a DID, reads it back and compares. */
export async function writeDid(
  exchange: Exchange,
  did: number,
  name: string,
  wanted: Uint8Array,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const written = await exchange.askFor(
    writeDataByIdentifier.encodeRequest(did, wanted),
    `writing its ${name} (${idText(did)})`,
    writeDataByIdentifier.decodeResponse,
    signal,
  );
  if (!written.ok) return written;
  const back = await readDid(exchange, did, `reading back its ${name} (${idText(did)})`, signal);
  if (!back.ok) return back;
  if (back.value !== undefined && equalBytes(back.value, wanted)) return DONE;
  return refuse(
    'READ_BACK',
    `${exchange.peer}: holds another ${name} (${idText(did)}) than was written: ` +
      'its memory may be worn out, fit a new part',
  );
}

/** Writes a DID that cannot be read back; the authenticated answer proves that it is stored. */
export async function order(
  orders: Exchange,
  did: number,
  name: string,
  wanted: Uint8Array,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const written = await orders.askFor(
    writeDataByIdentifier.encodeRequest(did, wanted),
    `writing its ${name} (${idText(did)})`,
    writeDataByIdentifier.decodeResponse,
    signal,
  );
  return written.ok ? DONE : written;
}

/** Starts a routine; the status byte of our routines is 0 for success. */
export async function startRoutine(
  exchange: Exchange,
  id: number,
  doing: string,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const answer = await exchange.askFor(
    routineControl.encodeRequest(routineControl.RoutineControlType.startRoutine, id),
    `${doing} (${idText(id)})`,
    routineControl.decodeResponse,
    signal,
  );
  if (!answer.ok) return answer;
  const status = answer.value.data[0] ?? 0;
  if (status === 0) return DONE;
  return failure('REFUSED', `${exchange.peer}: status ${status} while ${doing}, expected 0`);
}

/** Sends a small file by RequestFileTransfer (38), 36 and 37. */
export async function sendFile(
  exchange: Exchange,
  name: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<Provisioned<void>> {
  const doing = `sending ${name}`;
  const request = requestFileTransfer.encodeRequest({
    mode: 'addFile',
    path: name,
    dataFormat: 0,
    size: bytes.length,
    compressedSize: bytes.length,
  });
  const opened = await exchange.askFor(request, doing, requestFileTransfer.decodeResponse, signal);
  if (!opened.ok) return opened;
  if (opened.value.mode !== 'addFile') {
    return exchange.malformed(request, doing, `mode ${opened.value.mode}`);
  }
  const { maxBlockLength } = exchange.ecu.programming;
  const sent = await transfer({
    exchange,
    source: {
      length: bytes.length,
      sha256: '',
      read: async (offset, length) => bytes.subarray(offset, offset + length),
    },
    maxBlockLength: Math.min(opened.value.maxBlockLength, maxBlockLength),
    doing,
    ...defined({ signal }),
  });
  return sent.ok ? DONE : sent;
}

function idText(id: number): string {
  return hexNumber(id, 4).slice(2);
}
