// Routine 0200 on the CGW: connects the state of the approval, the console and the wire format.

import { toHex } from '../../src/core/bytes.ts';
import type { Clock, Timer } from '../../src/core/clock.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import {
  APPROVAL_CHALLENGE_BYTES,
  ApprovalStatus,
  decodeApprovalRequest,
  decodeOutcome,
  encodeApprovalResult,
} from '../../src/vehicle/approval.ts';
import type { RoutineOutcome, RoutineRule } from '../bootloader/programming/routine-rule.ts';
import { type ApprovalState, answer, ask, expire, IDLE_APPROVAL, stop } from './approval-state.ts';
import { type DriverConsole, statusText } from './console.ts';
import type { DriverAnswer } from './driver-keys.ts';
import type { UpdateProgress } from './update-watch.ts';

/** `ask`: the driver answers; `yes`, `no`: automatic answers. */
export type ApproveMode = 'ask' | 'yes' | 'no';

export interface DriverApprovalOptions {
  /** The key, read for every request; undefined: no key is provisioned. */
  readonly key: () => Uint8Array | undefined;
  readonly approve: ApproveMode;
  /** How long a request stays open; undefined: as long as the request says. */
  readonly timeoutMs: number | undefined;
  readonly clock: Clock;
  /** Time as `HH:MM` of the driver's clock. */
  readonly clockText: (unixS: number) => string;
  /** One line about the state of the CGW. */
  readonly status: () => string;
  readonly onChange: (campaignId: string, status: string) => void;
}

const NOTHING = new Uint8Array();

export class DriverApproval {
  readonly #options: DriverApprovalOptions;
  #console: DriverConsole | undefined;
  #approval: ApprovalState = IDLE_APPROVAL;
  #timeoutMs = 0;
  #outcome: string | undefined;
  #tick: Timer | undefined;
  /** Progress of the current update by ECU name. */
  readonly #progress = new Map<string, UpdateProgress>();

  constructor(options: DriverApprovalOptions) {
    this.#options = options;
  }

  /** Sets the console for requests. Without one they time out, unless they are answered automatically. */
  attach(console: DriverConsole): void {
    this.#console = console;
    this.show();
  }

  /**
   * The table row of the routine. It exists in every session, because a request must survive S3. The MAC protects the
   * answer.
   */
  routine(): RoutineRule {
    return {
      access: 'open',
      start: (record) => this.#start(record),
      stop: (record) => this.#stop(record),
      results: (record) => this.#results(record),
    };
  }

  /**
   * Routine 0204: the TMU sends the outcome of the update, for information only. A forged outcome changes a text on the
   * screen, never an answer, and a new request replaces it.
   */
  outcomeRoutine(): RoutineRule {
    return {
      access: 'open',
      start: (record) => {
        const decoded = decodeOutcome(record);
        if ('fault' in decoded) {
          return {
            nrc:
              decoded.fault === 'wrong-length'
                ? Nrc.incorrectMessageLengthOrInvalidFormat
                : Nrc.requestOutOfRange,
          };
        }
        // The outcome would hide an open request.
        if (this.#approval.kind === 'asking') return { nrc: Nrc.conditionsNotCorrect };
        this.#outcome = decoded.text;
        this.#progress.clear();
        this.show();
        return NOTHING;
      },
    };
  }

  /** Takes the progress that the gateway sees on the bus. It is not authenticated, and no answer depends on it. */
  progress(progress: UpdateProgress): void {
    this.#progress.set(progress.ecu, progress);
    this.show();
  }

  /** Takes the driver's answer. */
  give(given: DriverAnswer): void {
    this.#change(answer(this.#approval, given, this.#options.clock.wallMs()));
  }

  /** Forgets request and answer at a reset, which loses the RAM. The TMU asks again. */
  forget(): void {
    this.#progress.clear();
    this.#change(IDLE_APPROVAL);
  }

  /** Shows the view again, for a changed status line. */
  show(): void {
    const { clock, clockText, status } = this.#options;
    this.#console?.show({
      approval: this.#approval,
      timeoutMs: this.#timeoutMs,
      nowMs: clock.nowMs(),
      status: status(),
      outcome: this.#outcome,
      progress: [...this.#progress.values()],
      clockText,
    });
  }

