// Runs one routine of a programming sequence until its status says that it has ended.

import { hexNumber } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { itemAt } from '../core/present.ts';
import { Nrc } from '../uds/nrc.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { type Exchange, type Exchanged, failure, isNotKnown, type Refusal } from './exchange.ts';
import type { Run } from './program-run.ts';
import { type RoutineStep, startRoutine } from './routine-steps.ts';
import { explainRefusal } from './trust-exchange.ts';

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
