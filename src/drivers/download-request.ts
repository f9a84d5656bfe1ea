// RequestDownload (34) in the form that the vehicle file describes.

import * as requestDownload from '../uds/services/request-download.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { Exchanged } from './exchange.ts';
import type { MemoryRange } from './layout.ts';
import type { Run } from './program-run.ts';

/** dataFormatIdentifier: no compression, encryptingMethod 1 (ISO 14229-1 table of 34). */
const ENCRYPTED = 0x01;

/** For the range, of which the ECU holds the first `received` bytes. */
export function downloadRequest(
  { programming }: VehicleEcu,
  { address, size }: MemoryRange,
  encrypted: boolean,
  received: number,
): Uint8Array {
  const { addressBytes, sizeBytes, dataFormat } = programming;
  return requestDownload.encodeRequest({
    address: address + received,
    // 14.2 (RequestDownload): memorySize is the size in the ECU, not the number of transferred bytes.
    size: size - received,
    addressBytes,
    sizeBytes,
    dataFormat: encrypted ? ENCRYPTED : dataFormat,
  });
}

export interface OpenedDownload {
  readonly maxBlockLength: number;
  /** When it was asked for. */
  readonly startMs: number;
}

/** Asks for the download of the range, of which the ECU holds the first `received` bytes. `doing` completes "while ...". */
export async function openDownload(
  range: MemoryRange,
  { exchange, encrypted, hooks }: Pick<Run, 'exchange' | 'encrypted' | 'hooks'>,
  doing: string,
  received: number,
): Promise<Exchanged<OpenedDownload>> {
  const startMs = exchange.clock.nowMs();
  const request = downloadRequest(exchange.ecu, range, encrypted, received);
  const decode = requestDownload.decodeResponse;
  const look = () => exchange.isStillProgramming(hooks.signal);
  const accepted = await exchange.askFor(request, doing, decode, hooks.signal, { look });
  if (!accepted.ok) return accepted;
  return { ok: true, value: { maxBlockLength: accepted.value.maxBlockLength, startMs } };
}
