// Orders to the banks of an ECU, each followed by a restart. When an answer is lost, the banks show what happened.

import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import {
  type BankRoutine,
  type Banks,
  bankRoutine,
  isOurs,
  leaveSession,
  readBanks,
  reset,
} from './activation.ts';
import type { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, type Refusal, wasLost } from './exchange.ts';
import { awaitBanks } from './restart.ts';

/** How often a bank routine is sent when its answer is lost and the ECU has not carried it out. */
const ORDER_TRIES = 2;
const DONE = { ok: true, value: new Uint8Array() } as const;

export interface BankAccess {
  readonly exchange: Exchange;
  readonly runCommand: KeyCommand | undefined;
}

export interface BankOrder extends BankRoutine {
  /** Whether the session is kept, because a reset follows that ends it. */
  readonly staysInSession?: boolean;
}

/**
 * Sends a bank routine. When its answer is lost, the banks show whether it was carried out; if not, it is sent once
 * more. A routine whose effect the banks do not show is not repeated. An ECU of ours gives the same answer to a
 * repeated order.
 */
export async function orderBank(
  { exchange, runCommand }: BankAccess,
  order: BankOrder,
  isDone: ((banks: Banks) => boolean) | undefined,
  fact: ChangeFact,
  signal?: AbortSignal,
): Promise<Exchanged<Uint8Array>> {
  for (let tries = 1; ; tries++) {
    const asked = await bankRoutine(exchange, order, runCommand, fact, signal);
    const toOurs = isOurs(exchange.ecu);
    if (asked.ok && !order.staysInSession && !toOurs) await leaveSession(exchange);
    if (asked.ok || !wasLost(asked) || tries >= ORDER_TRIES) return asked;
    if (toOurs) continue;
    if (isDone === undefined) return asked;
    const banks = await readBanks(exchange, signal);
    if (!banks.ok) return asked;
    if (isDone(banks.value)) {
      fact.join('yes');
      return DONE;
    }
  }
}

export async function resetAndAwait(
  exchange: Exchange,
  isThere: (banks: Banks) => boolean,
  late: (banks: Banks) => Refusal,
  signal?: AbortSignal,
): Promise<Exchanged<unknown>> {
  const asked = await reset(exchange, signal);
  return asked.ok ? awaitBanks(exchange, isThere, late, signal) : asked;
}

/** A failure when the switch is still pending: the reset has not happened, and another one can help. */
export function notRestarted(exchange: Exchange, { state }: Banks): Refusal | undefined {
  if (!state.activationPending) return undefined;
  const { resetMs } = exchange.ecu.timing;
  const text = `${exchange.peer} has not restarted within ${resetMs} ms (${exchange.field('timing.resetMs')})`;
  return failure('SILENT', `${text}: its switch to the other bank is still pending`, true);
}
