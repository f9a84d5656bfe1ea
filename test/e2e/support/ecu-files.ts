// State of an ECU by its files, read beside the process that owns them, which may be running or killed during a write.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { bootRecordSchema } from '../../../ecus/bootloader/boot/boot-record.ts';
import { decodeSealed } from '../../../ecus/bootloader/flash/sealed-json.ts';

export interface EcuFiles {
  /** SHA-256 over the bytes of the active bank. */
  readonly sha256: string;
  /** The active bank is valid for the bootloader, and its bytes are those that it verified. */
  readonly isSound: boolean;
  /** Nothing is pending: the active bank is the one that stays. */
  readonly isSettled: boolean;
}

const countersSchema = z.object({ security: z.number() });
const runsSchema = z.object({ runs: z.record(z.string(), z.number()) });

/**
 * The security counter. Throws where the file is damaged; the file is replaced as a whole, so it must never be damaged.
 */
export async function readCounter(folder: string): Promise<number> {
  return (await sealed(folder, 'counters', countersSchema)).security;
}

/** How often a routine of the application was started over the ECU's whole life. */
export async function readRuns(folder: string, routine: string): Promise<number> {
  return (await sealed(folder, 'nv', runsSchema)).runs[routine] ?? 0;
}

/** Throws where the boot record is damaged. */
export async function readEcu(folder: string): Promise<EcuFiles> {
  for (;;) {
    const record = await sealed(folder, 'boot-record', bootRecordSchema);
    const { activeBank, banks, trial, activationPending, rollbackPending } = record;
    const bytes = await readFile(path.join(folder, `bank-${activeBank === 0 ? 'a' : 'b'}.bin`));
    // A running ECU may have switched banks in between, and the other bank may be erased.
    const after = await sealed(folder, 'boot-record', bootRecordSchema);
    if (after.activeBank !== activeBank) continue;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const { content, sha256: verified, proven } = banks[activeBank];
    return {
      sha256,
      isSound: content === 'valid' && verified === sha256,
      isSettled: trial === null && !activationPending && !rollbackPending && proven,
    };
  }
}

async function sealed<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T> {
  const decoded = decodeSealed(await readFile(path.join(folder, name)), schema);
  if ('value' in decoded) return decoded.value;
  throw new Error(`${path.join(path.basename(folder), name)}: ${decoded.fault}`);
}
