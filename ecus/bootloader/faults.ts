// Faults that can be asked for on the command line, so that a tester meets what real ECUs do on a bad day.

import type { ProgramGate } from './flash/flash-memory.ts';

/** Kinds of wrong answers: to another service, of another identifier, or bytes that mean nothing. */
const WRONG_ANSWERS = ['service', 'identifier', 'garbage'] as const;
export type WrongAnswer = (typeof WRONG_ANSWERS)[number];

/**
 * Read at the moment when they matter, so that a simulation may change the object while the ECU runs. Those that
 * happen a number of times are counted down in the object by the ECU.
 */
export interface EcuFaults {
  /** Programming fails at the block that holds this byte of the image. */
  failWriteAt?: number;
  /** The supply breaks down once this many bytes of an image have come: no answer, nothing stored any more. */
  losePowerAfter?: number;
  /** An image on trial never comes up: the ECU resets until it falls back. */
  refuseNewImage?: boolean;
  /** An image on trial comes up, but its self test fails: it cannot be confirmed and stores a trouble code. */
  failSelfTest?: boolean;
  /** Answers F191 with this, and takes only releases for it; from power-on. */
  hardwareId?: string;
  /** The flash has come to another chip: 16 bytes as hexadecimal digits in place of its own number (FD10). */
  chipId?: string;
  /** Hears nothing and says nothing. */
  silent?: boolean;
  /** Every answer takes this long (response pending keeps the tester waiting); from the next reset on. */
  slowMs?: number;
  /** Hangs after this many more requests: no answer, no normal traffic, until a reset. Happens once. */
  stuckAfter?: number;
  /** Resets `times` times, each `everyMs` after it came up (or, when set at run time, after the next request). */
  resetLoop?: { times: number; readonly everyMs: number };
  /** What can get hot is hot: an inverter's power stage, for example. */
  hot?: boolean;
  /** The next `count` answers are wrong. */
  wrongAnswers?: { count: number; readonly kind: WrongAnswer };
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
