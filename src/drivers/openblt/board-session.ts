// Reaches the boot loader of an OpenBLT board and prepares it for programming: CONNECT, unlock, PROGRAM_START; and its end.

import { concatBytes, hexNumber } from '../../core/bytes.ts';
import { sleep } from '../../core/clock.ts';
import { defined } from '../../core/optional.ts';
import type { KeyCommand } from '../../vehicle/security/algorithm.ts';
import { keyFromSeed } from '../../vehicle/security/all.ts';
import {
  type Connected,
  decodeConnected,
  decodeProgramStarted,
  decodeSeedPart,
  decodeStatus,
  decodeUnlocked,
} from '../../xcp/answers.ts';
import { encodeCommand, Resource } from '../../xcp/commands.ts';
import { failure } from '../exchange.ts';
import type { BoardAnswer, BoardExchange } from './board-exchange.ts';

const DONE = { ok: true, value: undefined } as const;
/** OpenBLT's seeds have 6 bytes at most; XCP allows 255. */
const MOST_SEED_PARTS = 64;

export interface BoardWait {
  /** How long CONNECT is repeated; missing: as the vehicle file says. */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Repeats CONNECT every T6 until the boot loader answers: it listens for half a second after power-on by default. */
export async function connectBoard(
  board: BoardExchange,
  { waitMs: given, signal }: BoardWait = {},
): Promise<BoardAnswer<Connected>> {
  const { clock, requester, ecu } = board;
  const { waitForPowerOnMs, timing } = ecu.programming.openblt;
  const waitMs = given ?? waitForPowerOnMs;
  const bytes = encodeCommand({ kind: 'connect', mode: 0 }, 'intel');
  const beganMs = clock.nowMs();
  for (let tries = 1; ; tries++) {
    const reply = await requester.request({ bytes, timer: 'T6', tries: 1 }, signal);
    if (reply.kind === 'positive') {
      const connected = decodeConnected(reply.data);
      // Anything shorter is the late answer to another command.
      if (connected !== undefined) return begun(board, connected, tries > 1, signal);
    }
    if (signal?.aborted === true) return board.stopped('CONNECT');
    if (reply.kind === 'transport') {
      const lost = board.interpret(bytes, 'connecting', reply, signal);
      if (!lost.ok) return lost;
    }
    const waitedMs = clock.nowMs() - beganMs;
    if (waitedMs >= waitMs) return notReached(board, waitedMs, tries);
    if (reply.kind !== 'silent') await sleep(clock, 'T6', timing.t6Ms, signal);
  }
}

function notReached(board: BoardExchange, waitedMs: number, tries: number): BoardAnswer<never> {
  return failure(
    'SILENT',
    `${board.peer}: no answer to CONNECT in ${Math.round(waitedMs)} ms (${board.field('waitForPowerOnMs')}, sent ${tries} times): ` +
      'a boot loader listens only shortly after power-on, so switch the board off and on while this runs; ' +
      board.advise('silent'),
    true,
  );
}

/** Behind a repeated CONNECT a second answer may be on its way: SYNCH takes it out. */
async function begun(
  board: BoardExchange,
  connected: Connected,
  isRepeated: boolean,
  signal: AbortSignal | undefined,
): Promise<BoardAnswer<Connected>> {
  const { byteOrder, addressGranularity, resources, protocolVersion } = connected;
  board.byteOrder = byteOrder;
  if (isRepeated) {
    const synched = await board.ask({ kind: 'synch' }, 'connecting', { signal });
    if (!synched.ok) return synched;
  }
  if (protocolVersion !== 1) {
    return failure('REFUSED', `${board.peer} speaks XCP ${protocolVersion}, expected version 1`);
  }
  if (addressGranularity !== 1) {
    return failure(
      'REFUSED',
      `${board.peer} has addresses of ${addressGranularity} bytes each, expected single bytes`,
    );
  }
  if ((resources & Resource.programming) === 0) {
    return failure(
      'PRECONDITION',
      `${board.peer} answers CONNECT, but offers no programming (resources ${hexNumber(resources, 2)}): an application with XCP of its own ` +
        'answers; switch the board off and on while CONNECT is repeated',
      true,
    );
  }
  return { ok: true, value: connected };
}

/** Unlocks programming where it is locked, by `security` of the vehicle file. */
export async function unlockBoard(
  board: BoardExchange,
  maxCto: number,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
): Promise<BoardAnswer<void>> {
  const doing = 'asking for its locks';
  const status = await board.askFor({ kind: 'get-status' }, doing, decodeStatus, { signal });
  if (!status.ok) return status;
  if ((status.value.locked & Resource.programming) === 0) return DONE;
  const { security } = board.ecu;
  if (security.algorithm === 'none') {
    return failure(
      'SECURITY',
      `${board.peer} is locked, and there is no key for it; ${board.advise('security')}`,
    );
  }
  const seed = await askSeed(board, maxCto, signal);
  if (!seed.ok) return seed;
  if (seed.value.length === 0) return DONE;
  const made = await keyFromSeed(security, seed.value, defined({ runCommand }));
  if (made.key === undefined) {
    const why = made.reason ?? board.advise('no-key');
    return failure('SECURITY', `${board.peer}: no key for its seed: ${why}`);
  }
  return sendKey(board, made.key, maxCto, signal);
}

async function askSeed(
  board: BoardExchange,
  maxCto: number,
  signal: AbortSignal | undefined,
): Promise<BoardAnswer<Uint8Array>> {
  const parts: Uint8Array[] = [];
  for (let index = 0; index < MOST_SEED_PARTS; index++) {
    const answer = await board.askFor(
      { kind: 'get-seed', mode: index === 0 ? 0 : 1, resource: Resource.programming },
      'asking for its seed',
      (bytes) => decodeSeedPart(bytes, maxCto),
      // Another part would follow a repeat.
      { signal, tries: index === 0 ? 3 : 1 },
    );
    if (!answer.ok) return answer;
    const { remaining, part } = answer.value;
    parts.push(part);
    if (remaining <= part.length) return { ok: true, value: concatBytes(...parts) };
  }
  return failure('MALFORMED', `${board.peer}: its seed does not end`);
}

async function sendKey(
  board: BoardExchange,
  key: Uint8Array,
  maxCto: number,
  signal: AbortSignal | undefined,
): Promise<BoardAnswer<void>> {
  for (let at = 0; at < key.length; at += maxCto - 2) {
    const part = key.subarray(at, at + maxCto - 2);
    const answer = await board.askFor(
      { kind: 'unlock', remaining: key.length - at, part },
      'unlocking it',
      decodeUnlocked,
      { signal, tries: 1 },
    );
    if (!answer.ok) return answer;
    const isLast = at + part.length >= key.length;
    if (isLast && (answer.value.locked & Resource.programming) !== 0) {
      return failure('SECURITY', `${board.peer} is still locked; ${board.advise('security')}`);
    }
  }
  return DONE;
}

/** The value is MAX_CTO while programming. */
export async function startProgramming(
  board: BoardExchange,
  maxCto: number,
  signal?: AbortSignal,
): Promise<BoardAnswer<number>> {
  const doing = 'starting the programming';
  const started = await board.askFor({ kind: 'program-start' }, doing, decodeProgramStarted, {
    signal,
  });
  if (!started.ok) return started;
  // MAX_CTO_PGM; 0 stands for no other length.
  const told = started.value.maxCto === 0 ? maxCto : started.value.maxCto;
  return { ok: true, value: Math.min(told, maxCto) };
}

/** Restarts the board. It need not answer, because it restarts at once. */
export async function resetBoard(
  board: BoardExchange,
  signal?: AbortSignal,
): Promise<BoardAnswer<void>> {
  const reset = await board.ask({ kind: 'program-reset' }, 'restarting it', { signal, tries: 1 });
  return reset.ok || reset.code === 'SILENT' ? DONE : reset;
}
