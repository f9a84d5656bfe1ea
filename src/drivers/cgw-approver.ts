// Asks and informs the driver through the CGW: RoutineControl 0x0200 and 0x0204. An answer needs a valid MAC.

import type {
  ApprovalAnswer,
  ApprovalQuestion,
  Approver,
  ForgottenApproval,
} from '../campaign/ports.ts';
import { fromHex } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import { type Random, systemRandom } from '../core/random.ts';
import { Nrc } from '../uds/nrc.ts';
import type { UdsRequester } from '../uds/reply.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { Routine } from '../uds/sid.ts';
import {
  APPROVAL_CHALLENGE_BYTES,
  type ApprovalBinding,
  type ApprovalResult,
  ApprovalStatus,
  decodeApprovalResult,
  encodeApprovalRequest,
  encodeOutcome,
  UNTIL_IGNITION_OFF,
  verifyApproval,
} from '../vehicle/approval.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { Exchange, type Exchanged } from './exchange.ts';

const { RoutineControlType } = routineControl;

export interface CgwApproverOptions {
  /** The ECU named by `approval.ecu` of the vehicle file. */
  readonly ecu: VehicleEcu;
  /** `approval.key`, hexadecimal. */
  readonly key: string;
  readonly requester: UdsRequester;
  readonly clock: Clock;
  /** Source of the challenges; missing: that of the machine. */
  readonly random?: Random;
  readonly logger?: Logger;
}

/** Interval at which the answer is polled. */
const POLL_MS = 250;
/** Time after the CGW's own limit at which the request counts as timed out even when the CGW does not say so. */
const GRACE_MS = 10_000;
/** Number of tries of one request while the CGW does not answer. */
const TRIES = 3;
const RETRY_MS = 500;
/** Longest wait for a busy console, which shows another request. */
const PATIENCE_MS = 750;

export class CgwApprover implements Approver {
  readonly #exchange: Exchange;
  readonly #key: Uint8Array;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;

  constructor(options: CgwApproverOptions) {
    this.#exchange = new Exchange(options);
    this.#key = fromHex(options.key);
    this.#clock = options.clock;
    this.#random = options.random ?? systemRandom;
    this.#logger = options.logger ?? silentLogger;
  }

  async ask(question: ApprovalQuestion, signal?: AbortSignal): Promise<ApprovalAnswer> {
    const binding = bindingOf(question);
    const record = encodeApprovalRequest(binding);
    const started = await this.#start(record, 'asking for the driver’s approval', signal);
    if (!started.ok) return this.#unanswered(started);
    const deadlineMs = this.#clock.nowMs() + question.facts.timeoutSeconds * 1000 + GRACE_MS;
    for (;;) {
      const result = await this.#result(binding, signal);
      if ('kind' in result) {
        return result.kind === 'forgotten' ? { ...result, kind: 'unreachable' } : result;
      }
      if (result.status !== ApprovalStatus.waiting) return answerOf(result);
      if (this.#clock.nowMs() >= deadlineMs) {
        await this.withdraw();
        return { kind: 'timed-out' };
      }
      if ((await sleep(this.#clock, 'approval-poll', POLL_MS, signal)) === 'aborted') {
        return { kind: 'interrupted' };
      }
    }
  }

  async recheck(
    question: ApprovalQuestion,
    final: boolean,
    signal?: AbortSignal,
  ): Promise<ApprovalAnswer | ForgottenApproval> {
    // Stop first: after that the driver cannot withdraw the approval.
    if (final) {
      const stopped = await this.#routine(
        Routine.driverApproval,
        RoutineControlType.stopRoutine,
        new Uint8Array(),
        'closing the question',
        signal,
      );
      if (!stopped.ok) return this.#lost(stopped);
    }
    const result = await this.#result(bindingOf(question), signal);
    if ('kind' in result) return result;
    return result.status === ApprovalStatus.waiting ? this.#forgotten() : answerOf(result);
  }

  /**
   * The CGW shows the update and answers at once, with the same MAC. It then forgets an earlier answer, and a later
   * recheck finds no approval. So call this only when the driver was not asked.
   */
  async inform(
    question: ApprovalQuestion,
    signal?: AbortSignal,
  ): Promise<
    { readonly kind: 'informed' } | { readonly kind: 'unreachable'; readonly reason: string }
  > {
    const asked = bindingOf(question);
    const binding: ApprovalBinding = asked.facts.forced
      ? asked
      : { ...asked, facts: { ...asked.facts, informOnly: true } };
    const record = encodeApprovalRequest(binding);
    const started = await this.#start(record, 'informing the driver', signal);
    if (!started.ok) return { kind: 'unreachable', reason: started.reason };
    const result = await this.#result(binding, signal);
    if ('kind' in result) {
      const reason = 'reason' in result ? result.reason : 'interrupted';
      return { kind: 'unreachable', reason };
    }
    return result.status === ApprovalStatus.approved
      ? { kind: 'informed' }
      : { kind: 'unreachable', reason: `${this.#exchange.peer} did not show the update` };
  }

  /** Polls once. The refusal stands until the CGW says otherwise with a valid MAC; silence changes nothing. */
  async wantsAgain(question: ApprovalQuestion, signal?: AbortSignal): Promise<boolean> {
    const result = await this.#result(bindingOf(question), signal);
    return 'status' in result && result.status === ApprovalStatus.askAgain;
  }

  async tell(text: string, signal?: AbortSignal): Promise<void> {
    const record = encodeOutcome(text);
    if (record.length === 0) return;
    const told = await this.#routine(
      Routine.updateOutcome,
      RoutineControlType.startRoutine,
      record,
      'telling the driver the result',
      signal,
    );
    if (!told.ok) this.#logger.warn({ ecu: this.#exchange.ecu.name }, told.reason);
  }

