// The shared data of the steps of one programming sequence, and its routines.

import type { DriverHooks } from '../campaign/ports.ts';
import { present } from '../core/present.ts';
import type { ImageSource } from '../image/image-source.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { BusSilence } from './bus-silence.ts';
import type { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, isNotKnown, type Refusal } from './exchange.ts';
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
  readonly fingerprint: Uint8Array;
  readonly runCommand: KeyCommand | undefined;
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
  crc32: number;
  /** Duration of the transfer, set by the download step. */
  transferMs: number;
  /** Bytes of `image` that need no transfer; all of them where the ECU already holds the image. */
  spared: number;
  /** Whether the memory check has passed. */
  checked: boolean;
}

/** Whether the ECU does not know a step that may be left out. */
export function isSkipped(step: ProgrammingStep, failed: Refusal, run: Run): boolean {
  if (step.policy !== 'try' || !isNotKnown(failed)) return false;
  run.warnings.push(
    `${run.exchange.ecu.name}: ${step.name} skipped, the ECU answered ${nrcText(present(failed.nrc, 'the code of the negative response'))}`,
  );
  return true;
}

/** Runs a routine. Our routines answer one status byte, 0 for success; an ECU of another make may answer none. */
export async function runRoutine(step: RoutineStep, run: Run): Promise<Exchanged<void>> {
  const { exchange } = run;
  const request = startRoutine(step, run.crc32);
  const answer = await exchange.askFor(
    request,
    step.doing,
    routineControl.decodeResponse,
    run.hooks.signal,
    { look: () => exchange.isStillProgramming(run.hooks.signal) },
  );
  if (!answer.ok) {
    const isErase = step.routine === exchange.ecu.programming.eraseRoutine;
    // An ECU that verifies erases only for an image that its metadata names.
    return isErase && run.metadata !== undefined && answer.nrc === Nrc.conditionsNotCorrect
      ? explainRefusal(exchange, answer, 'an erase by this metadata, which names no image for it')
      : answer;
  }
  const status = answer.value.data[0] ?? 0;
  if (status === 0) return { ok: true, value: undefined };
  return statusFailure(step, exchange.peer, status, exchange.ecu.programming);
}

function statusFailure(
  step: RoutineStep,
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

/** The block length: the smaller of the ECU's offer and the limit of the vehicle file. */
export function blockLength(exchange: Exchange, offered: number): number {
  return Math.min(offered, exchange.ecu.programming.maxBlockLength);
}
