// Present faults of an ECU of another make. They may change at any time and outlive resets.

export interface PlainEcuFaults {
  /** Its conditions are not met: 10 02 is answered with 22. */
  refusesProgramming: boolean;
  /** Every request is answered with 21 (busyRepeatRequest). */
  busy: boolean;
  /** Long requests are delayed by FC.WAIT. */
  waits: boolean;
  /** It answers 10 02 before it restarts into its bootloader, and then misses this many requests. */
  deafAfterSession: number;
  /** Additional time for each restart. */
  extraBootMs: number;
  /** The old program answers for this long after the answer to 11. */
  lingerMs: number;
  /** New software never starts: the ECU stays in its bootloader. */
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
