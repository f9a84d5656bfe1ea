// One request to one ECU, and what its reply means for a driver: bytes, or a failure that a person can act on.

import type { DriverErrorCode, DriverFailure } from '../campaign/ports.ts';
import { hexNumber } from '../core/bytes.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { isMalformed, type Malformed } from '../uds/codec.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import type { UdsReply, UdsRequester } from '../uds/reply.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import { Did, sidText } from '../uds/sid.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { type Advice, type AdviceTopic, vehicleFileAdvice } from './advice.ts';

/** A failure with the negative response code where there was one. */
export interface Refusal extends DriverFailure {
  readonly nrc?: number;
}

export type Exchanged<T> = { readonly ok: true; readonly value: T } | Refusal;

export function failure(
  code: DriverErrorCode,
  reason: string,
  transient = false,
  nrc?: number,
): Refusal {
  return { ok: false, code, reason, transient, ...(nrc === undefined ? {} : { nrc }) };
}

/** `EDT (7E1 -> 7E9)`: name and identifiers as the vehicle file gives them. */
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

/** NRCs by which an ECU says that it does not know what was asked (policy `try` goes on). */
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

const SECURITY: ReadonlySet<number> = new Set([
  Nrc.securityAccessDenied,
  Nrc.authenticationRequired,
  Nrc.invalidKey,
  Nrc.exceededNumberOfAttempts,
  Nrc.requiredTimeDelayNotExpired,
]);

/** 22, and the conditions of a vehicle (81 to 94 in annex A.1). */
function isCondition(nrc: number): boolean {
  return nrc === Nrc.conditionsNotCorrect || (nrc >= 0x81 && nrc <= 0x94);
}

/** Pauses before a request is repeated that the ECU answered with busyRepeatRequest. */
const BUSY_WAITS_MS = [50, 100, 200, 400];

export interface ExchangeOptions {
  readonly ecu: VehicleEcu;
  readonly requester: UdsRequester;
  readonly clock: Clock;
  /** What a person can do about a failure; that of a vehicle file unless given. */
  readonly advice?: Advice;
}

/** All requests of a driver go through here. */
export class Exchange {
  readonly ecu: VehicleEcu;
  readonly clock: Clock;
  readonly #requester: UdsRequester;
  readonly #advice: Advice;

  constructor(options: ExchangeOptions) {
    this.ecu = options.ecu;
    this.clock = options.clock;
    this.#requester = options.requester;
    this.#advice = options.advice ?? vehicleFileAdvice;
  }

  get peer(): string {
    return peerText(this.ecu);
  }

  /** What a person can do about it; completes the sentence of a failure. */
  advise(topic: AdviceTopic): string {
    return this.#advice.about(topic, this.ecu);
  }

  /** A field of the vehicle file, as a person can reach it. */
  field(name: string): string {
    return this.#advice.field(name);
  }

  keepAlive(on: boolean): void {
    this.#requester.keepAlive(on);
  }

  /** Functional, without answers. A bus that is down shows at the next request. */
  async broadcast(request: Uint8Array): Promise<void> {
    await this.#requester.broadcast(request).catch(() => {});
  }

  /** The raw reply; busyRepeatRequest is repeated a few times. */
  async reply(
    request: Uint8Array,
    signal?: AbortSignal,
    pendingLimitMs: number = this.ecu.timing.pendingLimitMs,
  ): Promise<UdsReply | 'interrupted'> {
    for (const waitMs of [...BUSY_WAITS_MS, undefined]) {
      if (signal?.aborted) return 'interrupted';
      const reply = await this.#requester.request(request, {
        pendingLimitMs,
        ...(signal === undefined ? {} : { signal }),
      });
      if (signal?.aborted && reply.kind !== 'positive') return 'interrupted';
      const busy = reply.kind === 'negative' && reply.nrc === Nrc.busyRepeatRequest;
      if (!busy || waitMs === undefined) return reply;
      await sleep(this.clock, 'busy-repeat', waitMs, signal);
    }
    return 'interrupted';
  }

  /** Positive response bytes, or a failure. `doing` completes "while ...". */
  async ask(
    request: Uint8Array,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Exchanged<Uint8Array>> {
    return this.judge(request, doing, await this.reply(request, signal));
  }

  /** `ask`, and the decoded response. */
  async askFor<T extends object>(
    request: Uint8Array,
    doing: string,
    decode: (bytes: Uint8Array) => T | Malformed,
    signal?: AbortSignal,
  ): Promise<Exchanged<T>> {
    const answer = await this.ask(request, doing, signal);
    if (!answer.ok) return answer;
    const value = decode(answer.value);
    if (isMalformed(value)) {
      return this.malformed(request, doing, value.malformed);
    }
    return { ok: true, value };
  }

  /** DID F186; undefined when the ECU does not say. Used only to explain a failure. */
  async activeSession(): Promise<number | undefined> {
    const request = readDataByIdentifier.encodeRequest(Did.activeDiagnosticSession);
    const answer = await this.ask(request, 'asking for its session');
    return answer.ok && answer.value.length === 4 ? answer.value[3] : undefined;
  }

  malformed(request: Uint8Array, doing: string, reason: string): Refusal {
    return failure(
      'MALFORMED',
      `${this.peer}: the answer to ${sidText(request[0]!)} while ${doing} breaks its format: ${reason}`,
    );
  }

  judge(
    request: Uint8Array,
    doing: string,
    reply: UdsReply | 'interrupted',
  ): Exchanged<Uint8Array> {
    const what = `${sidText(request[0]!)} while ${doing}`;
    if (reply === 'interrupted') {
      return failure('INTERRUPTED', `${this.peer}: stopped before ${what} was answered`, true);
    }
    switch (reply.kind) {
      case 'positive':
        return { ok: true, value: reply.data };
      case 'suppressed':
        return { ok: true, value: new Uint8Array() };
      case 'negative':
        return this.#refused(what, reply.nrc);
      case 'silent':
        return failure(
          'SILENT',
          `${this.peer}: no answer to ${what} within ${Math.round(reply.waitedMs)} ms (${reply.timer}): ` +
            this.advise('silent'),
          true,
        );
      case 'malformed':
        return this.malformed(request, doing, reply.reason);
      case 'unexpected':
        return failure(
          'UNEXPECTED',
          `${this.peer}: answered ${what} with something else: ${reply.reason}; is another tester active?`,
          true,
        );
      case 'transport': {
        const down = reply.result === 'BUS' || reply.result === 'CLOSED';
        const text = `${this.peer}: ${what} was not carried (${reply.result}): ${reply.reason}`;
        return down
          ? failure('BUS', `${text}; bring the bus up again`, true)
          : failure('TRANSPORT', text, true);
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
