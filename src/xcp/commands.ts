// The commands of ASAM XCP 1.0 that programming needs: code, name, time-out, bytes. One table for both roles.

import { byteAt, concatBytes, hexNumber } from '../core/bytes.ts';
import { XcpError } from './errors.ts';

/** Byte order of numbers with several bytes, as the answer to CONNECT says. */
export type ByteOrder = 'intel' | 'motorola';

/** First byte of a packet from the slave; lower values are measurement data (DTO). */
export const PacketId = {
  response: 0xff,
  error: 0xfe,
  event: 0xfd,
  service: 0xfc,
} as const;

/** XCP on CAN: MAX_CTO and MAX_DTO, bytes. */
export const CAN_CTO = 8;

/** Code of the event by which a slave asks for more time: the time-out begins again. */
export const EV_CMD_PENDING = 0x05;

/** The time-outs of the master, by the kind of command. T7: pause before a command is repeated to a busy slave. */
export type XcpTimer = 'T1' | 'T3' | 'T4' | 'T5' | 'T6';

/** Resources that can be locked. */
export const Resource = {
  calibration: 0x01,
  measurement: 0x04,
  stimulation: 0x08,
  programming: 0x10,
} as const;

export type XcpCommand =
  | { readonly kind: 'connect'; readonly mode: number }
  | { readonly kind: 'disconnect' | 'get-status' | 'synch' }
  | { readonly kind: 'program-start' | 'program-reset' }
  /** `mode` 0: the first part of the seed; 1: the rest of a long one. */
  | { readonly kind: 'get-seed'; readonly mode: number; readonly resource: number }
  /** `remaining`: bytes of the key that are left, those of this part included. */
  | { readonly kind: 'unlock'; readonly remaining: number; readonly part: Uint8Array }
  | { readonly kind: 'set-mta'; readonly extension: number; readonly address: number }
  | { readonly kind: 'upload'; readonly count: number }
  | {
      readonly kind: 'short-upload';
      readonly count: number;
      readonly extension: number;
      readonly address: number;
    }
  | { readonly kind: 'program-clear'; readonly mode: number; readonly length: number }
  /** No data: the end of the programming. */
  | { readonly kind: 'program'; readonly data: Uint8Array }
  /** Always MAX_CTO - 1 bytes. */
  | { readonly kind: 'program-max'; readonly data: Uint8Array };
export type XcpCommandKind = XcpCommand['kind'];

interface CommandRow {
  readonly code: number;
  readonly name: string;
  readonly timer: XcpTimer;
  /** Bytes that the command has at least, its code included. */
  readonly bytes: number;
}

/** XCP 1.0 part 2, table of commands. */
const COMMANDS: Readonly<Record<XcpCommandKind, CommandRow>> = {
  connect: { code: 0xff, name: 'CONNECT', timer: 'T6', bytes: 2 },
  disconnect: { code: 0xfe, name: 'DISCONNECT', timer: 'T1', bytes: 1 },
  'get-status': { code: 0xfd, name: 'GET_STATUS', timer: 'T1', bytes: 1 },
  synch: { code: 0xfc, name: 'SYNCH', timer: 'T1', bytes: 1 },
  'get-seed': { code: 0xf8, name: 'GET_SEED', timer: 'T1', bytes: 3 },
  unlock: { code: 0xf7, name: 'UNLOCK', timer: 'T1', bytes: 3 },
  'set-mta': { code: 0xf6, name: 'SET_MTA', timer: 'T1', bytes: 8 },
  upload: { code: 0xf5, name: 'UPLOAD', timer: 'T1', bytes: 2 },
  'short-upload': { code: 0xf4, name: 'SHORT_UPLOAD', timer: 'T1', bytes: 8 },
  'program-start': { code: 0xd2, name: 'PROGRAM_START', timer: 'T3', bytes: 1 },
  'program-clear': { code: 0xd1, name: 'PROGRAM_CLEAR', timer: 'T4', bytes: 8 },
  program: { code: 0xd0, name: 'PROGRAM', timer: 'T5', bytes: 2 },
  'program-reset': { code: 0xcf, name: 'PROGRAM_RESET', timer: 'T5', bytes: 1 },
  'program-max': { code: 0xc9, name: 'PROGRAM_MAX', timer: 'T5', bytes: 1 },
};

