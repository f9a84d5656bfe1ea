// Switches an ECU between its banks, and resets it so that the switch takes effect.

import type { BootState } from '../uds/boot-state.ts';
import { type CampaignRecord, decodeCampaignRecord } from '../uds/campaign-record.ts';
import { Nrc } from '../uds/nrc.ts';
import * as ecuReset from '../uds/services/ecu-reset.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Did, Routine, Session } from '../uds/sid.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { ChangeFact } from './change-fact.ts';
import {
  type AskOptions,
  type Exchange,
  type Exchanged,
  failure,
  isNotKnown,
  wasLost,
} from './exchange.ts';
import { readBootState, readDid, readDigest } from './identification.ts';
import { enterSession, unlock } from './unlock.ts';

/** The banks of a two-bank ECU. */
export interface Banks {
  readonly state: BootState;
  /** Digest of the active bank; undefined while no bank can be booted. */
  readonly active: string | undefined;
  /** Digest of the inactive bank; undefined unless it holds a verified image. */
  readonly inactive: string | undefined;
}

export async function readBanks(
  exchange: Exchange,
  signal?: AbortSignal,
  options?: AskOptions,
): Promise<Exchanged<Banks>> {
  const asked = authentic(exchange);
  const state = await readBootState(asked, signal, options);
  if (!state.ok) return state;
  if (state.value === undefined) {
    return failure(
      'REFUSED',
      `${exchange.peer} does not know DID FD00 (boot state): set programming.activation to "reset" in the ` +
        'vehicle file, or use the profile "standard"',
    );
  }
  const active = await readDigest(asked, Did.activeBankDigest, signal, options);
  if (!active.ok) return active;
  const inactive: Exchanged<string | undefined> =
    state.value.inactive === 'valid'
      ? await readDigest(asked, Did.inactiveBankDigest, signal, options)
      : { ok: true, value: undefined };
  if (!inactive.ok) return inactive;
  return {
    ok: true,
    value: { state: state.value, active: active.value, inactive: inactive.value },
  };
}

/** One call of a bank routine. */
export interface BankRoutine {
  readonly routine: number;
  /** Completes "while ..." in messages. */
  readonly doing: string;
  /** Campaign and evidence for an ECU of ours. ECUs of other makes take no option. */
  readonly option: Uint8Array;
}

/**
 * Runs one bank routine. An ECU of ours takes it as an authenticated message in any session. An ECU of another make
 * that has these routines needs the extended session, unlocked, and stays in it; the routine is sent once, and the
 * caller reads the banks when the answer is lost. `fact` records the change. The value is the part of the answer after
 * its status byte.
 */
export async function bankRoutine(
  exchange: Exchange,
  { routine, doing, option }: BankRoutine,
  runCommand: KeyCommand | undefined,
  fact: ChangeFact,
  signal?: AbortSignal,
): Promise<Exchanged<Uint8Array>> {
  const orders = ordersOf(exchange);
  if (!orders.ok) return orders;
  const toOurs = isOurs(exchange.ecu);
  if (!toOurs) {
    const entered = await enterSession(exchange, Session.extended, signal);
    if (!entered.ok) return entered;
    const unlocked = await unlock(exchange, runCommand, signal);
    if (!unlocked.ok) return unlocked;
  }
  const request = routineControl.encodeRequest(
    routineControl.RoutineControlType.startRoutine,
    routine,
    toOurs ? option : new Uint8Array(),
  );
  const answer = await fact.by(doing, () =>
    orders.value.askFor(request, doing, routineControl.decodeResponse, signal),
  );
  if (!answer.ok) return answer;
  const [status = 0] = answer.value.data;
  if (status === 0) return { ok: true, value: answer.value.data.subarray(1) };
  return failure('REFUSED', `${exchange.peer}: status ${status} while ${doing}, expected 0`);
}

