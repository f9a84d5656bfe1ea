// Which requests are sent again when their answer is lost, how often, and which only after a look at the ECU.

import { bytesToUint } from '../core/bytes.ts';
import { itemAt } from '../core/present.ts';
import { Nrc } from '../uds/nrc.ts';
import type { UdsReply } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import { Routine } from '../uds/sid.ts';
import type { EcuProgramming } from '../vehicle/schema.ts';

export type RepeatRule =
  /** The ECU does the same once more, or nothing: the request is sent again at once. */
  | { readonly kind: 'again'; readonly tries: number }
  /** Sent again only by a caller that looks at the ECU first (`AskOptions.look`). */
  | { readonly kind: 'look-first'; readonly tries: number }
  | { readonly kind: 'once' };

interface Row {
  readonly sid: number;
  /** Missing: all requests of this service. */
  readonly applies?: (request: Uint8Array, programming: EcuProgramming) => boolean;
  readonly rule: RepeatRule;
}

const AGAIN: RepeatRule = { kind: 'again', tries: 3 };
const LOOK_FIRST: RepeatRule = { kind: 'look-first', tries: 3 };
const ONCE: RepeatRule = { kind: 'once' };

const START = 0x01;
const RESULTS = 0x03;

/** The first row that applies counts. */
const ROWS: readonly Row[] = [
  { sid: Sid.diagnosticSessionControl, rule: AGAIN },
  { sid: Sid.readDataByIdentifier, rule: AGAIN },
  { sid: Sid.readDtcInformation, rule: AGAIN },
  { sid: Sid.testerPresent, rule: AGAIN },
  { sid: Sid.communicationControl, rule: AGAIN },
  { sid: Sid.controlDtcSetting, rule: AGAIN },
  // requestSeed. A key is never sent twice: `unlock` asks for a seed again, which tells whether the first one counted.
  { sid: Sid.securityAccess, applies: ([, level = 0]) => level % 2 === 1, rule: AGAIN },
  { sid: Sid.routineControl, applies: ([, control]) => control === RESULTS, rule: AGAIN },
  { sid: Sid.routineControl, applies: isReadingRoutine, rule: AGAIN },
  {
    sid: Sid.routineControl,
    applies: (request, { eraseRoutine }) => startsRoutine(request, eraseRoutine),
    rule: LOOK_FIRST,
  },
  // A restart shows in the session.
  { sid: Sid.ecuReset, rule: LOOK_FIRST },
  { sid: Sid.writeDataByIdentifier, rule: LOOK_FIRST },
  { sid: Sid.requestDownload, rule: LOOK_FIRST },
  { sid: Sid.requestFileTransfer, rule: LOOK_FIRST },
  { sid: Sid.requestTransferExit, rule: LOOK_FIRST },
];

/** Everything that is in no row is sent once: 14, 27 with a key, 2F, and routines that do something. */
export function repeatRule(request: Uint8Array, programming: EcuProgramming): RepeatRule {
  const row = ROWS.find(
    ({ sid, applies }) => sid === request[0] && (applies?.(request, programming) ?? true),
  );
  return row?.rule ?? ONCE;
}

/**
 * ISO 14229-1 15.4.5: a block whose answer was lost is sent again under its number. After `tries` the ECU has to show
 * that it is alive in its session; then the block has `limitMs` and `aliveTries` in all. Another tester that polls the
 * same ECU spoils about every second block.
 */
export const BLOCK_REPEATS = { tries: 3, aliveTries: 30, limitMs: 30_000 } as const;

/** A block that another tester has spoiled so often in a row is too long for the pauses that this one makes. */
export const SPOILED_TRIES = 3;
const SHORTEST_BLOCK_BYTES = 64;

/** The bytes to try instead of `bytes`: half, as a power of two, since some write only whole pages; undefined: no fewer. */
export function shorterBlock(bytes: number): number | undefined {
  const half = 2 ** Math.floor(Math.log2(bytes / 2));
  return half >= SHORTEST_BLOCK_BYTES ? half : undefined;
}

/** Pauses before the second try and those behind it; the time limit of the lost answer has passed already. */
const PAUSES_MS = [50, 250] as const;

export function repeatPauseMs(tries: number): number {
  return itemAt(PAUSES_MS, Math.min(tries, PAUSES_MS.length) - 1);
}

/**
 * Nobody knows whether the request arrived. Bytes that answer something else count as well: another tester is active. An
 * ECU that asked to wait for all of its time was heard.
 */
export function isLost(reply: UdsReply): boolean {
  switch (reply.kind) {
    case 'silent':
      return reply.pending !== true;
    case 'unexpected':
      return true;
    case 'transport':
      return !['BUS', 'CLOSED', 'N_BUFFER_OVFLW', 'N_WFT_OVRN'].includes(reply.result);
    default:
      return false;
  }
}

/** The total time that an ECU may keep refusing a request by this code; undefined: it is a refusal. */
export function patienceMs(
  nrc: number,
  timing: { readonly busyLimitMs: number; readonly resourceLimitMs: number },
): { readonly limitMs: number; readonly field: string } | undefined {
  switch (nrc) {
    case Nrc.busyRepeatRequest:
      return { limitMs: timing.busyLimitMs, field: 'timing.busyLimitMs' };
    case Nrc.resourceTemporarilyNotAvailable:
      return { limitMs: timing.resourceLimitMs, field: 'timing.resourceLimitMs' };
    default:
      return undefined;
  }
}

/** Pauses of that patience: 50 ms, doubled each time, at most 1 s. */
export function nextBusyPauseMs(before: number | undefined): number {
  return before === undefined ? 50 : Math.min(1000, before * 2);
}

function startsRoutine(request: Uint8Array, routine: number): boolean {
  return request[1] === START && bytesToUint(request.subarray(2, 4)) === routine;
}

/** Routines that look, compute and compare, and leave the ECU as it is. */
function isReadingRoutine(request: Uint8Array, programming: EcuProgramming): boolean {
  const { preconditionsRoutine, checkMemoryRoutine, dependenciesRoutine } = programming;
  return [
    Routine.checkProgrammingPreconditions,
    preconditionsRoutine,
    checkMemoryRoutine,
    dependenciesRoutine,
  ].some((routine) => startsRoutine(request, routine));
}
