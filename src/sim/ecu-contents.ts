// What is read from the disk of an ECU of any make.

/** A whole file of one disk; undefined where there is none. */
export type ReadFile = (name: string) => Uint8Array | undefined;

export interface EcuContents {
  /** SHA-256 of the bank that a boot would choose first; undefined: there is no valid image. */
  readonly sha256: string | undefined;
  /** `settled`: nothing is on trial and no change of banks is pending. */
  readonly standing: 'settled' | 'trial' | 'pending' | 'none';
  /** The security counter. */
  readonly counter: number;
  /** Counter in the signed header beside the active bank; 0 for the factory image. */
  readonly imageCounter: number;
  /** Codes of failed tests, three bytes each. */
  readonly troubleCodes: readonly number[];
}
