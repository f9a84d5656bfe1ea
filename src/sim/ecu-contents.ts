// What is read from the disk of an ECU, whatever its make.

/** A file of one disk, whole; undefined where there is none. */
export type ReadFile = (name: string) => Uint8Array | undefined;

export interface EcuContents {
  /** SHA-256 over the bytes of the bank that a boot would choose first; undefined: none that counts as an image. */
  readonly sha256: string | undefined;
  /** `settled`: nothing is on trial and no change of banks is under way. */
  readonly standing: 'settled' | 'trial' | 'pending' | 'none';
  /** The security counter. */
  readonly counter: number;
  /** That of the signed header beside the active bank; 0 for the factory image. */
  readonly imageCounter: number;
  /** Codes of failed tests: three bytes each. */
  readonly troubleCodes: readonly number[];
}
