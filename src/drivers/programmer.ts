// Runs the programming sequence on one ECU, and leaves the bus as it was found whatever happens.

import type { DriverHooks, ImageSource, TransferReport } from '../campaign/ports.ts';
import { assertNever } from '../core/errors.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as requestDownload from '../uds/services/request-download.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Session } from '../uds/sid.ts';
import type { BusSilence } from './bus-silence.ts';
import { type Exchange, type Exchanged, failure, isNotKnown, type Refusal } from './exchange.ts';
import type { KeyCommand } from './security-key.ts';
import { type ProgrammingStep, programmingSequence, startRoutine } from './sequence.ts';
import { transfer } from './transfer.ts';
import { explainRefusal } from './trust-exchange.ts';
import { unlock } from './unlock.ts';

export interface ProgramOptions {
  readonly exchange: Exchange;
  readonly silence: BusSilence;
  /** What travels over the bus. */
  readonly image: ImageSource;
  /** What the ECU must end up with: the image itself, or what is inside of the encrypted blob. */
  readonly plain: { readonly length: number; readonly sha256: string };
  readonly encrypted: boolean;
  /** The bundle that the ECU verifies before the erase; undefined: none is sent. */
  readonly metadata: Uint8Array | undefined;
  readonly fingerprint: Uint8Array;
  readonly runCommand: KeyCommand | undefined;
  readonly hooks: DriverHooks;
  /** What was skipped or did not matter; for the result. */
  readonly warnings: string[];
  /** Runs in the programming session, before the bus is restored (the reset of a single-bank ECU). */
  readonly andThen?: () => Promise<Exchanged<void>>;
}

/** An ECU that is still erasing must not keep a process that was told to stop: its session ends by S3 anyway. */
const RESTORE_PENDING_MS = 500;

interface Run extends ProgramOptions {
  crc32: number;
  /** Set by the download step. */
  transferMs: number;
}

/** From the extended session to the checked dependencies. */
export async function program(options: ProgramOptions): Promise<Exchanged<TransferReport>> {
  const { exchange, image, plain, encrypted, metadata, fingerprint, silence } = options;
  const run: Run = { ...options, crc32: 0, transferMs: 0 };
  const { ecu } = exchange;
  const steps = programmingSequence({ ecu, image: plain, encrypted, metadata, fingerprint });
  let quiet = false;
  exchange.keepAlive(true);
  try {
    for (const step of steps) {
      if (step.kind === 'silence') {
        quiet = true;
        await silence.acquire((request) => exchange.broadcast(request), exchange.ecu.programming);
        continue;
      }
      const done = await perform(step, run);
      if (done.ok) continue;
      if (step.policy === 'try' && isNotKnown(done)) {
        options.warnings.push(
          `${exchange.ecu.name}: ${step.name} skipped, the ECU answered ${nrcText(done.nrc!)}`,
        );
        continue;
      }
      return done;
    }
    const after = (await options.andThen?.()) ?? { ok: true };
    if (!after.ok) return after;
    return { ok: true, value: { bytes: image.length, transferMs: run.transferMs } };
  } finally {
    exchange.keepAlive(false);
    await restore(options, quiet);
  }
}

/** Normal communication and trouble codes on again, default session: also after a failure or an interruption. */
async function restore(options: ProgramOptions, quiet: boolean): Promise<void> {
  const { exchange, silence, warnings } = options;
  if (quiet) await silence.release((request) => exchange.broadcast(request));
  // Not every ECU answers here: leaving the programming session may restart it. The signal does not stop this.
  const request = diagnosticSessionControl.encodeRequest(Session.default);
  const reply = await exchange.reply(request, undefined, RESTORE_PENDING_MS);
  const left = exchange.judge(request, 'leaving the programming session', reply);
  if (!left.ok && left.code !== 'BUS') warnings.push(left.reason);
}

async function perform(
  step: Exclude<ProgrammingStep, { kind: 'silence' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange } = run;
  const { signal } = run.hooks;
  switch (step.kind) {
    case 'request': {
      const answer = await exchange.ask(step.request, step.doing, signal);
      return answer.ok ? { ok: true, value: undefined } : answer;
    }
    case 'routine':
      return runRoutine(step, run);
    case 'security':
      return unlock(exchange, run.runCommand, signal);
    case 'metadata':
      return sendMetadata(step, run);
    case 'download':
      return download(step, run);
    default:
      return assertNever(step);
  }
}

