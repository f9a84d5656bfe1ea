// The row that each file of services/ exports: the facts about a service for monitor, client and server.

/** Describes a message inside of another message, for rows. */
export type DescribeMessage = (message: Uint8Array) => string;

export interface ServiceRow {
  /** The standard's name. */
  readonly name: string;
  /** Service identifier of the request. A positive response adds 0x40. */
  readonly sid: number;
  /** By the standard's names. Missing: the second byte is no sub-function, and its bit 7 suppresses nothing. */
  readonly subFunctions?: Readonly<Record<string, number>>;
  /** Bytes after the SID that a positive response repeats; a sub-function counts as one, without bit 7. */
  readonly echoed: number;
  /** Widths in bytes of the fields that name a request in a trace; missing: the sub-function, where there is one. */
  readonly named?: readonly number[];
  /** A failure inside a server is generalProgrammingFailure (72), not generalReject (10). */
  readonly programs?: boolean;
  /** Text for a request in a trace; missing: its bytes. `subFunction` is without bit 7. */
  request?(message: Uint8Array, subFunction: number, describe: DescribeMessage): string;
  /** Text for a positive response; missing: its bytes. */
  response?(message: Uint8Array, subFunction: number, describe: DescribeMessage): string;
}

/** Keeps the literal types of name and identifier. */
export function serviceRow<const Row extends ServiceRow>(row: Row): Row {
  return row;
}
