// Whether the application of an OpenBLT board runs: by a frame that only it sends, or by a boot loader that has left.

import { hexNumber } from '../../core/bytes.ts';
import { type Clock, sleep } from '../../core/clock.ts';
import { decodeConnected } from '../../xcp/answers.ts';
import { encodeCommand, Resource } from '../../xcp/commands.ts';
import { failure } from '../exchange.ts';
import type { BoardAnswer, BoardExchange } from './board-exchange.ts';

/** Hears frames of one identifier. */
export interface AliveFrames {
  listen(
    frame: { readonly id: number; readonly extended: boolean },
    onFrame: () => void,
  ): { close(): void };
}

const DONE = { ok: true, value: undefined } as const;

/** Behind a reset. Without a frame of the application, a boot loader that does not answer any more has started it. */
export async function awaitApplication(
  board: BoardExchange,
  frames: AliveFrames,
  signal?: AbortSignal,
): Promise<BoardAnswer<void>> {
  const { alive, bootMs } = board.ecu.programming.openblt;
  if (alive !== undefined) {
    const { resetMs } = board.ecu.timing;
    const heard = await nextFrame(board.clock, frames, alive, bootMs + resetMs, signal);
    if (heard === 'heard') return DONE;
    return heard === 'stopped' ? stopped(board) : notAlive(board, bootMs + resetMs);
  }
  if ((await sleep(board.clock, 'boot', bootMs, signal)) === 'aborted') return stopped(board);
  // A running application does not answer, and one CONNECT is over before its boot loader listens.
  const bytes = encodeCommand({ kind: 'connect', mode: 0 }, 'intel');
  const reply = await board.requester.request({ bytes, timer: 'T6', tries: 1 }, signal);
  if (signal?.aborted === true) return stopped(board);
  if (reply.kind === 'transport') {
    const lost = board.interpret(bytes, 'asking whether its boot loader has left', reply, signal);
    return lost.ok ? DONE : lost;
  }
  const connected = reply.kind === 'positive' ? decodeConnected(reply.data) : undefined;
  if (connected !== undefined && (connected.resources & Resource.programming) !== 0) {
    return failure(
      'SELF_TEST',
      `${board.peer}: its boot loader still answers ${bootMs} ms after the reset (${board.field('bootMs')}): it does not accept the ` +
        'new application; check that the file is an application for this boot loader, with its checksum place',
    );
  }
  // The CONNECT has restarted an application that leaves for its boot loader: it is waited for once more.
  return (await sleep(board.clock, 'boot', bootMs, signal)) === 'aborted' ? stopped(board) : DONE;
}

/** For `forMs` the application must send its frame; without a frame in the vehicle file nothing is watched. */
export async function watchApplication(
  board: BoardExchange,
  frames: AliveFrames,
  forMs: number,
  signal?: AbortSignal,
): Promise<BoardAnswer<void>> {
  const { alive } = board.ecu.programming.openblt;
  if (alive === undefined) return DONE;
  const { clock } = board;
  const untilMs = clock.nowMs() + forMs;
  do {
    const heard = await nextFrame(clock, frames, alive, alive.everyMs, signal);
    if (heard === 'stopped') return stopped(board);
    if (heard === 'silent') {
      return {
        ...failure(
          'HEARTBEAT',
          `${board.peer}: its application sends no frame ${hexNumber(alive.id, 3)} within ${alive.everyMs} ms (${board.field('alive')})`,
        ),
      };
    }
  } while (clock.nowMs() < untilMs);
  return DONE;
}

function nextFrame(
  clock: Clock,
  frames: AliveFrames,
  frame: { readonly id: number; readonly extended: boolean },
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<'heard' | 'silent' | 'stopped'> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve('stopped');
    const end = (how: 'heard' | 'silent' | 'stopped'): void => {
      subscription.close();
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
      resolve(how);
    };
    const onAbort = (): void => end('stopped');
    const subscription = frames.listen(frame, () => end('heard'));
    const timer = clock.after('alive', withinMs, () => end('silent'));
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function notAlive(board: BoardExchange, withinMs: number): BoardAnswer<never> {
  const { alive } = board.ecu.programming.openblt;
  return failure(
    'SELF_TEST',
    `${board.peer}: its application sends no frame ${hexNumber(alive?.id ?? 0, 3)} within ${withinMs} ms after the reset ` +
      `(${board.field('alive')}): the new application does not start`,
  );
}

function stopped(board: BoardExchange): BoardAnswer<never> {
  return failure('INTERRUPTED', `${board.peer}: stopped while its restart was waited for`, true);
}
