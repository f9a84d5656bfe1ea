// Sends one request to one ECU and turns its reply into bytes, or into a failure that says what to do.

import type { DriverErrorCode, Failed } from '../campaign/ports.ts';
import { byteAt, hexNumber } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import { isMalformed, type Malformed } from '../uds/codec.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import type { KeepAlive, UdsReply, UdsRequester } from '../uds/reply.ts';
import { Sid, sidText } from '../uds/services/all.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import { Did, Session } from '../uds/sid.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { type Advice, type AdviceTopic, vehicleFileAdvice } from './advice.ts';
import { isLost, nextBusyPauseMs, patienceMs, repeatPauseMs, repeatRule } from './repeats.ts';
import { type OrderAuthority, SecuredRequester } from './secured-requester.ts';

/** A failure with the negative response code where there was one. */
export interface Refusal extends Failed {
  readonly nrc?: number;
  /** The refusal came after a responsePending: the ECU had accepted the request. */
  readonly pended?: true;
  /** An earlier try was lost. The ECU may have carried it out, and this may be the reason for the refusal. */
  readonly repeated?: true;
  /** The ECU dropped this request, because another tester's request came before it was complete. */
  readonly spoiled?: true;
}

export type Exchanged<T> = { readonly ok: true; readonly value: T } | Refusal;

export function failure(
  code: DriverErrorCode,
  reason: string,
  transient = false,
  nrc?: number,
): Refusal {
  return { ok: false, code, reason, transient, ...defined({ nrc }) };
}

/** Name and identifiers of an ECU from the vehicle file: `EDT (7E1 -> 7E9)`. */
export function peerText(ecu: VehicleEcu): string {
  const a = ecu.address;
  const byteText = (byte: number): string => hexNumber(byte, 2);
  switch (a.mode) {
    case 'normal':
      return `${ecu.name} (${hexNumber(a.request, 3)} -> ${hexNumber(a.response, 3)})`;
    case 'normal-fixed':
      return `${ecu.name} (normal fixed, ECU ${byteText(a.ecu)}, tester ${byteText(a.tester)})`;
    case 'extended':
      return `${ecu.name} (${hexNumber(a.request, 3)} -> ${hexNumber(a.response, 3)}, ECU ${byteText(a.ecu)})`;
    case 'mixed':
      return `${ecu.name} (${hexNumber(a.request, 3)} -> ${hexNumber(a.response, 3)}, extension ${byteText(a.extension)})`;
  }
}

/** NRCs by which an ECU says that it does not know the request (policy `try` continues). */
const NOT_KNOWN: ReadonlySet<number> = new Set([
  Nrc.serviceNotSupported,
  Nrc.subFunctionNotSupported,
  Nrc.requestOutOfRange,
  Nrc.subFunctionNotSupportedInActiveSession,
  Nrc.serviceNotSupportedInActiveSession,
]);

export function isNotKnown(result: { readonly ok: boolean; readonly nrc?: number }): boolean {
  return !result.ok && result.nrc !== undefined && NOT_KNOWN.has(result.nrc);
}

/** Whether it is unknown if the request was carried out. */
export function wasLost(failed: { readonly code: string }): boolean {
  return failed.code === 'SILENT' || failed.code === 'TRANSPORT' || failed.code === 'UNEXPECTED';
}

const SECURITY: ReadonlySet<number> = new Set([
  Nrc.securityAccessDenied,
  Nrc.secureDataTransmissionRequired,
  Nrc.secureDataVerificationFailed,
  Nrc.authenticationRequired,
  Nrc.invalidKey,
  Nrc.exceededNumberOfAttempts,
  Nrc.requiredTimeDelayNotExpired,
]);

/** Whether the ECU answered 10 02 with responsePending only: it jumps into its bootloader, which gives the answer. */
function isRestarting(request: Uint8Array, reply: UdsReply): boolean {
  return (
    request[0] === Sid.diagnosticSessionControl && reply.kind === 'silent' && reply.timer === 'P2*'
  );
}

/**
 * A refusal of a repeated request whose first answer was lost: the effect of the first may be the reason. Another try
 * from the beginning can help, except after too many keys or seeds.
 */
