// Reading the flash through the bus (23, 35): open in the factory, closed for good by the lock, as APPROTECT does.

import { Nrc } from '../../../src/uds/nrc.ts';
import type { Reply } from '../../../src/uds/server-types.ts';
import * as readMemory from '../../../src/uds/services/read-memory-by-address.ts';
import * as requestUpload from '../../../src/uds/services/request-upload.ts';
import type { BootedEcu } from '../device.ts';

/** What one answer holds besides its identifier, whatever the transport could take. */
const MAX_READ_BYTES = 4094;
/** An erased cell. */
const BLANK = 0xff;

/** Bank A lies at the address of the vehicle file, bank B behind it. Bytes that were never written are FF. */
export async function readMemoryByAddress(device: BootedEcu, bytes: Uint8Array): Promise<Reply> {
  const request = readMemory.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  // 11.3.4: 31 for a range that does not exist, then 33.
  const { address, bankSize, banks } = device.ecu.memory;
  const offset = request.address - address;
  if (offset < 0 || request.size < 1 || offset + request.size > banks * bankSize) {
    return { nrc: Nrc.requestOutOfRange };
  }
  if (device.identity.locked) return { nrc: Nrc.securityAccessDenied };
  if (request.size > MAX_READ_BYTES) return { nrc: Nrc.responseTooLong };
  const data = new Uint8Array(request.size).fill(BLANK);
  for (const bank of [0, 1] as const) {
    const from = Math.max(offset, bank * bankSize);
    const to = Math.min(offset + request.size, (bank + 1) * bankSize);
    if (from < to) {
      const part = await device.flash.read(bank, from - bank * bankSize, to - from);
      data.set(part, from - offset);
    }
  }
  return { positive: readMemory.encodeResponse(data) };
}

/** Uploads are not offered in the factory either: 23 does it. After the lock the answer is that of 23. */
export function refuseUpload(device: BootedEcu, bytes: Uint8Array): Reply {
  const request = requestUpload.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  return {
    nrc: device.identity.locked ? Nrc.securityAccessDenied : Nrc.uploadDownloadNotAccepted,
  };
}
