// Small files of /proc and /sys: facts about the machine, not state of ours. Read at once, without waiting.

import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';

/** The text without its last line end; undefined where there is no such file or it may not be read. */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

/** Whether the kernel took it. */
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