export function refusedRepeat(refused: Refusal): Refusal {
  return { ...refused, repeated: true, transient: refused.code !== 'SECURITY' };
}

/** Whether the NRC is 22 or names a condition of the vehicle (81 to 94 in annex A.1). */
function isCondition(nrc: number): boolean {
  return nrc === Nrc.conditionsNotCorrect || (nrc >= 0x81 && nrc <= 0x94);
}

/** How one request is sent. Missing values come from the vehicle file and the table of repeats. */
export interface AskOptions {
  /** Longest total wait while the ECU says responsePending. */
  readonly pendingLimitMs?: number;
  /** Longest total wait while the ECU says that it is busy; 0: the first answer counts. */
  readonly patienceMs?: number;
  /** Whether the request is sent only once, even when its answer is lost; a caller that polls asks again. */
  readonly once?: boolean;
  /** Check before a request with the rule `look-first` is sent again; true: it may be sent. */
  readonly look?: () => Promise<boolean>;
}

/** A reply, with the tries and the waiting time that it took. */
interface Carried {
  readonly reply: UdsReply | 'interrupted';
  readonly tries: number;
  /** Total time of refusals by NRC 21 or 94, with the field of the vehicle file that limits it. */
  readonly busy: { readonly waitedMs: number; readonly field: string } | undefined;
}

export interface ExchangeOptions {
  readonly ecu: VehicleEcu;
  readonly requester: UdsRequester;
  readonly clock: Clock;
  /** What a person can do about a failure; missing: the advice for a vehicle file. */
  readonly advice?: Advice;
  /** Authority with which this ECU takes orders; missing for an ECU of another make. */
  readonly authority?: OrderAuthority | undefined;
}

/** All requests of a driver go through here. */
export class Exchange {
  readonly ecu: VehicleEcu;
  readonly clock: Clock;
  readonly #requester: UdsRequester;
  readonly #advice: Advice;
  #deafUntilMs = 0;
  readonly #authority: OrderAuthority | undefined;

  constructor(options: ExchangeOptions) {
    this.ecu = options.ecu;
    this.clock = options.clock;
    this.#requester = options.requester;
    this.#advice = options.advice ?? vehicleFileAdvice;
    this.#authority = options.authority;
  }

