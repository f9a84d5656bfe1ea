// RequestDownload: from the beginning, from the end of an interrupted transfer, or not at all.

import { defined } from '../core/optional.ts';
import { itemAt } from '../core/present.ts';
import { Nrc } from '../uds/nrc.ts';
import type { ResumeState } from '../uds/resume-state.ts';
import { type OpenedDownload, openDownload } from './download-request.ts';
import type { Exchanged } from './exchange.ts';
import { readResumeState } from './identification.ts';
import { ImageReader } from './image-reader.ts';
import type { DownloadRange } from './layout.ts';
import { blockLength, isSkipped, type Run } from './program-run.ts';
import { runRoutine } from './routine.ts';
import type { RoutineStep } from './routine-steps.ts';
import type { ProgrammingStep } from './sequence.ts';
import { transfer } from './transfer.ts';
import { explainRefusal } from './trust-exchange.ts';

type DownloadStep = Extract<ProgrammingStep, { kind: 'download' }>;

const ASKING = 'asking for the download';
const DONE = { ok: true, value: undefined } as const;

/** Transfers the image, or the part that the ECU does not hold yet. */
export async function download(step: DownloadStep, run: Run): Promise<Exchanged<void>> {
  const { hooks, layout } = run;
  const { carried } = layout;
  const start = await findStart(step, run);
  if (!start.ok) return start;
  if (start.value.kind === 'held') {
    run.spared = carried;
    run.checked = true;
    // The image now belongs to the new metadata, which is a change.
    run.fact.join('yes');
    hooks.progress?.({ sent: carried, total: carried });
    return DONE;
  }
  if (start.value.kind === 'resume') {
    const { range, state } = start.value;
    const resumed = await openChanging(range, run, state.received);
    if (resumed.ok) return carryRest(resumed.value, start.value, step, run);
    // The ECU refuses to resume; it can still erase the part and take the image from the beginning.
    if (resumed.nrc === undefined) return resumed;
  }
  return carryAll(step, run);
}

async function carryRest(
  { maxBlockLength, startMs }: OpenedDownload,
  { range, reader }: Extract<Start, { kind: 'resume' }>,
  step: DownloadStep,
  run: Run,
): Promise<Exchanged<void>> {
  run.spared = reader.position;
  const sent = await carry({ range, reader, maxBlockLength, sentBefore: 0 }, step, run);
  if (!sent.ok) return sent;
  run.crc32 = sent.value;
  run.transferMs = run.exchange.clock.nowMs() - startMs;
  return DONE;
}

async function carryAll(step: DownloadStep, run: Run): Promise<Exchanged<void>> {
  const { exchange, layout } = run;
  run.spared = 0;
  if (step.eraseWhen === 'before-request-download') {
    // All of it: a sector may hold bytes of two ranges.
    const erased = await eraseNow(step.erase, run);
    if (!erased.ok) return erased;
  }
  const startMs = exchange.clock.nowMs();
  let sentBefore = 0;
  for (const [index, range] of layout.ranges.entries()) {
    const opened = await openChanging(range, run, 0);
    if (!opened.ok) return opened;
    if (step.eraseWhen === 'after-request-download') {
      const isLast = index === layout.ranges.length - 1;
      const erased = await eraseNow(step.erase.slice(index, isLast ? undefined : index + 1), run);
      if (!erased.ok) return erased;
    }
    const reader = new ImageReader(range.source, index === 0 ? undefined : run.crc32);
    const { maxBlockLength } = opened.value;
    const sent = await carry({ range, reader, maxBlockLength, sentBefore }, step, run);
    if (!sent.ok) return sent;
    run.crc32 = sent.value;
    sentBefore += range.source.length;
    const checked = await checkRange(range, reader, step, run);
    if (!checked.ok) return checked;
  }
  run.transferMs = exchange.clock.nowMs() - startMs;
  return DONE;
}

