// The shared data of the steps of one programming sequence, and its routines.

import type { DriverHooks } from '../campaign/ports.ts';
import { hexNumber } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { itemAt, present } from '../core/present.ts';
import type { ImageSource } from '../image/image-source.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import * as transferData from '../uds/services/transfer-data.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { BusSilence } from './bus-silence.ts';
import type { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, isNotKnown, type Refusal } from './exchange.ts';
import type { Layout } from './layout.ts';
import type { SecondBootLoader } from './second-boot-loader.ts';
import { type ProgrammingStep, type RoutineStep, startRoutine } from './sequence.ts';
import { explainRefusal } from './trust-exchange.ts';

export interface ProgramOptions {
  readonly exchange: Exchange;
  readonly silence: BusSilence;
  /** The bytes to transfer. */
  readonly image: ImageSource;
  /** The plain image that the ECU must hold in the end: `image` itself, or the content of the encrypted blob. */
  readonly plain: { readonly length: number; readonly sha256: string };
  readonly encrypted: boolean;
  /** The metadata bundle that the ECU verifies before the erase; undefined: none is sent. */
  readonly metadata: Uint8Array | undefined;
  /** `first-image.json` for an ECU of ours that is not locked; `metadata` is undefined then. */
  readonly firstImage?: Uint8Array;
  readonly runCommand: KeyCommand | undefined;
  /** For an ECU that is programmed by a program in its RAM. */
  readonly secondBootLoader?: SecondBootLoader | undefined;
  readonly hooks: DriverHooks;
  /** Warnings for the result, such as skipped steps. */
  readonly warnings: string[];
  /** Records whether the ECU was changed. */
  readonly fact: ChangeFact;
  /** Whether the bank holds this image, verified before: it may stay when the ECU accepts it with this metadata. */
  readonly held?: boolean;
  /** Runs in the programming session, before the bus is restored (the reset of a single-bank ECU). */
  readonly andThen?: () => Promise<Exchanged<unknown>>;
}

export interface Run extends ProgramOptions {
  readonly layout: Layout;
  /** Over all that was sent, in its order. */
  crc32: number;
  /** Duration of the transfer, set by the download step. */
  transferMs: number;
  /** Bytes that need no transfer; all of them where the ECU already holds the image. */
  spared: number;
  /** Whether the memory check has passed. */
  checked: boolean;
}

/** Whether the ECU does not know a step that may be left out, or knows it in another form. */
export function isSkipped(step: ProgrammingStep, failed: Refusal, run: Run): boolean {
  if (step.policy !== 'try') return false;
  if (!isNotKnown(failed) && failed.nrc !== Nrc.incorrectMessageLengthOrInvalidFormat) return false;
  run.warnings.push(
    `${run.exchange.ecu.name}: ${step.name} skipped, the ECU answered ${nrcText(present(failed.nrc, 'the code of the negative response'))}`,
  );
  return true;
}

/** Starts a routine, and asks for its status until the routine has ended. An answer without a status is a success. */
export async function runRoutine(step: RoutineStep, run: Run): Promise<Exchanged<void>> {
  const { exchange } = run;
  const { signal } = run.hooks;
  const request = startRoutine(step, run);
  if ('problem' in request) {
    return failure(
      'IMAGE_INVALID',
      `${exchange.peer}: no arguments for ${step.doing}: ${request.problem} (its template in the vehicle file)`,
    );
  }
  const ask = (asked: Uint8Array) =>
    exchange.askFor(asked, step.doing, routineControl.decodeResponse, signal, {
      look: () => exchange.isStillProgramming(signal),
    });
  const results = routineControl.encodeRequest(
    routineControl.RoutineControlType.requestRoutineResults,
    step.routine,
  );
  const { offset, done, running, finished, askBy, everyMs } = step.status;
  const { routineLimitMs } = exchange.ecu.timing;
  const beganMs = exchange.clock.nowMs();
  let answer = await ask(request);
  for (let told: number | undefined; ; ) {
    if (!answer.ok) {
      // The ECU does not know 31 03: the status of the first answer counts.
      if (told !== undefined && isNotKnown(answer)) return statusFailure(step, exchange, told);
      return explained(step, answer, run);
    }
    const status = answer.value.data[offset] ?? itemAt(done, 0);
    const isDone = told === undefined ? done.includes(status) : finished.includes(status);
    if (isDone || (told !== undefined && done.includes(status))) {
      return { ok: true, value: undefined };
    }
    if (!running.includes(status)) return statusFailure(step, exchange, status);
    told = status;
    const spentMs = exchange.clock.nowMs() - beganMs;
    if (spentMs >= routineLimitMs) return stillRunning(step, exchange, status, spentMs);
    const pauseMs = Math.min(everyMs, routineLimitMs - spentMs);
    if ((await sleep(exchange.clock, 'routine-results', pauseMs, signal)) === 'aborted') {
      return failure('INTERRUPTED', `${exchange.peer}: stopped while ${step.doing}`, true);
    }
    answer = await ask(askBy === 'results' ? results : request);
  }
}

function explained(step: RoutineStep, answer: Refusal, run: Run): Promise<Refusal> | Refusal {
  const { exchange, metadata } = run;
  const isErase = step.routine === exchange.ecu.programming.eraseRoutine;
  // An ECU that verifies erases for an image that its metadata names, and for nothing else.
  return isErase && metadata !== undefined && answer.nrc === Nrc.conditionsNotCorrect
    ? explainRefusal(exchange, answer, 'an erase by this metadata, which names no image for it')
    : answer;
}

function stillRunning(
  step: RoutineStep,
  exchange: Exchange,
  status: number,
  spentMs: number,
): Refusal {
  return failure(
    'BUSY',
    `${exchange.peer}: ${routineText(step)} still has status ${status} while ${step.doing} after ${Math.round(spentMs)} ms ` +
      `(${exchange.field('timing.routineLimitMs')})`,
    true,
  );
}

function routineText({ routine }: RoutineStep): string {
  return `routine ${hexNumber(routine, 4)}`;
}

function statusFailure(step: RoutineStep, { peer, ecu }: Exchange, status: number): Refusal {
  const profile = ecu.programming;
  const text = `${peer}: status ${status} from ${routineText(step)} while ${step.doing}, expected ${step.status.done.join(' or ')}`;
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

/** The longest write unit that is assumed for an ECU that does not declare one, in bytes. */
const LONGEST_WRITE_UNIT = 1024;

/**
 * The length of a TransferData message: the smaller of the ECU's offer and the limit of the vehicle file. Where the limit
 * shortens the offer, the data stay a multiple of the power of two that divides the offered data: the ECU may write in such
 * units.
 */
export function blockLength(exchange: Exchange, offered: number): number {
  const { programming, memory } = exchange.ecu;
  const limit = programming.maxBlockLength;
  const bytes = Math.min(offered, limit) - transferData.HEADER_LENGTH;
  const unit = Math.max(
    memory.writeUnit,
    offered > limit ? powerOfTwoIn(offered - transferData.HEADER_LENGTH, bytes) : 1,
  );
  // A block that is shorter than the write unit cannot be rounded.
  const whole = bytes >= unit ? bytes - (bytes % unit) : bytes;
  return whole + transferData.HEADER_LENGTH;
}

/** The largest power of two that divides `offered` and is at most `most` and the longest write unit. */
function powerOfTwoIn(offered: number, most: number): number {
  let unit = 1;
  while (unit * 2 <= Math.min(most, LONGEST_WRITE_UNIT) && offered % (unit * 2) === 0) unit *= 2;
  return unit;
}
