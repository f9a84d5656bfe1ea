// Priority for threads that read a socket with a small buffer or pace a wire.

import { setPriority } from 'node:os';

/** Priority between 0 (usual) and -20: before ordinary work, below what the system needs most. */
const NICE = -15;

/**
 * Asks for more processor time for the calling thread and the threads that it starts; on Linux 0 means the thread, not
 * the process. Needs root or CAP_SYS_NICE; without it everything works, with less reserve under load.
 */
export function preferThisThread(): boolean {
  try {
    setPriority(0, NICE);
    return true;
  } catch {
    return false;
  }
}