  close(): void {
    this.#tick?.cancel();
    this.#console?.close();
  }

  #start(record: Uint8Array): RoutineOutcome {
    const request = decodeApprovalRequest(record);
    if ('fault' in request) {
      return {
        nrc:
          request.fault === 'wrong-length'
            ? Nrc.incorrectMessageLengthOrInvalidFormat
            : Nrc.requestOutOfRange,
      };
    }
    // Without a key the TMU cannot check the answer, so the driver is not asked.
    if (this.#options.key() === undefined) return { nrc: Nrc.conditionsNotCorrect };
    const timeoutMs = this.#options.timeoutMs ?? request.facts.timeoutSeconds * 1000;
    const { clock } = this.#options;
    const nowUnixS = Math.floor(clock.wallMs() / 1000);
    const asked = ask(this.#approval, request, clock.nowMs() + timeoutMs, nowUnixS);
    if (asked === 'busy') return { nrc: Nrc.conditionsNotCorrect };
    if (asked.fresh) {
      this.#timeoutMs = timeoutMs;
      this.#outcome = undefined;
      this.#progress.clear();
    }
    this.#change(asked.approval);
    if (asked.fresh) {
      if (this.#options.approve === 'yes') this.give({ kind: 'approve' });
      if (this.#options.approve === 'no') this.give({ kind: 'deny' });
    }
    return NOTHING;
  }

  #stop(record: Uint8Array): RoutineOutcome {
    if (record.length > 0) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
    const stopped = stop(this.#approval);
    if (stopped === undefined) return { nrc: Nrc.requestSequenceError };
    this.#change(stopped);
    return NOTHING;
  }

  /** Results of the routine. The option record is empty or holds the challenge for the MAC. */
  #results(record: Uint8Array): RoutineOutcome {
    if (record.length !== 0 && record.length !== APPROVAL_CHALLENGE_BYTES) {
      return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
    }
    const approval = this.#approval;
    if (approval.kind === 'idle') return { nrc: Nrc.requestSequenceError };
    const key = this.#options.key();
    if (key === undefined) return { nrc: Nrc.conditionsNotCorrect };
    return approval.kind === 'asking'
      ? encodeApprovalResult(key, approval.request, ApprovalStatus.waiting, 0, record)
      : encodeApprovalResult(key, approval.request, approval.status, approval.untilUnixS, record);
  }

  #change(approval: ApprovalState): void {
    const before = this.#approval;
    this.#approval = approval;
    this.#tick?.cancel();
    this.#tick = undefined;
    if (approval.kind === 'asking') {
      // The countdown changes once a second; its last step is the time-out.
      const leftMs = approval.deadlineMs - this.#options.clock.nowMs();
      this.#tick = this.#options.clock.after(
        'approval-countdown',
        leftMs % 1000 || Math.min(leftMs, 1000),
        () => this.#change(expire(this.#approval, this.#options.clock.nowMs())),
      );
    }
    const another =
      before.kind !== 'idle' &&
      approval.kind !== 'idle' &&
      before.request.facts !== approval.request.facts;
    const status = statusOf(approval);
    if (
      approval.kind !== 'idle' &&
      status !== undefined &&
      (another || status !== statusOf(before))
    ) {
      this.#options.onChange(toHex(approval.request.campaignId), statusText(status));
    }
    this.show();
  }
}

function statusOf(approval: ApprovalState): ApprovalStatus | undefined {
  if (approval.kind === 'idle') return undefined;
  return approval.kind === 'asking' ? ApprovalStatus.waiting : approval.status;
}
