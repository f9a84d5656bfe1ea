// ClearDiagnosticInformation (14), ISO 14229-1 12.2.

import { concatBytes, toHex, uintToBytes } from '../../core/bytes.ts';
import { checkedByte, type Malformed, Reader, requestProblem, responseProblem } from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';

const SID = 0x14;

/** Annex D.1: the group of all DTCs. */
export const ALL_GROUPS = 0xff_ffff;

export interface Request {
  /** groupOfDTC, 24 bit: a group or one DTC. */
  readonly group: number;
  /** memorySelection of the 2020 edition: a user-defined DTC memory. */
  readonly memory: number | undefined;
}

/** `14 <group>`, and memorySelection where it is given. */
export function encodeRequest(group: number, memory?: number): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID),
    uintToBytes(group, 3),
    memory === undefined ? new Uint8Array() : Uint8Array.of(checkedByte(memory, 'memorySelection')),
  );
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  return (
    requestProblem(bytes, SID, 4, 5) ?? {
      group: new Reader(bytes, 1).uint(3),
      memory: bytes[4],
    }
  );
}

/** `54` */
export function encodeResponse(): Uint8Array {
  return Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET);
}

export function decodeResponse(bytes: Uint8Array): Record<never, never> | Malformed {
  return responseProblem(bytes, SID, 1, 1) ?? {};
}

export const row = serviceRow({
  name: 'clearDiagnosticInformation',
  sid: SID,
  echoed: 0,
  request(message) {
    const group = toHex(message.subarray(1, 4)).toUpperCase();
    return group === 'FFFFFF' ? 'all DTCs' : `group ${group}`;
  },
});
