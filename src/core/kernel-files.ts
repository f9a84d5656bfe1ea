// Small files of /proc and /sys: facts about the machine, no state of ours. Read and written synchronously.

import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';

/** The text without its last line end; undefined where the file is missing or may not be read. */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

/** Returns whether the kernel accepted the text. */
export function writeKernelFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text);
    return true;
  } catch {
    return false;
  }
}

/** Where a link of /proc points to. */
export function readKernelLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
