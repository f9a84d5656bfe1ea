// How many frames the kernel keeps for a socket that is not read, and how long a burst may therefore be.

import { readKernelFile } from '../core/kernel-files.ts';

/**
 * Bytes of a receive buffer that one CAN frame of any length takes, because the kernel counts the memory around it.
 * Measured: the usual 212,992 bytes hold 278 frames, which is 65 ms of a full bus at 500 kbit/s.
 */
const BYTES_PER_FRAME = 766;
const USUAL_BYTES = 212_992;

/** Every new socket gets `net.core.rmem_default`; the package offers no way to ask for more. */
export function bufferedFrames(
  rmemDefault = readKernelFile('/proc/sys/net/core/rmem_default'),
): number {
  const bytes = Number(rmemDefault);
  return Math.floor((bytes > 0 ? bytes : USUAL_BYTES) / BYTES_PER_FRAME);
}

/** Half of the buffer: the echoes of our own frames and other conversations need space, too. */
export function receiveBurst(): number {
  return Math.max(1, Math.floor(bufferedFrames() / 2));
}
