// Switching an ECU between its banks, and the reset that makes it so.

import type { BootState } from '../uds/boot-state.ts';
import { Nrc } from '../uds/nrc.ts';
import * as ecuReset from '../uds/services/ecu-reset.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Did, Routine, Session } from '../uds/sid.ts';
import type { ChangeFact } from './change-fact.ts';
import {
  type AskOptions,
  type Exchange,
  type Exchanged,
  failure,
  isNotKnown,
  wasLost,
} from './exchange.ts';
import { readBootState, readDigest } from './identification.ts';
import type { KeyCommand } from './security-key.ts';
import { enterSession, unlock } from './unlock.ts';

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
  options?: AskOptions,
): Promise<Exchanged<Banks>> {
  const state = await readBootState(exchange, signal, options);
  if (!state.ok) return state;
  if (state.value === undefined) {
    return failure(
      'REFUSED',
      `${exchange.peer} does not know DID FD00 (boot state): set programming.activation to "reset" in the ` +
        'vehicle file, or use the profile "standard"',
    );
  }
  const active = await readDigest(exchange, Did.activeBankDigest, signal, options);
  if (!active.ok) return active;
  const inactive: Exchanged<string | undefined> =
    state.value.inactive === 'valid'
      ? await readDigest(exchange, Did.inactiveBankDigest, signal, options)
      : { ok: true, value: undefined };
  if (!inactive.ok) return inactive;
  return {
    ok: true,
    value: { state: state.value, active: active.value, inactive: inactive.value },
  };
}

/**
 * Runs one bank routine in the extended session, unlocked; the ECU stays in that session. The routine is sent once: who
 * loses its answer looks at the banks. `fact` hears what became of it.
 */
export async function bankRoutine(
  exchange: Exchange,
  routine: number,
  doing: string,
  option: Uint8Array,
  runCommand: KeyCommand | undefined,
  fact: ChangeFact,
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
  const answer = fact.after(
    await exchange.askFor(request, doing, routineControl.decodeResponse, signal),
  );
  if (!answer.ok) return answer;
  const status = answer.value.data[0] ?? 0;
  if (status === 0) return { ok: true, value: undefined };
  return failure('REFUSED', `${exchange.peer}: status ${status} while ${doing}, expected 0`);
}

export type SelfTest = 'passed' | 'failed' | 'not-told';

/**
 * Results of confirmBank before it was started: one byte, 0 when the self test of the running image has passed. An ECU
 * that does not know the question tells by refusing to confirm.
 */
export async function askSelfTest(
  exchange: Exchange,
  runCommand: KeyCommand | undefined,
  signal?: AbortSignal,
): Promise<Exchanged<SelfTest>> {
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
  if (answer.ok) {
    return { ok: true, value: (answer.value.data[0] ?? 0) === 0 ? 'passed' : 'failed' };
  }
  // 24: no results before it was started.
  return isNotKnown(answer) || answer.nrc === Nrc.requestSequenceError
    ? { ok: true, value: 'not-told' }
    : answer;
}

/**
 * ECUReset. The answer may be lost to the reset itself, which is no failure. An ECU that is still in the session from
 * before has not heard it.
 */
export async function reset(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<void>> {
  const answer = await exchange.ask(
    ecuReset.encodeRequest(ecuReset.ResetType.hardReset),
    'restarting it',
    signal,
    { look: () => exchange.keepsSession(signal) },
  );
  if (answer.ok || wasLost(answer)) {
    return { ok: true, value: undefined };
  }
  return answer;
}

export function describeBanks({ state, active }: Banks): string {
  if (state.mode === 'recovery') return 'it is in recovery, no bank can be booted';
  return `it runs ${active === undefined ? 'an image without digest' : short(active)} (${state.mode}, bank ${state.activeBank})`;
}

export function short(sha256: string): string {
  return `${sha256.slice(0, 12)}...`;
}
