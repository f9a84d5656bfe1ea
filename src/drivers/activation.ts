// Switching an ECU between its banks, and waiting for it after a reset.

import { sleep } from '../core/clock.ts';
import type { BootState } from '../uds/boot-state.ts';
import * as ecuReset from '../uds/services/ecu-reset.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Did, Routine, Session } from '../uds/sid.ts';
import { type Exchange, type Exchanged, failure } from './exchange.ts';
import { readBootState, readDid, readDigest } from './identification.ts';
import type { KeyCommand } from './security-key.ts';
import { enterSession, unlock } from './unlock.ts';

/** How often a restarting ECU is asked whether it is back. */
const POLL_MS = 100;

/** What a two-bank ECU holds. */
export interface Banks {
  readonly state: BootState;
  /** Undefined while nothing can be booted. */
  readonly active: string | undefined;
  /** Undefined unless the inactive bank holds a verified image. */
  readonly inactive: string | undefined;
}

export async function readBanks(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<Banks>> {
  const state = await readBootState(exchange, signal);
  if (!state.ok) return state;
  if (state.value === undefined) {
    return failure(
      'REFUSED',
      `${exchange.peer} does not know DID FD00 (boot state): set programming.activation to "reset" in the ` +
        'vehicle file, or use the profile "standard"',
    );
  }
  const active = await readDigest(exchange, Did.activeBankDigest, signal);
  if (!active.ok) return active;
  const inactive: Exchanged<string | undefined> =
    state.value.inactive === 'valid'
      ? await readDigest(exchange, Did.inactiveBankDigest, signal)
      : { ok: true, value: undefined };
  if (!inactive.ok) return inactive;
  return {
    ok: true,
    value: { state: state.value, active: active.value, inactive: inactive.value },
  };
}

/** Runs one bank routine in the extended session, unlocked; the ECU stays in that session. */
export async function bankRoutine(
  exchange: Exchange,
  routine: number,
  doing: string,
  option: Uint8Array,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  const entered = await enterSession(exchange, Session.extended, signal);
  if (!entered.ok) return entered;
  const unlocked = await unlock(exchange, runCommand, signal);
  if (!unlocked.ok) return unlocked;
  const request = routineControl.encodeRequest(
    routineControl.RoutineControlType.startRoutine,
    routine,
    option,
  );
  const answer = await exchange.askFor(request, doing, routineControl.decodeResponse, signal);
  if (!answer.ok) return answer;
  const status = answer.value.data[0] ?? 0;
  if (status === 0) return { ok: true, value: undefined };
  return failure('REFUSED', `${exchange.peer}: status ${status} while ${doing}, expected 0`);
}

/**
 * Results of confirmBank before it was started: one byte, 0 when the self test of the running image has passed. True
 * for an ECU that does not tell: it tells by refusing to confirm.
 */
export async function selfTestPassed(
  exchange: Exchange,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
): Promise<Exchanged<boolean>> {
  const entered = await enterSession(exchange, Session.extended, signal);
  if (!entered.ok) return entered;
  const unlocked = await unlock(exchange, runCommand, signal);
  if (!unlocked.ok) return unlocked;
  const request = routineControl.encodeRequest(
    routineControl.RoutineControlType.requestRoutineResults,
    Routine.confirmBank,
  );
  const doing = 'asking for its self test';
  const answer = await exchange.askFor(request, doing, routineControl.decodeResponse, signal);
  if (answer.ok) return { ok: true, value: (answer.value.data[0] ?? 0) === 0 };
  return answer.nrc === undefined ? answer : { ok: true, value: true };
}

/** ECUReset. The answer may be lost to the reset itself, which is no failure. */
export async function reset(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<void>> {
  const answer = await exchange.ask(
    ecuReset.encodeRequest(ecuReset.ResetType.hardReset),
    'restarting it',
    signal,
  );
  if (answer.ok || answer.code === 'SILENT' || answer.code === 'TRANSPORT') {
    return { ok: true, value: undefined };
  }
  return answer;
}

/** Waits until the ECU answers again; `timing.resetMs` of the vehicle file is the limit. */
export async function awaitBack(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  return untilBack(exchange, signal, async () => {
    const session = await readDid(
      exchange,
      Did.activeDiagnosticSession,
      'waiting for its restart',
      signal,
    );
    return session.ok ? { ok: true, value: true } : session;
  });
}

/** Waits until the ECU has restarted and taken its decision: no switch is pending any more. */
export async function awaitBoot(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  return untilBack(exchange, signal, async () => {
    const state = await readBootState(exchange, signal);
    // Between the answer to 11 and the reset itself the old software may still answer.
    return state.ok ? { ok: true, value: state.value?.activationPending !== true } : state;
  });
}

async function untilBack(
  exchange: Exchange,
  signal: AbortSignal | undefined,
  isBack: () => Promise<Exchanged<boolean>>,
): Promise<Exchanged<void>> {
  const { resetMs } = exchange.ecu.timing;
  const deadlineMs = exchange.clock.nowMs() + resetMs;
  for (;;) {
    if ((await sleep(exchange.clock, 'reset-poll', POLL_MS, signal)) === 'aborted') {
      return failure(
        'INTERRUPTED',
        `${exchange.peer}: stopped while waiting for its restart`,
        true,
      );
    }
    const back = await isBack();
    if (back.ok && back.value) return { ok: true, value: undefined };
    if (!back.ok && (back.code === 'INTERRUPTED' || back.code === 'BUS')) return back;
    if (exchange.clock.nowMs() >= deadlineMs) {
      return failure(
        'SILENT',
        `${exchange.peer} did not come back within ${resetMs} ms after its reset (${exchange.field('timing.resetMs')}): ` +
          exchange.advise('restart'),
        true,
      );
    }
  }
}
