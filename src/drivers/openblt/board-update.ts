// One update of an OpenBLT board: connect, unlock, clear, program, read back, restart, see the application, keep the record.

import type { DriverHooks, Target, TransferReport } from '../../campaign/ports.ts';
import { hexNumber } from '../../core/bytes.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import type { KeyCommand } from '../../vehicle/security/algorithm.ts';
import { CAN_CTO } from '../../xcp/commands.ts';
import type { ChangeFact } from '../change-fact.ts';
import { wanted } from '../image-reader.ts';
import type { Layout } from '../layout.ts';
import { type AliveFrames, awaitApplication } from './application.ts';
import type { BoardAnswer, BoardExchange } from './board-exchange.ts';
import { clearBoard, readBoardBack, writeBoard } from './board-program.ts';
import type { BoardNote, BoardRecord } from './board-record.ts';
import { connectBoard, resetBoard, startProgramming, unlockBoard } from './board-session.ts';

export interface BoardUpdate {
  readonly board: BoardExchange;
  readonly record: BoardRecord;
  readonly layout: Layout;
  readonly target: Target;
  readonly hooks: DriverHooks;
  readonly warnings: string[];
  readonly fact: ChangeFact;
  readonly frames: AliveFrames;
  readonly runCommand: KeyCommand | undefined;
  /** How long CONNECT is repeated; missing: as the vehicle file says. */
  readonly waitMs: number | undefined;
}

/** The record is marked before the first byte changes, and holds the image when the application was seen. */
export async function updateBoard(update: BoardUpdate): Promise<BoardAnswer<TransferReport>> {
  const { board, record, layout, target, hooks, warnings, fact } = update;
  const { signal, progress } = hooks;
  const connected = await connectBoard(board, { waitMs: update.waitMs, signal });
  if (!connected.ok) return connected;
  const longest = Math.min(connected.value.maxCto, CAN_CTO);
  const unlocked = await unlockBoard(board, longest, update.runCommand, signal);
  if (!unlocked.ok) return unlocked;
  const started = await startProgramming(board, longest, signal);
  if (!started.ok) return started;
  const startMs = board.clock.nowMs();
  const { sha256 } = wanted(target);
  const about = { sha256, version: target.version ?? null, campaign: target.campaign };
  const options = { board, layout, maxCto: started.value, signal, progress };
  const cleared = await fact.by('erasing its flash', async () => {
    await record.set({ ...about, state: 'writing', readBack: false });
    return clearBoard(options);
  });
  if (!cleared.ok) return cleared;
  const written = await writeBoard(options);
  if (!written.ok) return written;
  const transferMs = board.clock.nowMs() - startMs;
  const read = await readBoardBack(options);
  if (!read.ok) return read;
  const { compared, word } = read.value;
  if (word !== undefined) {
    const place = `${hexNumber(word, 8)} (${board.field('checksum')})`;
    warnings.push(
      `${board.ecu.name}: the word at ${place} differs from the image and counts as the checksum of its boot loader`,
    );
  }
  const reset = await resetBoard(board, signal);
  if (!reset.ok) return reset;
  const runs = await awaitApplication(board, update.frames, signal);
  if (!runs.ok) return runs;
  await record.set({ ...about, state: 'written', readBack: compared });
  const report = { bytes: layout.carried, transferMs, changed: fact.value, held: false };
  return { ok: true, value: report };
}

/** What the statement about the running software rests on. */
export function evidenceText(
  { programming: { openblt } }: VehicleEcu,
  { readBack }: BoardNote,
): string {
  const bytes = readBack
    ? 'all its bytes were read back and compared'
    : 'its bytes were acknowledged and not read back';
  const runs =
    openblt.alive === undefined
      ? 'its boot loader has left for the application, which nothing else shows (programming.openblt.alive)'
      : 'its application sends its frame';
  return `it tells no version; ${bytes}, and ${runs}`;
}