interface Carried {
  readonly range: DownloadRange;
  readonly reader: ImageReader;
  readonly maxBlockLength: number;
  /** Bytes of the ranges before this one. */
  readonly sentBefore: number;
}

/** TransferData and RequestTransferExit of one range. */
async function carry(
  { range, reader, maxBlockLength, sentBefore }: Carried,
  step: DownloadStep,
  run: Run,
): Promise<Exchanged<number>> {
  const { exchange, hooks, layout } = run;
  const total = layout.carried;
  hooks.progress?.({ sent: sentBefore + reader.position, total });
  const sent = await transfer({
    exchange,
    source: range.source,
    reader,
    maxBlockLength: blockLength(exchange, maxBlockLength),
    doing: step.doing,
    ...defined({ signal: hooks.signal }),
    progress: (bytes) => hooks.progress?.({ sent: sentBefore + bytes, total }),
  });
  if (sent.ok || !run.encrypted || sent.nrc !== Nrc.generalProgrammingFailure) return sent;
  // The NRC is the same for a block that cannot be decrypted and for a flash cell that cannot be written.
  const explained = await explainRefusal(exchange, sent, 'the encrypted image');
  return explained.attack === undefined ? sent : explained;
}

async function checkRange(
  range: DownloadRange,
  reader: ImageReader,
  { check }: DownloadStep,
  run: Run,
): Promise<Exchanged<void>> {
  if (check === undefined || run.exchange.ecu.programming.checkMemoryWhen === 'once') return DONE;
  const own = check.forRange(range);
  const checked = await runRoutine(own, { ...run, crc32: reader.crc32 });
  return checked.ok || !isSkipped(own, checked, run) ? checked : DONE;
}

async function eraseNow(steps: readonly RoutineStep[], run: Run): Promise<Exchanged<void>> {
  for (const step of steps) {
    const erased = await run.fact.by(step.doing, () => runRoutine(step, run));
    if (!erased.ok && !isSkipped(step, erased, run)) return erased;
  }
  return DONE;
}

type Start =
  | { readonly kind: 'anew' }
  /** The ECU holds the first bytes durably; the reader is positioned after them. */
  | {
      readonly kind: 'resume';
      readonly state: ResumeState;
      readonly range: DownloadRange;
      readonly reader: ImageReader;
    }
  | { readonly kind: 'held' };
const ANEW: Exchanged<Start> = { ok: true, value: { kind: 'anew' } };

/** Finds what the ECU holds of this image, after it has accepted the metadata. */
async function findStart(step: DownloadStep, run: Run): Promise<Exchanged<Start>> {
  const { exchange, hooks, plain, image, layout } = run;
  if (run.held === true && step.check !== undefined) {
    const checked = await runRoutine(step.check, run);
    if (checked.ok) return { ok: true, value: { kind: 'held' } };
    // Only an answer of the ECU makes the transfer start from the beginning; silence does not.
    return checked.nrc === undefined && checked.code !== 'DIGEST_MISMATCH' ? checked : ANEW;
  }
  const range = itemAt(layout.ranges, 0);
  // In an ECU of another make the DID can have another meaning.
  if (exchange.ecu.programming.metadata === 'skip' || layout.ranges.length > 1) return ANEW;
  const state = await readResumeState(exchange, hooks.signal);
  if (!state.ok) return state;
  const found = state.value;
  if (found === undefined || found.sha256 !== plain.sha256 || found.total !== plain.length) {
    return ANEW;
  }
  if (found.carried >= image.length) return ANEW;
  // The same image may have been encrypted again since then, with other bytes.
  const reader = new ImageReader(image);
  const same = (await reader.skip(found.carried)) && reader.crc32 === found.crc32;
  return same ? { ok: true, value: { kind: 'resume', state: found, range, reader } } : ANEW;
}

/** The request may erase: whether it was carried out decides whether the ECU was changed. */
function openChanging(range: DownloadRange, run: Run, received: number) {
  return run.fact.by(ASKING, () => openDownload(range, run, ASKING, received));
}
