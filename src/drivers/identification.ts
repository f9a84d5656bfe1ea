// Reads what an ECU reports about itself: identification, boot state, digests, version.

import type { EcuIdentity } from '../campaign/ports.ts';
import { asciiText, byteAt, toHex } from '../core/bytes.ts';
import { type BootState, decodeBootState } from '../uds/boot-state.ts';
import { decodeResumeState, type ResumeState } from '../uds/resume-state.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import { Did } from '../uds/sid.ts';
import { type AskOptions, type Exchange, type Exchanged, isNotKnown } from './exchange.ts';

/** Reads one data identifier; undefined when the ECU does not know it. */
export async function readDid(
  exchange: Exchange,
  did: number,
  doing: string,
  signal?: AbortSignal,
  options: AskOptions = {},
): Promise<Exchanged<Uint8Array | undefined>> {
  const request = readDataByIdentifier.encodeRequest(did);
  const decode = readDataByIdentifier.decodeResponse;
  const answer = await exchange.askFor(request, doing, decode, signal, options);
  if (!answer.ok) return isNotKnown(answer) ? { ok: true, value: undefined } : answer;
  const record = answer.value.records[0];
  if (record === undefined || record.did !== did) {
    return exchange.malformed(request, doing, `no record of DID ${did.toString(16)}`);
  }
  return { ok: true, value: record.data };
}

/** The printable text of a record without padding (NUL, blanks, FF) at the end. */
export function didText(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && [0x00, 0x20, 0xff].includes(byteAt(bytes, end - 1))) end--;
  return asciiText(bytes.subarray(0, end)).replace(/[^\x20-\x7e]/g, '?');
}

async function readText(
  exchange: Exchange,
  did: number,
  doing: string,
  signal?: AbortSignal,
  options?: AskOptions,
): Promise<Exchanged<string | undefined>> {
  const bytes = await readDid(exchange, did, doing, signal, options);
  if (!bytes.ok || bytes.value === undefined) return bytes as Exchanged<undefined>;
  const text = didText(bytes.value);
  return { ok: true, value: text === '' ? undefined : text };
}

/** Reads DID FD01 or FD02: 32 bytes as hexadecimal digits. */
export async function readDigest(
  exchange: Exchange,
  did: typeof Did.activeBankDigest | typeof Did.inactiveBankDigest,
  signal?: AbortSignal,
  options?: AskOptions,
): Promise<Exchanged<string | undefined>> {
  const doing = 'reading the digest of its image';
  const bytes = await readDid(exchange, did, doing, signal, options);
  if (!bytes.ok || bytes.value === undefined) return bytes as Exchanged<undefined>;
  if (bytes.value.length !== 32) {
    const request = readDataByIdentifier.encodeRequest(did);
    return exchange.malformed(request, doing, `${bytes.value.length} bytes, expected 32`);
  }
  return { ok: true, value: toHex(bytes.value) };
}

/** Reads DID FD03; undefined for an ECU that holds no part of an image or does not report it. */
export async function readResumeState(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<ResumeState | undefined>> {
  const doing = 'asking how far the last transfer came';
  const bytes = await readDid(exchange, Did.resumeState, doing, signal);
  if (!bytes.ok || bytes.value === undefined) return bytes as Exchanged<undefined>;
  return { ok: true, value: decodeResumeState(bytes.value) };
}

/** Reads DID FD00; undefined for an ECU that has none. */
export async function readBootState(
  exchange: Exchange,
  signal?: AbortSignal,
  options?: AskOptions,
): Promise<Exchanged<BootState | undefined>> {
  const doing = 'reading its boot state';
  const bytes = await readDid(exchange, Did.bootState, doing, signal, options);
  if (!bytes.ok || bytes.value === undefined) return bytes as Exchanged<undefined>;
  const state = decodeBootState(bytes.value);
  if (state === undefined) {
    const request = readDataByIdentifier.encodeRequest(Did.bootState);
    return exchange.malformed(request, doing, `${toHex(bytes.value)} is no boot state`);
  }
  return { ok: true, value: state };
}

/** Reads F189, or F195 where the ECU has no F189. */
export async function readVersion(
  exchange: Exchange,
  signal?: AbortSignal,
  options?: AskOptions,
): Promise<Exchanged<string | undefined>> {
  const doing = 'reading its version';
  const version = await readText(exchange, Did.ecuSoftwareVersion, doing, signal, options);
  if (!version.ok || version.value !== undefined) return version;
  return readText(exchange, Did.systemSupplierSoftwareVersion, doing, signal, options);
}

export async function readHardwareId(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<string | undefined>> {
  return readText(exchange, Did.ecuHardwareNumber, 'reading its hardware id', signal);
}

/** Reads all facts for the inventory. With `identify: skip` in the profile no request is sent. */
export async function identifyEcu(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<EcuIdentity>> {
  if (exchange.ecu.programming.identify === 'skip') {
    return {
      ok: true,
      value: {
        hardwareId: undefined,
        version: undefined,
        serialNumber: undefined,
        sha256: undefined,
      },
    };
  }
  const hardwareId = await readHardwareId(exchange, signal);
  if (!hardwareId.ok) return hardwareId;
  const version = await readVersion(exchange, signal);
  if (!version.ok) return version;
  const serial = await readText(exchange, Did.ecuSerialNumber, 'reading its serial number', signal);
  if (!serial.ok) return serial;
  const sha256 = await readDigest(exchange, Did.activeBankDigest, signal);
  if (!sha256.ok) return sha256;
  return {
    ok: true,
    value: {
      hardwareId: hardwareId.value,
      version: version.value,
      serialNumber: serial.value,
      sha256: sha256.value,
    },
  };
}
