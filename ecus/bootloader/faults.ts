// Faults that the command line can request, to test a tester with the faults of real ECUs.

import type { ProgramGate } from './flash/flash-memory.ts';

/** Kinds of wrong answers: to another service, for another identifier, or random bytes. */
const WRONG_ANSWERS = ['service', 'identifier', 'garbage'] as const;
export type WrongAnswer = (typeof WRONG_ANSWERS)[number];

/**
 * The faults of an ECU. They are read when they apply, so that a simulation can change the object while the ECU runs.
 * The ECU counts faults with a number of times down in the object.
 */
export interface EcuFaults {
  /** Programming fails at the block that holds this byte of the image. */
  failWriteAt?: number;
  /** Power is lost after this many bytes of an image: no answer, and no data is stored any more. */
  losePowerAfter?: number;
  /** An image on trial never starts: the ECU resets until it falls back. */
  refuseNewImage?: boolean;
  /** An image on trial starts, but its self test fails: it cannot be confirmed and stores a trouble code. */
  failSelfTest?: boolean;
  /** Hardware id that the ECU reports (F191) and requires of releases, from power-on. */
  hardwareId?: string;
  /** Chip number (FD10) as if the flash were moved to another chip: 16 bytes as hexadecimal digits. */
  chipId?: string;
  /** The ECU receives and sends nothing. */
  silent?: boolean;
  /** Delay of every answer (response pending keeps the tester waiting), from the next reset on. */
  slowMs?: number;
  /** Number of requests after which the ECU hangs once: no answer and no normal traffic until a reset. */
  stuckAfter?: number;
  /** Resets `times` times, each `everyMs` after the boot (or, when set at run time, after the next request). */
  resetLoop?: { times: number; readonly everyMs: number };
  /** Hot parts of the ECU, for example an inverter's power stage, are too hot. */
  hot?: boolean;
  /** The next `count` answers are wrong. */
  wrongAnswers?: { count: number; readonly kind: WrongAnswer };
}

/** Trouble code that is stored when the self test of a trial image fails. */
export const SELF_TEST_DTC = 0xd1_a100;

/** The gate that is called before every block of an image; it counts over all downloads. */
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
