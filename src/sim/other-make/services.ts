// Answers of an ECU of another make, in its application and in its bootloader.

import { asciiBytes, concatBytes, toHex, uintToBytes } from '../../core/bytes.ts';
import type { Random } from '../../core/random.ts';
import { Nrc } from '../../uds/nrc.ts';
import { Sid } from '../../uds/services/all.ts';
import * as requestDownload from '../../uds/services/request-download.ts';
import { Did, Routine, Session } from '../../uds/sid.ts';
import { type Character, FLASH_ADDRESS, type Optional, xorKey } from './character.ts';
import type { PlainEcuFaults } from './faults.ts';
import type { PlainMemory } from './memory.ts';

export type PlainEcuEvent =
  /** `sha256` is null where the ECU stays in its bootloader. */
  | { readonly kind: 'boot'; readonly sha256: string | null }
  | { readonly kind: 'erase' }
  /** 10 02 was answered with 22. */
  | { readonly kind: 'refused' }
  /** 10 02 was accepted. */
  | { readonly kind: 'opened' }
  /** The bank holds a complete image again. */
  | { readonly kind: 'written'; readonly sha256: string };

/** The running program, from one reset to the next. */
export interface Machine {
  readonly memory: PlainMemory;
  readonly character: Character;
  readonly faults: PlainEcuFaults;
  readonly random: Random;
  /** There is no application that can be started. */
  readonly stays: boolean;
  readonly inBootloader: boolean;
  session: number;
  /** Read at the start and unchanged until the end, whatever happens to the bank meanwhile. */
  readonly version: string | undefined;
  unlocked: boolean;
  seed: Uint8Array | undefined;
  download: { readonly size: number; block: number } | undefined;
  readonly onEvent: (event: PlainEcuEvent) => void;
}

export type PlainReply =
  | { readonly nrc: number; readonly takesMs?: number }
  | {
      readonly positive: Uint8Array;
      readonly suppressed?: boolean;
      readonly takesMs?: number;
      /** The ECU restarts after the answer; `bootloader`: into its bootloader. */
      readonly restarts?: 'reset' | 'bootloader';
    };

/** P2server: after this time it sends response pending, and again after each P2*server. */
export const P2_MS = 45;
export const P2_STAR_MS = 2000;
const BANK_BYTES = 1024 * 1024;
const HARDWARE_ID = 'OBC-9';
const SERIAL = 'OM-000017';
const SEED_BYTES = 4;

export async function answer(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  const { inBootloader } = machine;
  switch (request[0]) {
    case Sid.diagnosticSessionControl:
      return session(machine, request);
    case Sid.ecuReset:
      if (request.length !== 2) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
      if (request[1] !== 0x01) return { nrc: Nrc.subFunctionNotSupported };
      return { positive: Uint8Array.of(0x51, 0x01), restarts: 'reset' };
    case Sid.testerPresent:
      return { positive: Uint8Array.of(0x7e, 0x00), suppressed: request[1] === 0x80 };
    case Sid.readDataByIdentifier:
      return readDid(machine, request);
    case Sid.readDtcInformation:
      if (!knows(machine, 'troubleCodes') || inBootloader) return { nrc: Nrc.serviceNotSupported };
      return { positive: Uint8Array.of(0x59, request[1] ?? 0x02, 0xff) };
    case Sid.controlDtcSetting:
      return quiet(machine, request, 'dtcSetting');
    case Sid.communicationControl:
      return quiet(machine, request, 'communication');
    case Sid.routineControl:
      return inBootloader ? routine(machine, request) : preconditions(machine, request);
    case Sid.securityAccess:
    case Sid.writeDataByIdentifier:
    case Sid.requestDownload:
    case Sid.transferData:
    case Sid.requestTransferExit:
      return inBootloader ? program(machine, request) : { nrc: Nrc.serviceNotSupported };
    default:
      return { nrc: Nrc.serviceNotSupported };
  }
}

function knows({ character }: Machine, what: Optional): boolean {
  return character.knows.includes(what);
}

