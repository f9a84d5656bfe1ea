// Sends one XCP command to one board and turns its reply into bytes, or into a failure that says what to do.

import type { DriverErrorCode } from '../../campaign/ports.ts';
import { byteAt } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { assertNever } from '../../core/errors.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import {
  type ByteOrder,
  commandText,
  encodeCommand,
  timerOf,
  type XcpCommand,
} from '../../xcp/commands.ts';
import { XcpError, xcpErrorAdvice, xcpErrorText } from '../../xcp/errors.ts';
import type { XcpRequester } from '../../xcp/master.ts';
import type { XcpReply } from '../../xcp/master-engine.ts';
import { type Advice, vehicleFileAdvice } from '../advice.ts';
import { failure, peerText, type Refusal } from '../exchange.ts';

/** A failure with the error code of the board where there was one. */
export interface BoardRefusal extends Refusal {
  readonly xcpError?: number;
}

export type BoardAnswer<T> = { readonly ok: true; readonly value: T } | BoardRefusal;

export interface BoardExchangeOptions {
  readonly ecu: VehicleEcu;
  readonly requester: XcpRequester;
  readonly clock: Clock;
  readonly advice?: Advice;
}

/** How often a command is sent whose answer is lost. */
const TRIES = 3;

/** Errors after which the programming can be begun again (XCP 1.0 part 2, error handling: restart the session). */
const RESTARTS: ReadonlySet<number> = new Set([
  XcpError.generic,
  XcpError.sequence,
  XcpError.verify,
]);

export class BoardExchange {
  readonly ecu: VehicleEcu;
  readonly clock: Clock;
  readonly requester: XcpRequester;
  readonly #advice: Advice;
  /** From the answer to CONNECT. */
  byteOrder: ByteOrder = 'intel';

  constructor(options: BoardExchangeOptions) {
    this.ecu = options.ecu;
    this.clock = options.clock;
    this.requester = options.requester;
    this.#advice = options.advice ?? vehicleFileAdvice;
  }

  get peer(): string {
    return peerText(this.ecu);
  }

  advise(topic: Parameters<Advice['about']>[0]): string {
    return this.#advice.about(topic, this.ecu);
  }

  field(name: string): string {
    return this.#advice.field(`programming.openblt.${name}`);
  }

  /**
   * The answer, or a failure. `doing` completes "while ...". `from`: the address that SET_MTA gives again before a
   * repeat, for a command that moves it on.
   */
  async ask(
    command: XcpCommand,
    doing: string,
    { signal, from, tries = TRIES }: AskBoardOptions = {},
  ): Promise<BoardAnswer<Uint8Array>> {
    const bytes = encodeCommand(command, this.byteOrder);
    const before =
      from === undefined
        ? []
        : [encodeCommand({ kind: 'set-mta', extension: 0, address: from }, this.byteOrder)];
    const reply = await this.requester.request(
      { bytes, timer: timerOf(command.kind), tries, before },
      signal,
    );
    return this.interpret(bytes, doing, reply, signal);
  }

  /** Like `ask`, with the decoded answer; undefined: the answer breaks its format. */
  async askFor<T extends object>(
    command: XcpCommand,
    doing: string,
    decode: (bytes: Uint8Array) => T | undefined,
    options: AskBoardOptions = {},
  ): Promise<BoardAnswer<T>> {
    const answer = await this.ask(command, doing, options);
    if (!answer.ok) return answer;
    const value = decode(answer.value);
    if (value !== undefined) return { ok: true, value };
    const what = commandText(byteAt(encodeCommand(command, this.byteOrder), 0));
    return failure(
      'MALFORMED',
      `${this.peer}: the answer to ${what} while ${doing} is too short: is another XCP slave on this identifier?`,
      true,
    );
  }

  interpret(
    request: Uint8Array,
    doing: string,
    reply: XcpReply,
    signal?: AbortSignal,
  ): BoardAnswer<Uint8Array> {
    const what = `${commandText(byteAt(request, 0))} while ${doing}`;
    if (signal?.aborted === true && reply.kind !== 'positive') return this.stopped(what);
    switch (reply.kind) {
      case 'positive':
        return { ok: true, value: reply.data };
      case 'error': {
        const { code, repeated } = reply;
        const reason = `${this.peer} refused ${what}: ${xcpErrorText(code)}; ${this.#adviceFor(code)}`;
        const refused = failure(codeOf(code), reason, repeated || RESTARTS.has(code));
        return { ...refused, xcpError: code };
      }
      case 'busy': {
        const limit = this.#advice.field('timing.busyLimitMs');
        const reason = `${this.peer} refused ${what}: ${xcpErrorText(reply.code)} (repeated for ${Math.round(reply.waitedMs)} ms, ${limit})`;
        return failure('BUSY', reason, true);
      }
      case 'silent':
        return failure(
          'SILENT',
          `${this.peer}: no answer to ${what} within ${Math.round(reply.waitedMs)} ms (${reply.timer}, sent ${reply.tries} times): ` +
            this.advise('silent'),
          true,
        );
      case 'transport':
        return failure(
          'BUS',
          `${this.peer}: ${what} was not carried: ${reply.reason}; bring the bus up again`,
          true,
        );
      default:
        return assertNever(reply);
    }
  }

  stopped(what: string): BoardRefusal {
    return failure('INTERRUPTED', `${this.peer}: stopped before ${what} was answered`, true);
  }

  #adviceFor(code: number): string {
    return code === XcpError.accessLocked ? this.advise('security') : xcpErrorAdvice(code);
  }
}

interface AskBoardOptions {
  readonly signal?: AbortSignal | undefined;
  readonly from?: number;
  readonly tries?: number;
}

function codeOf(code: number): DriverErrorCode {
  return code === XcpError.accessLocked ? 'SECURITY' : 'REFUSED';
}