  async withdraw(): Promise<void> {
    const request = routineControl.encodeRequest(
      RoutineControlType.stopRoutine,
      Routine.driverApproval,
    );
    await this.#exchange.ask(request, 'withdrawing the request');
  }

  /**
   * Starts a request. A request that is still open in the CGW is an old one of this TMU, which could not be withdrawn
   * while the CGW was silent; its answer is no longer needed.
   */
  async #start(
    record: Uint8Array,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Exchanged<routineControl.Response>> {
    const start = () =>
      this.#routine(Routine.driverApproval, RoutineControlType.startRoutine, record, doing, signal);
    const started = await start();
    if (started.ok || started.nrc !== Nrc.conditionsNotCorrect) return started;
    await this.withdraw();
    return start();
  }

  /** The result when it is authentic; otherwise the answer that follows for the request. */
  async #result(
    binding: ApprovalBinding,
    signal?: AbortSignal,
  ): Promise<ApprovalResult | ApprovalAnswer | ForgottenApproval> {
    // The driver may have withdrawn an earlier approval: a challenge binds the answer to this request.
    const challenge = this.#random.bytes(APPROVAL_CHALLENGE_BYTES);
    const answer = await this.#routine(
      Routine.driverApproval,
      RoutineControlType.requestRoutineResults,
      challenge,
      'asking for the driver’s answer',
      signal,
    );
    if (!answer.ok) {
      return this.#lost(answer);
    }
    const result = decodeApprovalResult(answer.value.data);
    if (result === undefined) {
      return this.#forged(`${answer.value.data.length} bytes that are no approval result`);
    }
    // Verify "waiting" too: a node that keeps sending it could hold the request open for ever.
    if (!verifyApproval(this.#key, binding, result, challenge)) {
      return this.#forged('its MAC is not the one of this campaign, question, nonce and challenge');
    }
    return result;
  }

  #forged(what: string): ApprovalAnswer {
    const reason =
      `the answer of ${this.#exchange.peer} is not authentic: ${what}; check approval.key in the vehicle file, ` +
      'or look for a node that answers in its place';
    this.#logger.error({ ecu: this.#exchange.ecu.name }, reason);
    return { kind: 'forged', reason };
  }

  #forgotten(): ForgottenApproval {
    const reason = `${this.#exchange.peer} has forgotten the driver’s answer: it was restarted`;
    return { kind: 'forgotten', reason };
  }

  /** The answer after a failed request. A console without any request was restarted since it was asked. */
  #lost(failed: Exclude<Exchanged<unknown>, { ok: true }>): ApprovalAnswer | ForgottenApproval {
    return failed.nrc === Nrc.requestSequenceError ? this.#forgotten() : this.#unanswered(failed);
  }

  #unanswered(failed: Exclude<Exchanged<unknown>, { ok: true }>): ApprovalAnswer {
    if (failed.code === 'INTERRUPTED') return { kind: 'interrupted' };
    const hint =
      failed.nrc === Nrc.conditionsNotCorrect || failed.nrc === Nrc.busyRepeatRequest
        ? '; another question is open'
        : '';
    const refused = failed.nrc !== undefined && !failed.transient;
    return {
      kind: 'unreachable',
      reason: `${failed.reason}${hint}`,
      ...(refused ? { refused } : {}),
    };
  }

  async #routine(
    routine: number,
    control: routineControl.RoutineControlType,
    record: Uint8Array,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Exchanged<routineControl.Response>> {
    const request = routineControl.encodeRequest(control, routine, record);
    for (let tries = 1; ; tries++) {
      const answer = await this.#exchange.askFor(
        request,
        doing,
        routineControl.decodeResponse,
        signal,
        { once: true, patienceMs: PATIENCE_MS },
      );
      // All these requests can be repeated: for the same campaign they mean the same request.
      if (answer.ok || !answer.transient || answer.code === 'INTERRUPTED' || tries >= TRIES) {
        return answer;
      }
      await sleep(this.#clock, 'approval-retry', RETRY_MS, signal);
    }
  }
}

function bindingOf(question: ApprovalQuestion): ApprovalBinding {
  return {
    campaignId: fromHex(question.campaignId),
    planDigest: fromHex(question.planDigest),
    nonce: fromHex(question.nonce),
    facts: { ...question.facts, phase: question.phase },
  };
}

function answerOf({ status, untilUnixS }: ApprovalResult): ApprovalAnswer {
  switch (status) {
    case ApprovalStatus.approved:
      return { kind: 'approved' };
    case ApprovalStatus.later:
      return untilUnixS === UNTIL_IGNITION_OFF
        ? { kind: 'later', until: 'ignition-off' }
        : { kind: 'later', untilWallMs: untilUnixS * 1000 };
    case ApprovalStatus.denied:
      return { kind: 'denied' };
    case ApprovalStatus.timedOut:
      return { kind: 'timed-out' };
    case ApprovalStatus.withdrawn:
    case ApprovalStatus.askAgain:
      return { kind: 'withdrawn' };
    case ApprovalStatus.waiting:
      return { kind: 'unreachable', reason: 'the question is still open' };
    default:
      return assertNever(status);
  }
}