const KIND_OF = new Map(
  (Object.keys(COMMANDS) as XcpCommandKind[]).map((kind) => [COMMANDS[kind].code, kind]),
);

export function timerOf(kind: XcpCommandKind): XcpTimer {
  return COMMANDS[kind].timer;
}

/** `PROGRAM_CLEAR (D1)` */
export function commandText(code: number): string {
  const kind = KIND_OF.get(code);
  const hex = code.toString(16).toUpperCase().padStart(2, '0');
  return kind === undefined ? `command ${hex}` : `${COMMANDS[kind].name} (${hex})`;
}

export function encodeCommand(command: XcpCommand, order: ByteOrder): Uint8Array {
  const { code } = COMMANDS[command.kind];
  switch (command.kind) {
    case 'connect':
      return Uint8Array.of(code, command.mode);
    case 'get-seed':
      return Uint8Array.of(code, command.mode, command.resource);
    case 'unlock':
      return Uint8Array.of(code, command.remaining, ...command.part);
    case 'set-mta':
      return concatBytes(
        Uint8Array.of(code, 0, 0, command.extension),
        numberBytes(command.address, 4, order),
      );
    case 'upload':
      return Uint8Array.of(code, command.count);
    case 'short-upload':
      return concatBytes(
        Uint8Array.of(code, command.count, 0, command.extension),
        numberBytes(command.address, 4, order),
      );
    case 'program-clear':
      return concatBytes(
        Uint8Array.of(code, command.mode, 0, 0),
        numberBytes(command.length, 4, order),
      );
    case 'program':
      return Uint8Array.of(code, command.data.length, ...command.data);
    case 'program-max':
      return Uint8Array.of(code, ...command.data);
    default:
      return Uint8Array.of(code);
  }
}

/** Reads a command as a slave with this MAX_CTO; a number is the error code of the answer. */
export function decodeCommand(
  bytes: Uint8Array,
  order: ByteOrder,
  maxCto: number,
): XcpCommand | number {
  const kind = bytes.length === 0 ? undefined : KIND_OF.get(byteAt(bytes, 0));
  if (kind === undefined) return XcpError.cmdUnknown;
  if (bytes.length < COMMANDS[kind].bytes) return XcpError.cmdSyntax;
  switch (kind) {
    case 'connect':
      return { kind, mode: byteAt(bytes, 1) };
    case 'get-seed':
      return { kind, mode: byteAt(bytes, 1), resource: byteAt(bytes, 2) };
    case 'unlock': {
      const remaining = byteAt(bytes, 1);
      const count = Math.min(remaining, maxCto - 2);
      if (bytes.length < 2 + count) return XcpError.cmdSyntax;
      return { kind, remaining, part: bytes.slice(2, 2 + count) };
    }
    case 'set-mta':
      return { kind, extension: byteAt(bytes, 3), address: numberAt(bytes, 4, 4, order) };
    case 'upload':
      return { kind, count: byteAt(bytes, 1) };
    case 'short-upload':
      return {
        kind,
        count: byteAt(bytes, 1),
        extension: byteAt(bytes, 3),
        address: numberAt(bytes, 4, 4, order),
      };
    case 'program-clear':
      return { kind, mode: byteAt(bytes, 1), length: numberAt(bytes, 4, 4, order) };
    case 'program': {
      const count = byteAt(bytes, 1);
      if (count > maxCto - 2) return XcpError.outOfRange;
      if (bytes.length < 2 + count) return XcpError.cmdSyntax;
      return { kind, data: bytes.slice(2, 2 + count) };
    }
    case 'program-max':
      return bytes.length < maxCto ? XcpError.cmdSyntax : { kind, data: bytes.slice(1, maxCto) };
    default:
      return { kind };
  }
}

export function numberBytes(value: number, length: number, order: ByteOrder): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * length)) {
    throw new RangeError(`${hexNumber(value)} does not fit into ${length} bytes`);
  }
  const bytes = Uint8Array.from(
    { length },
    (_, index) => Math.floor(value / 2 ** (8 * index)) % 256,
  );
  return order === 'intel' ? bytes : bytes.reverse();
}

export function numberAt(bytes: Uint8Array, at: number, length: number, order: ByteOrder): number {
  let value = 0;
  for (let index = 0; index < length; index++) {
    value = value * 256 + byteAt(bytes, at + (order === 'intel' ? length - 1 - index : index));
  }
  return value;
}