async function session(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  const wanted = byteOf(request, 1) & 0x7f;
  const suppressed = (byteOf(request, 1) & 0x80) !== 0;
  const positive = sessionAnswer(wanted);
  switch (wanted) {
    case Session.default:
      // Leaving the bootloader starts the application.
      if (machine.inBootloader && !machine.stays)
        return { positive, suppressed, restarts: 'reset' };
      machine.session = wanted;
      return { positive, suppressed };
    case Session.extended:
      machine.session = wanted;
      return { positive, suppressed };
    case Session.programming:
      if (machine.inBootloader) {
        machine.session = wanted;
        machine.onEvent({ kind: 'opened' });
        return { positive, suppressed };
      }
      if (machine.faults.refusesProgramming) {
        machine.onEvent({ kind: 'refused' });
        return { nrc: Nrc.conditionsNotCorrect };
      }
      await machine.memory.wantProgramming(true);
      machine.onEvent({ kind: 'opened' });
      return { positive, suppressed, restarts: 'bootloader' };
    default:
      return { nrc: Nrc.subFunctionNotSupported };
  }
}

/** ISO 14229-1 table 29: P2 in ms, P2* in steps of 10 ms. */
function sessionAnswer(session: number): Uint8Array {
  return concatBytes(
    Uint8Array.of(0x50, session),
    uintToBytes(P2_MS + 5, 2),
    uintToBytes(P2_STAR_MS / 10 + 100, 2),
  );
}

function readDid(machine: Machine, request: Uint8Array): PlainReply {
  if (request.length !== 3) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
  const did = (byteOf(request, 1) << 8) | byteOf(request, 2);
  const value = didValue(machine, did);
  if (value === undefined) return { nrc: Nrc.requestOutOfRange };
  return {
    positive: concatBytes(Uint8Array.of(0x62, byteOf(request, 1), byteOf(request, 2)), value),
  };
}

function didValue(machine: Machine, did: number): Uint8Array | undefined {
  switch (did) {
    case Did.ecuSoftwareVersion:
      return machine.version === undefined ? undefined : asciiBytes(machine.version);
    case Did.ecuHardwareNumber:
      return asciiBytes(HARDWARE_ID);
    case Did.ecuSerialNumber:
      return asciiBytes(SERIAL);
    case Did.activeDiagnosticSession:
      return knows(machine, 'activeSession') ? Uint8Array.of(machine.session) : undefined;
    default:
      return undefined;
  }
}

function quiet(machine: Machine, request: Uint8Array, what: Optional): PlainReply {
  if (!knows(machine, what)) return { nrc: Nrc.serviceNotSupported };
  if (machine.session === Session.default) {
    return { nrc: Nrc.serviceNotSupportedInActiveSession };
  }
  const suppressed = (byteOf(request, 1) & 0x80) !== 0;
  return {
    positive: Uint8Array.of(byteOf(request, 0) + 0x40, byteOf(request, 1) & 0x7f),
    suppressed,
  };
}

function preconditions(machine: Machine, request: Uint8Array): PlainReply {
  if (
    !knows(machine, 'preconditions') ||
    routineOf(request) !== Routine.checkProgrammingPreconditions
  ) {
    return { nrc: Nrc.requestOutOfRange };
  }
  return started(request, 0);
}

async function routine(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  const { memory, character } = machine;
  if (machine.session !== Session.programming) {
    return { nrc: Nrc.serviceNotSupportedInActiveSession };
  }
  if (!machine.unlocked) return { nrc: Nrc.securityAccessDenied };
  switch (routineOf(request)) {
    case Routine.eraseMemory:
      if (!knows(machine, 'erase')) return { nrc: Nrc.requestOutOfRange };
      await erase(machine);
      return { ...started(request, 0), takesMs: character.eraseMs };
    case Routine.checkMemory:
      if (!knows(machine, 'checkMemory')) return { nrc: Nrc.requestOutOfRange };
      if (toHex(request.subarray(4)) !== memory.sha256) return started(request, 1);
      if (!knows(machine, 'dependencies')) await complete(machine);
      return { ...started(request, 0), takesMs: 120 };
    case Routine.checkProgrammingDependencies:
      if (!knows(machine, 'dependencies')) return { nrc: Nrc.requestOutOfRange };
      if (machine.download !== undefined || memory.length === 0) return started(request, 1);
      await complete(machine);
      return started(request, 0);
    default:
      return { nrc: Nrc.requestOutOfRange };
  }
}

function routineOf(request: Uint8Array): number | undefined {
  return request[1] === 0x01 ? (byteOf(request, 2) << 8) | byteOf(request, 3) : undefined;
}

