// Orders to the banks of an ECU: sent once, looked at when the answer is lost, and the restart behind them.

import { type Banks, bankRoutine, readBanks, reset } from './activation.ts';
import type { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, type Refusal, wasLost } from './exchange.ts';
import { awaitBanks } from './restart.ts';
import type { KeyCommand } from './security-key.ts';

const NO_OPTION = new Uint8Array();
/** Times that a bank routine is sent whose answer is lost and which was not carried out. */
const ORDER_TRIES = 2;
const DONE = { ok: true, value: undefined } as const;

export interface BankAccess {
  readonly exchange: Exchange;
  readonly runCommand: KeyCommand | undefined;
}

export interface BankOrder {
  readonly routine: number;
  readonly doing: string;
  readonly option?: Uint8Array;
  /** A reset follows, which ends the session anyway. */
  readonly staysInSession?: boolean;
}

/**
 * A bank routine. When its answer is lost the banks are looked at: it is done, or it is sent once more. Nothing is
 * repeated where nothing shows that it is done.
 */
export async function orderBank(
  { exchange, runCommand }: BankAccess,
  order: BankOrder,
  isDone: ((banks: Banks) => boolean) | undefined,
  fact: ChangeFact,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  for (let tries = 1; ; tries++) {
    const { routine, doing, option = NO_OPTION } = order;
    const asked = await bankRoutine(exchange, routine, doing, option, runCommand, fact, signal);
    if (asked.ok && !order.staysInSession) await leaveSession(exchange);
    if (asked.ok || !wasLost(asked) || isDone === undefined || tries >= ORDER_TRIES) return asked;
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

/** The switch that was asked for is still to come: the reset has not happened, another one may help. */
export function notRestarted(exchange: Exchange, { state }: Banks): Refusal | undefined {
  if (!state.activationPending) return undefined;
  const { resetMs } = exchange.ecu.timing;
  const text = `${exchange.peer} has not restarted within ${resetMs} ms (${exchange.field('timing.resetMs')})`;
  return failure('SILENT', `${text}: its switch to the other bank is still pending`, true);
}

/** Back to the default session without waiting for S3; an ECU that does not answer gets there by itself. */
export async function leaveSession(exchange: Exchange): Promise<void> {
  await exchange.ask(Uint8Array.of(0x10, 0x01), 'leaving the extended session');
}