  /**
   * An exchange whose requests and answers are each authenticated (service 84). Undefined where there is no key for
   * that. `once`: for requests that must not be carried out twice.
   */
  secured({ once = false } = {}): Exchange | undefined {
    if (this.#authority === undefined) return undefined;
    const requester = new SecuredRequester(this.#requester, this.#authority, { once });
    const { ecu, clock } = this;
    return new Exchange({ ecu, clock, requester, advice: this.#advice });
  }

  get peer(): string {
    return peerText(this.ecu);
  }

  /** What a person can do about a failure; completes its sentence. */
  advise(topic: AdviceTopic): string {
    return this.#advice.about(topic, this.ecu);
  }

  /** Names a field of the vehicle file so that a person can find it. */
  field(name: string): string {
    return this.#advice.field(name);
  }

  /** As far as `programming.keepAlive` allows it. */
  keepAlive(whom: KeepAlive): void {
    const { keepAlive } = this.ecu.programming;
    const allowed = keepAlive === 'none' ? 'off' : keepAlive === 'physical' ? 'this-ecu' : whom;
    this.#requester.keepAlive(whom === 'off' ? whom : allowed);
  }

  /** Sends a functional request without an answer. A bus that is down shows at the next request. */
  async broadcast(request: Uint8Array): Promise<void> {
    await this.#requester.broadcast(request).catch(() => {});
  }

  /** The raw reply to a request that is sent once; it is repeated only while the ECU is busy. */
  async reply(
    request: Uint8Array,
    signal?: AbortSignal,
    options: Pick<AskOptions, 'pendingLimitMs' | 'patienceMs'> = {},
  ): Promise<UdsReply | 'interrupted'> {
    return (await this.#patiently(request, signal, options)).reply;
  }

  /**
   * Notes that the ECU restarts and may not receive anything for `timing.resetMs`. Repeatable requests are repeated for
   * this time, until the first answer.
   */
  expectRestart(): void {
    this.#deafUntilMs = this.clock.nowMs() + this.ecu.timing.resetMs;
  }

  /** Repeats a lost request by the table of repeats. */
  async #carried(
    request: Uint8Array,
    signal: AbortSignal | undefined,
    options: AskOptions,
  ): Promise<Carried> {
    const rule = options.once
      ? ({ kind: 'once' } as const)
      : repeatRule(request, this.ecu.programming);
    const beganMs = this.clock.nowMs();
    for (let tries = 1; ; tries++) {
      const carried = { ...(await this.#patiently(request, signal, options)), tries };
      const { reply } = carried;
      if (reply === 'interrupted') return carried;
      if (isRestarting(request, reply)) {
        const untilMs = beganMs + this.ecu.timing.resetMs;
        this.#deafUntilMs = Math.max(this.#deafUntilMs, untilMs);
      }
      if (!isLost(reply)) {
        this.#deafUntilMs = 0;
        return carried;
      }
      if (rule.kind === 'once') return carried;
      if (tries >= rule.tries && this.clock.nowMs() >= this.#deafUntilMs) return carried;
      await sleep(this.clock, 'repeat', repeatPauseMs(tries), signal);
      if (signal?.aborted) return { ...carried, reply: 'interrupted' };
      if (rule.kind === 'look-first' && (await options.look?.()) !== true) return carried;
    }
  }

  /** Repeats a request while the ECU is busy (NRC 21 and 94), until the total time is over. */
  async #patiently(
    request: Uint8Array,
    signal: AbortSignal | undefined,
    { pendingLimitMs = this.ecu.timing.pendingLimitMs, patienceMs: most = Infinity }: AskOptions,
  ): Promise<Omit<Carried, 'tries'>> {
    let firstMs: number | undefined;
    let pauseMs: number | undefined;
    for (;;) {
      if (signal?.aborted) return { reply: 'interrupted', busy: undefined };
      const reply = await this.#requester.request(request, {
        pendingLimitMs,
        ...defined({ signal }),
      });
      if (signal?.aborted && reply.kind !== 'positive') {
        return { reply: 'interrupted', busy: undefined };
      }
      const patience =
        reply.kind === 'negative' ? patienceMs(reply.nrc, this.ecu.timing) : undefined;
      if (patience === undefined) return { reply, busy: undefined };
      const nowMs = this.clock.nowMs();
      firstMs ??= nowMs;
      const leftMs = Math.min(patience.limitMs, most) - (nowMs - firstMs);
      if (leftMs <= 0) {
        return { reply, busy: { waitedMs: nowMs - firstMs, field: patience.field } };
      }
      pauseMs = nextBusyPauseMs(pauseMs);
      await sleep(this.clock, 'busy-repeat', Math.min(pauseMs, leftMs), signal);
    }
  }

  /** The bytes of the positive response, or a failure. `doing` completes "while ...". */
  async ask(
    request: Uint8Array,
    doing: string,
    signal?: AbortSignal,
    options: AskOptions = {},
  ): Promise<Exchanged<Uint8Array>> {
    const { reply, tries, busy } = await this.#carried(request, signal, options);
    const answer = this.interpret(request, doing, reply);
    if (answer.ok) return answer;
    if (busy !== undefined && busy.waitedMs > 0) {
      const reason = `${answer.reason} (repeated for ${Math.round(busy.waitedMs)} ms, ${this.field(busy.field)})`;
      return { ...answer, code: 'BUSY', reason, transient: true };
    }
    if (tries === 1) return answer;
    const told = { ...answer, reason: `${answer.reason} (asked ${tries} times)` };
    return answer.nrc === undefined ? told : refusedRepeat(told);
  }

  /** Like `ask`, with the decoded response. */
  async askFor<T extends object>(
    request: Uint8Array,
    doing: string,
    decode: (bytes: Uint8Array) => T | Malformed,
    signal?: AbortSignal,
    options: AskOptions = {},
  ): Promise<Exchanged<T>> {
    const answer = await this.ask(request, doing, signal, options);
    if (!answer.ok) return answer;
    const value = decode(answer.value);
    if (isMalformed(value)) {
      return this.malformed(request, doing, value.malformed);
    }
    return { ok: true, value };
  }

  /** Reads DID F186; undefined when the ECU does not report it. */
  async activeSession(signal?: AbortSignal): Promise<number | undefined> {
    const session = await this.#askSession(signal);
    return session.ok ? session.value : undefined;
  }

  /**
   * Check before a programming request is sent again: the ECU answers, and is still in its programming session where it
   * reports its session.
   */
  async isStillProgramming(signal?: AbortSignal): Promise<boolean> {
    // The lost request counts as the first try of this check.
    const once = this.clock.nowMs() >= this.#deafUntilMs;
    const session = await this.#askSession(signal, { once });
    if (!session.ok) return isNotKnown(session);
    return session.value === undefined || session.value === Session.programming;
  }

  /** Check before a reset is sent again: the ECU reports a session that a restart would have ended. */
  async keepsSession(signal?: AbortSignal): Promise<boolean> {
    const session = await this.#askSession(signal, { once: true, patienceMs: 0 });
    return session.ok && session.value !== undefined && session.value !== Session.default;
  }

  async #askSession(
    signal?: AbortSignal,
    options: AskOptions = {},
  ): Promise<Exchanged<number | undefined>> {
    const request = readDataByIdentifier.encodeRequest(Did.activeDiagnosticSession);
    const answer = await this.ask(request, 'asking for its session', signal, options);
    if (!answer.ok) return answer;
    return { ok: true, value: answer.value.length === 4 ? answer.value[3] : undefined };
  }

  malformed(request: Uint8Array, doing: string, reason: string): Refusal {
    return failure(
      'MALFORMED',
      `${this.peer}: the answer to ${sidText(byteAt(request, 0))} while ${doing} breaks its format: ${reason}`,
    );
  }

  interpret(
    request: Uint8Array,
    doing: string,
    reply: UdsReply | 'interrupted',
  ): Exchanged<Uint8Array> {
    const what = `${sidText(byteAt(request, 0))} while ${doing}`;
    if (reply === 'interrupted') {
      return failure('INTERRUPTED', `${this.peer}: stopped before ${what} was answered`, true);
    }
    switch (reply.kind) {
      case 'positive':
        return { ok: true, value: reply.data };
      case 'suppressed':
        return { ok: true, value: new Uint8Array() };
      case 'negative':
        return { ...this.#refused(what, reply.nrc), ...(reply.pended && { pended: true }) };
      case 'silent':
        if (reply.pending) {
          const limit = `${Math.round(reply.waitedMs)} ms (${this.field('timing.pendingLimitMs')})`;
          return failure(
            'BUSY',
            `${this.peer}: ${what} is still pending after ${limit}, and the ECU sent no final answer`,
            true,
          );
        }
        return failure(
          'SILENT',
          `${this.peer}: no answer to ${what} within ${Math.round(reply.waitedMs)} ms (${reply.timer}): ` +
            this.advise('silent'),
          true,
        );
      case 'malformed':
        return this.malformed(request, doing, reply.reason);
      case 'unexpected':
        return {
          ...failure(
            'UNEXPECTED',
            `${this.peer}: answered ${what} with something else: ${reply.reason}; is another tester active?`,
            true,
          ),
          ...(reply.spoiled && { spoiled: true }),
        };
      case 'transport': {
        const down = reply.result === 'BUS' || reply.result === 'CLOSED';
        const text = `${this.peer}: ${what} was not carried (${reply.result}): ${reply.reason}`;
        if (down) return failure('BUS', `${text}; bring the bus up again`, true);
        return failure(reply.result === 'N_WFT_OVRN' ? 'BUSY' : 'TRANSPORT', text, true);
      }
    }
  }

  #refused(what: string, nrc: number): Refusal {
    const text = `${this.peer} refused ${what}: ${nrcText(nrc)}`;
    if (SECURITY.has(nrc)) {
      const hint =
        nrc === Nrc.requiredTimeDelayNotExpired || nrc === Nrc.exceededNumberOfAttempts
          ? this.advise('security-delay')
          : this.advise('security');
      return failure('SECURITY', `${text}; ${hint}`, false, nrc);
    }
    if (isCondition(nrc)) {
      return failure(
        'PRECONDITION',
        `${text}; bring the vehicle into the condition for programming and try again`,
        false,
        nrc,
      );
    }
    return failure('REFUSED', text, false, nrc);
  }
}
