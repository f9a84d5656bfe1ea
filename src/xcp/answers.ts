// The answers of ASAM XCP 1.0 to the commands of programming: bytes of the slave, and what the master reads in them.

import { byteAt, concatBytes } from '../core/bytes.ts';
import { type ByteOrder, numberAt, numberBytes, PacketId } from './commands.ts';

/** XCP 1.0 part 2: bits 1 and 2 of COMM_MODE_BASIC. */
const GRANULARITY = [1, 2, 4] as const;

/** What CONNECT tells of the slave. */
export interface Connected {
  /** Bits of `Resource` that the slave offers. */
  readonly resources: number;
  readonly byteOrder: ByteOrder;
  /** Bytes of one address. */
  readonly addressGranularity: (typeof GRANULARITY)[number];
  /** Longest command, and longest answer, in bytes. */
  readonly maxCto: number;
  readonly maxDto: number;
  /** Major versions of protocol layer and transport layer. */
  readonly protocolVersion: number;
  readonly transportVersion: number;
}

/** Undefined: it is no answer to CONNECT. */
export function decodeConnected(bytes: Uint8Array): Connected | undefined {
  if (bytes.length < 8) return undefined;
  const mode = byteAt(bytes, 2);
  const byteOrder = (mode & 1) === 1 ? 'motorola' : 'intel';
  const addressGranularity = GRANULARITY[(mode >> 1) & 3];
  const maxCto = byteAt(bytes, 3);
  const maxDto = numberAt(bytes, 4, 2, byteOrder);
  const protocolVersion = byteAt(bytes, 6);
  const transportVersion = byteAt(bytes, 7);
  // XCP 1.0 part 2: MAX_CTO and MAX_DTO are 8 at least.
  if (addressGranularity === undefined || maxCto < 8 || maxDto < 8) return undefined;
  if (protocolVersion === 0 || transportVersion === 0) return undefined;
  return {
    resources: byteAt(bytes, 1),
    ...{ byteOrder, addressGranularity, maxCto, maxDto, protocolVersion, transportVersion },
  };
}

export function encodeConnected(connected: Connected): Uint8Array {
  const { resources, byteOrder, addressGranularity, maxCto, maxDto } = connected;
  const granularity = GRANULARITY.indexOf(addressGranularity);
  const mode = (byteOrder === 'motorola' ? 1 : 0) | (granularity << 1);
  return concatBytes(
    Uint8Array.of(PacketId.response, resources, mode, maxCto),
    numberBytes(maxDto, 2, byteOrder),
    Uint8Array.of(connected.protocolVersion, connected.transportVersion),
  );
}

/** GET_STATUS and UNLOCK: bits of `Resource` that are locked. Undefined: the answer is too short. */
export function decodeStatus(bytes: Uint8Array): { readonly locked: number } | undefined {
  return bytes.length < 6 ? undefined : { locked: byteAt(bytes, 2) };
}

export function encodeStatus(locked: number): Uint8Array {
  return Uint8Array.of(PacketId.response, 0, locked, 0, 0, 0);
}

export function decodeUnlocked(bytes: Uint8Array): { readonly locked: number } | undefined {
  return bytes.length < 2 ? undefined : { locked: byteAt(bytes, 1) };
}

export function encodeUnlocked(locked: number): Uint8Array {
  return Uint8Array.of(PacketId.response, locked);
}

/** GET_SEED: bytes of the seed that are left, those of this part included; 0: the resource is not locked. */
export interface SeedPart {
  readonly remaining: number;
  readonly part: Uint8Array;
}

export function decodeSeedPart(bytes: Uint8Array, maxCto: number): SeedPart | undefined {
  if (bytes.length < 2) return undefined;
  const remaining = byteAt(bytes, 1);
  const count = Math.min(remaining, maxCto - 2);
  return bytes.length < 2 + count ? undefined : { remaining, part: bytes.slice(2, 2 + count) };
}

export function encodeSeedPart({ remaining, part }: SeedPart): Uint8Array {
  return Uint8Array.of(PacketId.response, remaining, ...part);
}

/** PROGRAM_START: MAX_CTO while programming. Undefined: the answer is too short. */
export function decodeProgramStarted(bytes: Uint8Array): { readonly maxCto: number } | undefined {
  return bytes.length < 7 ? undefined : { maxCto: byteAt(bytes, 3) };
}

export function encodeProgramStarted(maxCto: number): Uint8Array {
  return Uint8Array.of(PacketId.response, 0, 0, maxCto, 0, 0, 0);
}

/** UPLOAD and SHORT_UPLOAD with byte granularity. Undefined: the answer has fewer bytes than were asked for. */
export function decodeUploaded(bytes: Uint8Array, count: number): Uint8Array | undefined {
  return bytes.length < 1 + count ? undefined : bytes.slice(1, 1 + count);
}

export function encodeUploaded(data: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(PacketId.response), data);
}

export function encodeDone(): Uint8Array {
  return Uint8Array.of(PacketId.response);
}

export function encodeXcpError(code: number): Uint8Array {
  return Uint8Array.of(PacketId.error, code);
}
