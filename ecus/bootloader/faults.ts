// Faults that can be asked for on the command line, so that a tester meets what real ECUs do on a bad day.

import type { ProgramGate } from './flash-memory.ts';

export interface EcuFaults {
  /** Programming fails at the block that holds this byte of the image. */
  readonly failWriteAt?: number;
  /** The supply breaks down once this many bytes of an image have come: no answer, nothing stored any more. */
  readonly losePowerAfter?: number;
  /** An image on trial never comes up: the ECU resets until it falls back. */
  readonly refuseNewImage?: boolean;
  /** An image on trial comes up, but its self test fails: it cannot be confirmed and stores a trouble code. */
  readonly failSelfTest?: boolean;
  /** Answers F191 with this, and takes only releases for it. */
  readonly hardwareId?: string;
  /** The flash has come to another chip: 16 bytes as hexadecimal digits in place of its own number (FD10). */
  readonly chipId?: string;
  /** Hears nothing and says nothing. */
  readonly silent?: boolean;
  /** Every answer takes this long (response pending keeps the tester waiting). */
  readonly slowMs?: number;
}

/** Stored when the self test of a trial image fails. */
export const SELF_TEST_DTC = 0xd1_a100;

/** Asked before every block of an image; counts over all downloads of one life of the ECU. */
export function programGate(faults: EcuFaults): ProgramGate {
  let programmed = 0;
  return (offset, length) => {
    const { failWriteAt, losePowerAfter } = faults;
    programmed += length;
    if (losePowerAfter !== undefined && programmed > losePowerAfter) return 'power-lost';
    if (failWriteAt !== undefined && failWriteAt >= offset && failWriteAt < offset + length) {
      return 'failed';
    }
    return 'ok';
  };
}
