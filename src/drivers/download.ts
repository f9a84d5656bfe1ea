// RequestDownload: from the beginning, from the end of an interrupted transfer, or not at all.

import { defined } from '../core/optional.ts';
import { Nrc } from '../uds/nrc.ts';
import type { ResumeState } from '../uds/resume-state.ts';
import * as requestDownload from '../uds/services/request-download.ts';
import type { Exchanged } from './exchange.ts';
import { readResumeState } from './identification.ts';
import { ImageReader } from './image-reader.ts';
import { blockLength, isSkipped, type Run, runRoutine } from './program-run.ts';
import { downloadRequest, type ProgrammingStep } from './sequence.ts';
import { transfer } from './transfer.ts';
import { explainRefusal } from './trust-exchange.ts';

type DownloadStep = Extract<ProgrammingStep, { kind: 'download' }>;

const DONE = { ok: true, value: undefined } as const;

/** Transfers the image, or the part that the ECU does not hold yet. */
export async function download(step: DownloadStep, run: Run): Promise<Exchanged<void>> {
  const { exchange, hooks, image } = run;
  const start = await findStart(step, run);
  if (!start.ok) return start;
  if (start.value.kind === 'held') {
    run.spared = image.length;
    run.checked = true;
    // The image now belongs to the new metadata, which is a change.
    run.fact.join('yes');
    hooks.progress?.({ sent: image.length, total: image.length });
    return DONE;
  }
  const opened = await open(start.value, step, run);
  if (!opened.ok) return opened;
  const { startMs, reader } = opened.value;
  run.spared = reader.position;
  hooks.progress?.({ sent: reader.position, total: image.length });
  const sent = await transfer({
    exchange,
    source: image,
    reader,
    maxBlockLength: blockLength(exchange, opened.value.maxBlockLength),
    doing: step.doing,
    ...defined({ signal: hooks.signal }),
    progress: (bytes) => hooks.progress?.({ sent: bytes, total: image.length }),
  });
  if (!sent.ok) {
    // The NRC is the same for a block that cannot be decrypted and for a flash cell that cannot be written.
    if (!run.encrypted || sent.nrc !== Nrc.generalProgrammingFailure) return sent;
    const explained = await explainRefusal(exchange, sent, 'the encrypted image');
    return explained.attack === undefined ? sent : explained;
  }
  run.crc32 = sent.value;
  run.transferMs = exchange.clock.nowMs() - startMs;
  return { ok: true, value: undefined };
}

type Start =
  | { readonly kind: 'anew' }
  /** The ECU holds the first bytes durably; the reader is positioned after them. */
  | { readonly kind: 'resume'; readonly state: ResumeState; readonly reader: ImageReader }
  | { readonly kind: 'held' };
const ANEW: Exchanged<Start> = { ok: true, value: { kind: 'anew' } };

/** Finds what the ECU holds of this image, after it has accepted the metadata. */
async function findStart(step: DownloadStep, run: Run): Promise<Exchanged<Start>> {
  const { exchange, hooks, plain, image } = run;
  if (run.held === true && step.check !== undefined) {
    const checked = await runRoutine(step.check, run);
    if (checked.ok) return { ok: true, value: { kind: 'held' } };
    // Only an answer of the ECU makes the transfer start from the beginning; silence does not.
    return checked.nrc === undefined && checked.code !== 'DIGEST_MISMATCH' ? checked : ANEW;
  }
  // In an ECU of another make the DID can have another meaning.
  if (exchange.ecu.programming.metadata === 'skip') return ANEW;
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
  return same ? { ok: true, value: { kind: 'resume', state: found, reader } } : ANEW;
}

async function open(
  start: Exclude<Start, { kind: 'held' }>,
  step: DownloadStep,
  run: Run,
): Promise<Exchanged<Opened>> {
  if (start.kind === 'anew') return openAnew(step, run);
  const resumed = await openResumed(start, run);
  // The ECU refuses to resume; it can still erase the part and take the image from the beginning.
  return resumed.ok || resumed.nrc === undefined ? resumed : openAnew(step, run);
}

interface Opened {
  readonly maxBlockLength: number;
  readonly reader: ImageReader;
  readonly startMs: number;
}

async function openAnew(step: DownloadStep, run: Run): Promise<Exchanged<Opened>> {
  const { exchange, image } = run;
  const { erase } = step;
  const eraseNow = async (): Promise<Exchanged<void>> => {
    if (erase === undefined) return DONE;
    const erased = await run.fact.by(erase.doing, () => runRoutine(erase, run));
    return erased.ok || !isSkipped(erase, erased, run) ? erased : DONE;
  };
  if (step.eraseWhen === 'before-request-download') {
    const erased = await eraseNow();
    if (!erased.ok) return erased;
  }
  const startMs = exchange.clock.nowMs();
  const accepted = await askForDownload(run, 0);
  if (!accepted.ok) return accepted;
  if (step.eraseWhen === 'after-request-download') {
    const erased = await eraseNow();
    if (!erased.ok) return erased;
  }
  const { maxBlockLength } = accepted.value;
  return { ok: true, value: { maxBlockLength, reader: new ImageReader(image), startMs } };
}

async function openResumed(
  { state, reader }: Extract<Start, { kind: 'resume' }>,
  run: Run,
): Promise<Exchanged<Opened>> {
  const startMs = run.exchange.clock.nowMs();
  const accepted = await askForDownload(run, state.received);
  if (!accepted.ok) return accepted;
  return { ok: true, value: { maxBlockLength: accepted.value.maxBlockLength, reader, startMs } };
}

async function askForDownload(run: Run, received: number) {
  const { exchange, plain, encrypted, hooks, fact } = run;
  const doing = 'asking for the download';
  return fact.by(doing, () =>
    exchange.askFor(
      downloadRequest(exchange.ecu, plain.length, encrypted, received),
      doing,
      requestDownload.decodeResponse,
      hooks.signal,
      { look: () => exchange.isStillProgramming(hooks.signal) },
    ),
  );
}
