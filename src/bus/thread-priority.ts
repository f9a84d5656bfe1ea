// The threads that read a socket with a small buffer, or pace a wire, come before everything else in the process.

import { setPriority } from 'node:os';

/** Between 0 (usual) and -20: before ordinary work, behind what the system needs most. */
const NICE = -15;

/**
 * Asks for more of the processor for the calling thread and those that it starts; 0 means the thread, not the
 * process, on Linux. Needs root or CAP_SYS_NICE; without it everything works, with less reserve under load.
 */
export function preferThisThread(): boolean {
  try {
    setPriority(0, NICE);
    return true;
  } catch {
    return false;
  }
}
