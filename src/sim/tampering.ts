// Changes the memory of an ECU from outside, as time and accidents would do.

import { createHash } from 'node:crypto';
import { flipBits } from '../core/bytes.ts';
import { itemAt } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** Status of a DTC that failed now and is confirmed (ISO 14229-1 annex D.2). */
const FAILED = 0x09;
const PLANTED_CODE = 0xd1_a1fe;

interface Bank {
  readonly content: string;
  readonly proven: boolean;
}

/**
 * Stores a DTC, as an ECU does that finds a fault in new software. False: the ECU is not about to start new software.
 */
export function plantTroubleCode(disk: SimulatedDisk): boolean {
  const record = contentOf<{ activationPending: boolean }>(disk, 'boot-record');
  const nv = contentOf<{ dtcs: { code: number; status: number }[] }>(disk, 'nv');
  if (record?.activationPending !== true || nv === undefined) return false;
  const others = nv.dtcs.filter(({ code }) => code !== PLANTED_CODE);
  const planted = { ...nv, dtcs: [...others, { code: PLANTED_CODE, status: FAILED }] };
  disk.put('nv', seal(planted));
  return true;
}

/** Flips bits of a staged image that never ran. False: there is none, and nothing has changed. */
export function rotBank(disk: SimulatedDisk, random: Random): boolean {
  const record = contentOf<{ activeBank: 0 | 1; trial: unknown; banks: readonly Bank[] }>(
    disk,
    'boot-record',
  );
  if (record === undefined || record.trial !== null) return false;
  const staged = 1 - record.activeBank;
  const { content, proven } = itemAt(record.banks, staged);
  const name = `bank-${'ab'[staged]}.bin`;
  const bytes = disk.contents(name);
  if (content !== 'valid' || proven || bytes === undefined || bytes.length === 0) return false;
  flipBits(bytes, Math.floor(random.fraction() * bytes.length), 0x10);
  disk.put(name, bytes);
  return true;
}

function contentOf<T>(disk: SimulatedDisk, name: string): T | undefined {
  const bytes = disk.contents(name);
  if (bytes === undefined) return undefined;
  try {
    const [line = ''] = new TextDecoder().decode(bytes).split('\n');
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}

function seal(content: unknown): Uint8Array {
  const line = `${JSON.stringify(content)}\n`;
  const hash = createHash('sha256').update(line).digest('hex');
  return new TextEncoder().encode(`${line}sha256 ${hash}\n`);
}