/** Status record of our routines: one byte, 0 when all is well. ECUs of others may answer none. */
async function runRoutine(
  step: Extract<ProgrammingStep, { kind: 'routine' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange } = run;
  const request = startRoutine(step, run.crc32);
  const answer = await exchange.askFor(
    request,
    step.doing,
    routineControl.decodeResponse,
    run.hooks.signal,
  );
  if (!answer.ok) {
    const isErase = step.routine === exchange.ecu.programming.eraseRoutine;
    // An ECU that verifies erases for an image that its metadata names, and for nothing else.
    return isErase && run.metadata !== undefined && answer.nrc === Nrc.conditionsNotCorrect
      ? explainRefusal(exchange, answer, 'an erase by this metadata, which names no image for it')
      : answer;
  }
  const status = answer.value.data[0] ?? 0;
  if (status === 0) return { ok: true, value: undefined };
  return statusFailure(step, exchange.peer, status, exchange.ecu.programming);
}

function statusFailure(
  step: Extract<ProgrammingStep, { kind: 'routine' }>,
  peer: string,
  status: number,
  profile: Exchange['ecu']['programming'],
): Refusal {
  const text = `${peer}: status ${status} from routine 0x${step.routine.toString(16).toUpperCase().padStart(4, '0')} while ${step.doing}, expected 0`;
  switch (step.routine) {
    case profile.preconditionsRoutine:
      return failure(
        'PRECONDITION',
        `${text}; an image on trial must be confirmed or rolled back first`,
      );
    case profile.checkMemoryRoutine:
      return failure(
        'DIGEST_MISMATCH',
        `${text}: the image in its memory is not the one that was sent`,
        true,
      );
    default:
      return failure('REFUSED', text);
  }
}

async function sendMetadata(
  step: Extract<ProgrammingStep, { kind: 'metadata' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange, hooks } = run;
  const opened = await exchange.askFor(
    step.request,
    step.doing,
    requestFileTransfer.decodeResponse,
    hooks.signal,
  );
  if (!opened.ok) return opened;
  if (opened.value.mode !== 'addFile') {
    return exchange.malformed(step.request, step.doing, `mode ${opened.value.mode}`);
  }
  const sent = await transfer({
    exchange,
    source: {
      length: step.file.length,
      sha256: '',
      read: async (offset, length) => step.file.subarray(offset, offset + length),
    },
    maxBlockLength: blockLength(exchange, opened.value.maxBlockLength),
    doing: step.doing,
    ...(hooks.signal === undefined ? {} : { signal: hooks.signal }),
  });
  if (sent.ok) return { ok: true, value: undefined };
  return sent.code === 'REFUSED' ? explainRefusal(exchange, sent, 'the signed metadata') : sent;
}

async function download(
  step: Extract<ProgrammingStep, { kind: 'download' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange, hooks, image } = run;
  const startMs = exchange.clock.nowMs();
  const accepted = await exchange.askFor(
    step.request,
    'asking for the download',
    requestDownload.decodeResponse,
    hooks.signal,
  );
  if (!accepted.ok) return accepted;
  if (step.erase !== undefined) {
    const erased = await runRoutine(step.erase, run);
    if (!erased.ok && !(step.erase.policy === 'try' && isNotKnown(erased))) return erased;
    if (!erased.ok) run.warnings.push(`${exchange.ecu.name}: ${step.erase.name} skipped`);
  }
  hooks.progress?.({ sent: 0, total: image.length });
  const sent = await transfer({
    exchange,
    source: image,
    maxBlockLength: blockLength(exchange, accepted.value.maxBlockLength),
    doing: step.doing,
    ...(hooks.signal === undefined ? {} : { signal: hooks.signal }),
    progress: (bytes) => hooks.progress?.({ sent: bytes, total: image.length }),
  });
  if (!sent.ok) {
    // A block that does not decrypt is told by the same NRC as a flash cell that does not take it.
    if (!run.encrypted || sent.nrc !== Nrc.generalProgrammingFailure) return sent;
    const explained = await explainRefusal(exchange, sent, 'the encrypted image');
    return explained.attack === undefined ? sent : explained;
  }
  run.crc32 = sent.value;
  run.transferMs = exchange.clock.nowMs() - startMs;
  return { ok: true, value: undefined };
}

function blockLength(exchange: Exchange, offered: number): number {
  return Math.min(offered, exchange.ecu.programming.maxBlockLength);
}