/** The exchange for orders; an ECU of ours takes orders only with the key of this vehicle's TMU. */
function ordersOf(exchange: Exchange): Exchanged<Exchange> {
  if (!isOurs(exchange.ecu)) return { ok: true, value: exchange };
  const secured = exchange.secured();
  if (secured !== undefined) return { ok: true, value: secured };
  return failure(
    'SECURITY',
    `${exchange.peer} takes orders only from the TMU that it was provisioned with: ${exchange.advise('no-authority')}`,
  );
}

/** Whether it is an ECU of ours: its bootloader verifies metadata and acts only for a campaign. */
export function isOurs(ecu: VehicleEcu): boolean {
  return ecu.programming.metadata !== 'skip';
}

/** The exchange for reports of the ECU about itself, authenticated where there is a key for that. */
export function authentic(exchange: Exchange): Exchange {
  return (isOurs(exchange.ecu) ? exchange.secured() : undefined) ?? exchange;
}

/** Reads DID FD25; undefined for an ECU that has none. */
export async function readCampaignRecord(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<CampaignRecord | undefined>> {
  const doing = 'reading what it knows of its campaign';
  const bytes = await readDid(authentic(exchange), Did.campaignRecord, doing, signal);
  if (!bytes.ok || bytes.value === undefined) return bytes as Exchanged<undefined>;
  const record = decodeCampaignRecord(bytes.value);
  if (record !== undefined) return { ok: true, value: record };
  const request = readDataByIdentifier.encodeRequest(Did.campaignRecord);
  return exchange.malformed(request, doing, `${bytes.value.length} bytes are no campaign record`);
}

export type SelfTest = 'passed' | 'failed' | 'not-told';

/**
 * Requests the results of confirmBank before it was started: one byte, 0 when the self test of the running image has
 * passed. This only reads, so nothing is unlocked. An ECU without these results shows a failed self test by refusing to
 * confirm.
 */
export async function askSelfTest(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<SelfTest>> {
  const asked = authentic(exchange);
  if (asked === exchange) {
    const entered = await enterSession(exchange, Session.extended, signal);
    if (!entered.ok) return entered;
  }
  const request = routineControl.encodeRequest(
    routineControl.RoutineControlType.requestRoutineResults,
    Routine.confirmBank,
  );
  const doing = 'asking for its self test';
  const answer = await asked.askFor(request, doing, routineControl.decodeResponse, signal);
  if (asked === exchange) await leaveSession(exchange);
  if (answer.ok) {
    return { ok: true, value: (answer.value.data[0] ?? 0) === 0 ? 'passed' : 'failed' };
  }
  // 24: the ECU has no results before the routine was started.
  return isNotKnown(answer) || answer.nrc === Nrc.requestSequenceError
    ? { ok: true, value: 'not-told' }
    : answer;
}

/**
 * ECUReset. The reset itself can swallow the answer, which is no failure. An ECU that is still in its earlier session
 * did not receive the request. An ECU of ours takes it from the TMU also while the vehicle moves. The value is true
 * when the ECU answered.
 */
export async function reset(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<boolean>> {
  const orders = (isOurs(exchange.ecu) ? exchange.secured({ once: true }) : undefined) ?? exchange;
  const answer = await orders.ask(
    ecuReset.encodeRequest(ecuReset.ResetType.hardReset),
    'restarting it',
    signal,
    { look: () => exchange.keepsSession(signal) },
  );
  // An ECU that stayed pending up to the limit may still be restarting.
  if (answer.ok) return { ok: true, value: true };
  const isOpen = wasLost(answer) || (answer.code === 'BUSY' && answer.nrc === undefined);
  return isOpen ? { ok: true, value: false } : answer;
}

/** Returns to the default session without waiting for S3; S3 brings an ECU there that does not answer. */
export async function leaveSession(exchange: Exchange): Promise<void> {
  await exchange.ask(Uint8Array.of(0x10, 0x01), 'leaving the extended session');
}

export function describeBanks({ state, active }: Banks): string {
  if (state.mode === 'recovery') return 'it is in recovery, no bank can be booted';
  return `it runs ${active === undefined ? 'an image without digest' : short(active)} (${state.mode}, bank ${state.activeBank})`;
}

export function short(sha256: string): string {
  return `${sha256.slice(0, 12)}...`;
}
