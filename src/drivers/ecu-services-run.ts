// Commands to one ECU. Each is sent once; when the answer is lost, a later check shows whether the command ran.

import type { ProbeResult, RunResult } from '../contract/ecu-services.ts';
import { sleep } from '../core/clock.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import * as inputOutputControl from '../uds/services/input-output-control.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import type { CommandAct } from '../vehicle/commands.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import { type EcuOrder, Evidence, showsRun, tells } from './ecu-services-evidence.ts';
import type { DidReader } from './ecu-services-read.ts';
import { CommandSession } from './ecu-services-session.ts';
import type { Exchange, Exchanged, Refusal } from './exchange.ts';

const { ControlParameter } = inputOutputControl;

export interface CommandRunnerOptions {
  readonly exchange: Exchange;
  readonly reader: DidReader;
  readonly runCommand?: KeyCommand | undefined;
  readonly logger?: Logger | undefined;
}

/** Longest text of a result or a reason that is sent to the backend. */
const MAX_TEXT = 500;
/** Interval at which a running routine is polled. */
const POLL_MS = 200;

/** Runs one command at a time, because the sessions of two commands would end each other. */
export class CommandRunner {
  readonly #exchange: Exchange;
  readonly #session: CommandSession;
  readonly #evidence: Evidence;
  readonly #logger: Logger;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CommandRunnerOptions) {
    const { exchange, reader, runCommand } = options;
    this.#exchange = exchange;
    this.#session = new CommandSession(exchange, runCommand);
    this.#evidence = new Evidence(exchange, reader);
    this.#logger = options.logger ?? silentLogger;
  }

  /** Whether a session at the ECU is open on purpose: a command runs, or an output is held. */
  get holdsSession(): boolean {
    return this.#session.isOpen;
  }

  /** Reads the state that later shows whether the command has run. */
  probe(order: EcuOrder, signal: AbortSignal): Promise<ProbeResult> {
    return this.#inTurn(async () => {
      if (!tells(order.act)) return { kind: 'blind' };
      const mark = await this.#mark(order, signal);
      if (mark.ok) return { kind: 'mark', mark: mark.value };
      return { kind: 'failed', code: mark.code, reason: clipped(mark.reason) };
    });
  }

  run(order: EcuOrder, signal: AbortSignal): Promise<RunResult> {
    return this.#inTurn(async () => {
      const { action, command } = order;
      const entered = await this.#session.enter(command, signal);
      const result = entered.ok ? await this.#run(order, signal) : notBegun(action, entered);
      await this.#session.leave();
      const { ecu } = this.#exchange;
      this.#logger.info({ ecu: ecu.name, action, result: result.kind }, 'command');
      return result;
    });
  }

  hasRun(order: EcuOrder, mark: string, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'> {
    return this.#inTurn(async () => {
      if (!tells(order.act)) return 'unknown';
      const now = await this.#mark(order, signal);
      if (!now.ok) return 'unknown';
      const ran = showsRun(order, mark, now.value);
      const { act } = order;
      // Decides whether the session is still needed.
      if (act.kind === (ran ? 'return' : 'adjust')) {
        this.#session.letGo(act.did);
        await this.#session.leave();
      }
      return ran ? 'yes' : 'no';
    });
  }

  /** Reads the mark: of a routine in the session of its command, of other acts in any session. */
  async #mark({ act, command }: EcuOrder, signal: AbortSignal): Promise<Exchanged<string>> {
    if (act.kind !== 'routine') return this.#evidence.mark(act, signal);
    const entered = await this.#session.enter(command, signal);
    const mark = entered.ok ? await this.#evidence.mark(act, signal) : entered;
    await this.#session.leave();
    return mark;
  }

  async #run(order: EcuOrder, signal: AbortSignal): Promise<RunResult> {
    const { act, action } = order;
    const { peer } = this.#exchange;
    if (signal.aborted) {
      const reason = `${peer}: stopped before ${action} was begun`;
      return { kind: 'not-begun', code: 'INTERRUPTED', reason };
    }
    // From here on the command may have run, whatever the answer is.
    const request = requestOf(order);
    const orders = this.#exchange.secured({ once: true }) ?? this.#exchange;
    const reply = await orders.reply(request, signal);
    if (reply !== 'interrupted' && reply.kind === 'negative') {
      const text = `${peer} refused ${action}: ${nrcText(reply.nrc)}`;
      return reply.nrc === Nrc.busyRepeatRequest
        ? { kind: 'not-begun', code: 'BUSY', reason: text }
        : { kind: 'refused', nrc: reply.nrc, reason: text };
    }
    if (act.kind === 'adjust') this.#session.hold(act.did);
    const answer = this.#exchange.interpret(request, action, reply);
    if (!answer.ok) return { kind: 'in-doubt', reason: clipped(answer.reason) };
    if (act.kind === 'return') this.#session.letGo(act.did);
    const unfinished = await this.#untilDone(act, action, signal);
    if (unfinished !== undefined) return { kind: 'in-doubt', reason: clipped(unfinished) };
    const result = await this.#evidence.resultText(order, answer.value, signal);
    return { kind: 'done', ...(result === '' ? {} : { result: clipped(result) }) };
  }

  /**
   * Waits for a routine that runs after its start was answered, because the end of the session would end it. Undefined:
   * done.
   */
  async #untilDone(
    act: CommandAct,
    action: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (act.kind !== 'routine' || act.running === undefined) return undefined;
    const { clock, ecu, peer } = this.#exchange;
    const { offset, value } = act.running;
    const deadlineMs = clock.nowMs() + ecu.timing.pendingLimitMs;
    for (;;) {
      const results = await this.#evidence.results(act.routine, signal);
      if (!results.ok) return `${action} was begun: ${results.reason}`;
      if (results.value[offset] !== value) return undefined;
      if (clock.nowMs() >= deadlineMs) {
        return `${peer}: ${action} still runs after ${ecu.timing.pendingLimitMs} ms (timing.pendingLimitMs)`;
      }
      if ((await sleep(clock, 'routine-poll', POLL_MS, signal)) === 'aborted') {
        return `${peer}: stopped while ${action} was running`;
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/**
 * The result when a request before the command failed: a refusal, unless the ECU did not answer or was only busy.
 */
function notBegun(action: string, failed: Refusal): RunResult {
  const reason = clipped(`${action} was not begun: ${failed.reason}`);
  return failed.nrc === undefined || failed.nrc === Nrc.busyRepeatRequest
    ? { kind: 'not-begun', code: failed.code, reason }
    : { kind: 'refused', nrc: failed.nrc, reason };
}

function requestOf({ act, bytes }: EcuOrder): Uint8Array {
  switch (act.kind) {
    case 'write':
      return writeDataByIdentifier.encodeRequest(act.did, bytes);
    case 'adjust': {
      const { shortTermAdjustment } = ControlParameter;
      return inputOutputControl.encodeRequest(act.did, shortTermAdjustment, bytes, act.mask);
    }
    case 'return':
      return inputOutputControl.encodeRequest(act.did, ControlParameter.returnControlToEcu);
    case 'routine':
      return routineControl.encodeRequest(
        routineControl.RoutineControlType.startRoutine,
        act.routine,
        bytes,
      );
  }
}

function clipped(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 3)}...` : text;
}
