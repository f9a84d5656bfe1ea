// ReadMemoryByAddress (23): reads the flash in the factory; the lock closes it finally, like APPROTECT.

import { Nrc } from '../../../../src/uds/nrc.ts';
import type { Reply } from '../../../../src/uds/server-types.ts';
import * as readMemory from '../../../../src/uds/services/read-memory-by-address.ts';
import type { BootedEcu } from '../../device.ts';
import { type EcuService, FACTORY_SESSIONS } from './ecu-service.ts';

/** Most data bytes in one answer, independent of the transport. */
const MAX_READ_BYTES = 4094;
/** Value of an erased cell. */
const BLANK = 0xff;

export const service: EcuService = {
  sid: readMemory.row.sid,
  handler: ({ device }) => ({
    sessions: FACTORY_SESSIONS,
    functional: false,
    minLength: 4,
    handle: (bytes) => readMemoryByAddress(device, bytes),
  }),
};

/**
 * Reads memory. Bank A is at the address of the vehicle file, bank B after it. Bytes that were never written are FF.
 */
async function readMemoryByAddress(device: BootedEcu, bytes: Uint8Array): Promise<Reply> {
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
