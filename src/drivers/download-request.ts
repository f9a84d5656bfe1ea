// RequestDownload (34) in the form that the vehicle file describes.

import * as requestDownload from '../uds/services/request-download.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { MemoryRange } from './layout.ts';

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
