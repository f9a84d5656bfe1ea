// Codec of the data identifier FD03: how much of an interrupted download is durable in an ECU. Both sides use it.

import { concatBytes, fromHex, toHex, uintToBytes } from '../core/bytes.ts';

/** Where a transfer may continue after a reset, a power cut or another tester. */
export interface ResumeState {
  /** SHA-256 of the complete plain image of the bank; hexadecimal, lower case. */
  readonly sha256: string;
  /** Bytes of that image that are durable in the bank: RequestDownload continues there. */
  readonly received: number;
  /** Bytes of the whole image. */
  readonly total: number;
  /** Bytes that were transferred for it: more than `received` where the image is encrypted. */
  readonly carried: number;
  /** CRC-32 (ISO 3309) over the transferred bytes: the rest of another file must not follow them. */
  readonly crc32: number;
}

const LENGTH = 32 + 4 * 4;

/** 48 bytes: SHA-256 (32), received, total, carried, CRC-32 (4 bytes each, big endian). */
export function encodeResumeState(state: ResumeState): Uint8Array {
  return concatBytes(
    fromHex(state.sha256),
    uintToBytes(state.received, 4),
    uintToBytes(state.total, 4),
    uintToBytes(state.carried, 4),
    uintToBytes(state.crc32, 4),
  );
}

/** Undefined for bytes that are not such a state: nothing received, everything received, or another format. */
export function decodeResumeState(bytes: Uint8Array): ResumeState | undefined {
  if (bytes.length !== LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const received = view.getUint32(32);
  const total = view.getUint32(36);
  const carried = view.getUint32(40);
  if (received < 1 || received >= total || carried < received) return undefined;
  return {
    sha256: toHex(bytes.subarray(0, 32)),
    received,
    total,
    carried,
    crc32: view.getUint32(44),
  };
}
