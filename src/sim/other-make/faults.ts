// What goes wrong with an ECU of another make at present. Faults change it at any time; it outlives resets.

export interface PlainEcuFaults {
  /** Its conditions are not met: 10 02 is answered with 22. */
  refusesProgramming: boolean;
  /** Every request is answered with 21 (busyRepeatRequest). */
  busy: boolean;
  /** Long requests are held up by FC.WAIT. */
  waits: boolean;
  /** It answers 10 02 before it restarts into its bootloader, and does not hear that many requests afterwards. */
  deafAfterSession: number;
  /** More time for each restart. */
  extraBootMs: number;
  /** The old program goes on answering for so long after the answer to 11. */
  lingerMs: number;
  /** New software never starts: it stays in its bootloader. */
  refusesNewImage: boolean;
}

export function noFaults(): PlainEcuFaults {
  return {
    refusesProgramming: false,
    busy: false,
    waits: false,
    deafAfterSession: 0,
    extraBootMs: 0,
    lingerMs: 0,
    refusesNewImage: false,
  };
}