function started(request: Uint8Array, status: number): { readonly positive: Uint8Array } {
  return { positive: Uint8Array.of(0x71, 0x01, byteOf(request, 2), byteOf(request, 3), status) };
}

async function program(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  if (machine.session !== Session.programming) {
    return { nrc: Nrc.serviceNotSupportedInActiveSession };
  }
  if (request[0] === Sid.securityAccess) return security(machine, request);
  if (!machine.unlocked) return { nrc: Nrc.securityAccessDenied };
  switch (request[0]) {
    case Sid.writeDataByIdentifier:
      if (!knows(machine, 'fingerprint')) return { nrc: Nrc.serviceNotSupported };
      return { positive: Uint8Array.of(0x6e, byteOf(request, 1), byteOf(request, 2)) };
    case Sid.requestDownload:
      return download(machine, request);
    case Sid.transferData:
      return transfer(machine, request);
    default:
      return exit(machine);
  }
}

function security(machine: Machine, request: Uint8Array): PlainReply {
  const { character, random } = machine;
  if (character.security === 'none') return { nrc: Nrc.serviceNotSupported };
  if (request[1] === 0x01) {
    machine.seed = machine.unlocked ? new Uint8Array(SEED_BYTES) : random.bytes(SEED_BYTES);
    return { positive: concatBytes(Uint8Array.of(0x67, 0x01), machine.seed) };
  }
  if (request[1] !== 0x02) return { nrc: Nrc.subFunctionNotSupported };
  const { seed } = machine;
  machine.seed = undefined;
  if (seed === undefined) return { nrc: Nrc.requestSequenceError };
  if (toHex(request.subarray(2)) !== toHex(xorKey(seed))) return { nrc: Nrc.invalidKey };
  machine.unlocked = true;
  return { positive: Uint8Array.of(0x67, 0x02) };
}

async function download(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  const { memory, character } = machine;
  const wanted = requestDownload.decodeRequest(request);
  if (typeof wanted === 'number') return { nrc: wanted };
  const { address, size } = wanted;
  if (address !== FLASH_ADDRESS || size === 0 || size > BANK_BYTES) {
    return { nrc: Nrc.requestOutOfRange };
  }
  const mustErase = !knows(machine, 'erase');
  if (mustErase) await erase(machine);
  else if (memory.valid || memory.length > 0) return { nrc: Nrc.conditionsNotCorrect };
  machine.download = { size, block: 1 };
  const positive = requestDownload.encodeResponse(character.blockLength);
  return { positive, takesMs: mustErase ? character.eraseMs : 0 };
}

async function transfer(machine: Machine, request: Uint8Array): Promise<PlainReply> {
  const { memory, download: open } = machine;
  if (open === undefined) return { nrc: Nrc.requestSequenceError };
  const block = byteOf(request, 1);
  const positive = Uint8Array.of(0x76, block);
  // The tester did not get the answer and repeats the block.
  if (memory.length > 0 && block === ((open.block - 1) & 0xff)) return { positive };
  if (block !== open.block) return { nrc: Nrc.wrongBlockSequenceCounter };
  const bytes = request.slice(2);
  if (memory.length + bytes.length > open.size) return { nrc: Nrc.transferDataSuspended };
  await memory.append(bytes);
  open.block = (block + 1) & 0xff;
  return { positive };
}

async function exit(machine: Machine): Promise<PlainReply> {
  const { memory, download: open } = machine;
  if (open === undefined || memory.length !== open.size) {
    return { nrc: Nrc.requestSequenceError };
  }
  await memory.sync();
  machine.download = undefined;
  if (!knows(machine, 'checkMemory') && !knows(machine, 'dependencies')) await complete(machine);
  return { positive: Uint8Array.of(0x77), takesMs: 100 };
}

async function erase(machine: Machine): Promise<void> {
  machine.onEvent({ kind: 'erase' });
  machine.download = undefined;
  await machine.memory.erase();
}

async function complete({ memory, onEvent }: Machine): Promise<void> {
  await memory.makeValid();
  onEvent({ kind: 'written', sha256: memory.sha256 });
}

/** 0 where the request ends before the index: this firmware reads from a buffer of zeros. */
function byteOf(request: Uint8Array, index: number): number {
  return request[index] ?? 0;
}
