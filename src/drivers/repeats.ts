// Which requests are sent again when their answer is lost, how often, and which only after a check of the ECU.

import { bytesToUint } from '../core/bytes.ts';
import { itemAt } from '../core/present.ts';
import { Nrc } from '../uds/nrc.ts';
import type { UdsReply } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import { Routine } from '../uds/sid.ts';
import type { EcuProgramming } from '../vehicle/programming-schema.ts';

export type RepeatRule =
  /** Sent again at once: a repetition has the same effect or none. */
  | { readonly kind: 'again'; readonly tries: number }
  /** Sent again only by a caller that checks the ECU first (`AskOptions.look`). */
  | { readonly kind: 'look-first'; readonly tries: number }
  | { readonly kind: 'once' };

interface Row {
  readonly sid: number;
  /** Which requests of the service the row covers; missing: all. */
  readonly applies?: (request: Uint8Array, programming: EcuProgramming) => boolean;
  readonly rule: RepeatRule;
}

const AGAIN: RepeatRule = { kind: 'again', tries: 3 };
const LOOK_FIRST: RepeatRule = { kind: 'look-first', tries: 3 };
const ONCE: RepeatRule = { kind: 'once' };

const START = 0x01;
const RESULTS = 0x03;

/** The rules; the first row that applies counts. */
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
  // The session shows whether the ECU has restarted.
  { sid: Sid.ecuReset, rule: LOOK_FIRST },
  { sid: Sid.writeDataByIdentifier, rule: LOOK_FIRST },
  { sid: Sid.requestDownload, rule: LOOK_FIRST },
  { sid: Sid.requestFileTransfer, rule: LOOK_FIRST },
  { sid: Sid.requestTransferExit, rule: LOOK_FIRST },
];

/**
 * The rule of a request. Requests without a row are sent once: 14, 27 with a key, 2F, and routines that change
 * something.
 */
export function repeatRule(request: Uint8Array, programming: EcuProgramming): RepeatRule {
  const row = ROWS.find(
    ({ sid, applies }) => sid === request[0] && (applies?.(request, programming) ?? true),
  );
  return row?.rule ?? ONCE;
}

/**
 * ISO 14229-1 15.4.5: a block whose answer was lost is sent again with the same counter. After `tries` the ECU must
 * show that it is still in its session; then the limits are `limitMs` and `aliveTries` in total. Another tester that
 * polls the same ECU disturbs about every second block.
 */
export const BLOCK_REPEATS = { tries: 3, aliveTries: 30, limitMs: 30_000 } as const;

/** Disturbed tries in a row after which a block counts as too long for the pauses of another tester. */
export const SPOILED_TRIES = 3;
const SHORTEST_BLOCK_BYTES = 64;

/**
 * The next smaller block: half of `bytes` as a power of two, since some ECUs write whole pages; undefined at the
 * minimum.
 */
export function shorterBlock(bytes: number): number | undefined {
  const half = 2 ** Math.floor(Math.log2(bytes / 2));
  return half >= SHORTEST_BLOCK_BYTES ? half : undefined;
}

/** Pauses before the second try and before all later ones, in addition to the time-out of the lost answer. */
const PAUSES_MS = [50, 250] as const;

export function repeatPauseMs(tries: number): number {
  return itemAt(PAUSES_MS, Math.min(tries, PAUSES_MS.length) - 1);
}

/**
 * Whether it is unknown if the request arrived. An answer to another request counts as lost, too: another tester is
 * active. An ECU that stayed pending has received the request.
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

/** The total time for which a request is repeated while the ECU answers this code; undefined: the code is a refusal. */
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

/** The pause before such a repetition: 50 ms, doubled each time, at most 1 s. */
export function nextBusyPauseMs(before: number | undefined): number {
  return before === undefined ? 50 : Math.min(1000, before * 2);
}

function startsRoutine(request: Uint8Array, routine: number): boolean {
  return request[1] === START && bytesToUint(request.subarray(2, 4)) === routine;
}

/** Whether the routine only reads, computes or compares, and does not change the ECU. */
function isReadingRoutine(request: Uint8Array, programming: EcuProgramming): boolean {
  const { preconditionsRoutine, checkMemoryRoutine, dependenciesRoutine } = programming;
  return [
    Routine.checkProgrammingPreconditions,
    preconditionsRoutine,
    checkMemoryRoutine,
    dependenciesRoutine,
  ].some((routine) => startsRoutine(request, routine));
}
