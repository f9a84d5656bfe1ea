// The error codes of ASAM XCP 1.0 (ERR packets) with their names, their meaning and what to do about them.

export const XcpError = {
  cmdSynch: 0x00,
  cmdBusy: 0x10,
  daqActive: 0x11,
  pgmActive: 0x12,
  cmdUnknown: 0x20,
  cmdSyntax: 0x21,
  outOfRange: 0x22,
  writeProtected: 0x23,
  accessDenied: 0x24,
  accessLocked: 0x25,
  pageNotValid: 0x26,
  modeNotValid: 0x27,
  segmentNotValid: 0x28,
  sequence: 0x29,
  daqConfig: 0x2a,
  memoryOverflow: 0x30,
  generic: 0x31,
  verify: 0x32,
} as const;

interface ErrorRow {
  readonly name: string;
  readonly meaning: string;
  readonly advice: string;
}

const AGAIN = 'power the board off and on, then repeat';

/** XCP 1.0 part 2, table of error codes. */
const ROWS: ReadonlyMap<number, ErrorRow> = new Map<number, ErrorRow>([
  [
    XcpError.cmdSynch,
    row('ERR_CMD_SYNCH', 'the answer to SYNCH', 'is another XCP master on these identifiers?'),
  ],
  [
    XcpError.cmdBusy,
    row('ERR_CMD_BUSY', 'the board still works on the command before', 'repeat it later'),
  ],
  [
    XcpError.daqActive,
    row('ERR_DAQ_ACTIVE', 'a measurement runs', 'end the measurement of the other XCP master'),
  ],
  [
    XcpError.pgmActive,
    row('ERR_PGM_ACTIVE', 'the board programs its flash', 'repeat it when the programming is over'),
  ],
  [
    XcpError.cmdUnknown,
    row(
      'ERR_CMD_UNKNOWN',
      'the board does not know the command',
      'build its boot loader with programming (and with UPLOAD), or correct programming.openblt in the vehicle file',
    ),
  ],
  [
    XcpError.cmdSyntax,
    row(
      'ERR_CMD_SYNTAX',
      'the command has a wrong form',
      'report this with a trace (--trace FILE)',
    ),
  ],
  [
    XcpError.outOfRange,
    row(
      'ERR_OUT_OF_RANGE',
      'an argument is outside of what the board accepts',
      'check memory.regions in the vehicle file against the flash of the board',
    ),
  ],
  [
    XcpError.writeProtected,
    row('ERR_WRITE_PROTECTED', 'the memory is protected', 'remove the write protection'),
  ],
  [
    XcpError.accessDenied,
    row(
      'ERR_ACCESS_DENIED',
      'the memory cannot be accessed',
      'check memory.regions in the vehicle file against the flash of the board',
    ),
  ],
  [
    XcpError.accessLocked,
    row('ERR_ACCESS_LOCKED', 'the board is locked, or the key was wrong', 'check its seed and key'),
  ],
  [XcpError.pageNotValid, row('ERR_PAGE_NOT_VALID', 'there is no such page', AGAIN)],
  [XcpError.modeNotValid, row('ERR_MODE_NOT_VALID', 'there is no such mode', AGAIN)],
  [XcpError.segmentNotValid, row('ERR_SEGMENT_NOT_VALID', 'there is no such segment', AGAIN)],
  [XcpError.sequence, row('ERR_SEQUENCE', 'a command before this one is missing', AGAIN)],
  [XcpError.daqConfig, row('ERR_DAQ_CONFIG', 'the measurement is not configured', AGAIN)],
  [
    XcpError.memoryOverflow,
    row('ERR_MEMORY_OVERFLOW', 'the board has no memory left for this', AGAIN),
  ],
  [
    XcpError.generic,
    row(
      'ERR_GENERIC',
      'the board failed to do it',
      'the address is outside of its application memory, or its flash is worn out: check memory.regions, then suspect the board',
    ),
  ],
  [
    XcpError.verify,
    row('ERR_VERIFY', 'the written bytes are wrong', 'repeat, then suspect the flash of the board'),
  ],
]);

function row(name: string, meaning: string, advice: string): ErrorRow {
  return { name, meaning, advice };
}

/** `ERR_ACCESS_LOCKED (25): the board is locked, or the key was wrong` */
export function xcpErrorText(code: number): string {
  const hex = code.toString(16).toUpperCase().padStart(2, '0');
  const known = ROWS.get(code);
  return known === undefined ? `unknown error ${hex}` : `${known.name} (${hex}): ${known.meaning}`;
}

/** What to do about it. */
export function xcpErrorAdvice(code: number): string {
  return ROWS.get(code)?.advice ?? AGAIN;
}

/** Codes after which XCP 1.0 has the master wait for T7 and send the command again. */
export function isBusyError(code: number): boolean {
  return code === XcpError.cmdBusy || code === XcpError.pgmActive;
}
