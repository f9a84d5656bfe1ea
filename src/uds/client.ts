// The UDS client of a tester: the engine of client-engine.ts on a connection and a clock, with a queue.

import type { Clock, Timer } from '../core/clock.ts';
import { assertNever, describeError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { IsoTpConnection, SendResult } from '../isotp/connection.ts';
import { AnswerLog } from './answer-log.ts';
import { clientDue, stepClient, TESTER_PRESENT } from './client-engine.ts';
import {
  type ClientConfig,
  type ClientEffect,
  type ClientInput,
  type ClientState,
  type ClientTiming,
  initialClientState,
} from './client-state.ts';
import { isWanted } from './client-strays.ts';
import { UdsError } from './error.ts';
import type { KeepAlive, RequestOptions, UdsReply, UdsRequester } from './reply.ts';
import { withSuppressedPositive } from './request-form.ts';

export type { ClientTiming } from './client-state.ts';

export interface UdsClientOptions {
  readonly connection: IsoTpConnection;
  /** Send-only, to all ECUs. Without it, broadcasts and tester present go to this ECU only. */
  readonly functional?: IsoTpConnection;
  readonly clock: Clock;
  readonly timing: ClientTiming;
  readonly logger?: Logger;
}

/** ISO 14229-2 table 5: S3client. */
const S3_CLIENT_MS = 2000;

/**
 * ISO 14229-2 table 4, P3client_Func: how long every ECU has to handle a functional request without an answer. At least
 * P2server_max, which is 50 ms unless an ECU declares another value.
 */
const P3_CLIENT_FUNC_MS = 100;

/** A timer that fires later than this shows that the process was blocked. */
const LATE_MS = 5;
/** Time for a blocked process to handle the messages that have arrived. */
const GRACE_MS = 50;

interface QueuedRequest {
  readonly kind: 'request';
  readonly request: Uint8Array;
  readonly options: RequestOptions;
  readonly resolve: (reply: UdsReply) => void;
}

interface QueuedBroadcast {
  readonly kind: 'broadcast';
  readonly request: Uint8Array;
  readonly connection: IsoTpConnection;
  readonly resolve: () => void;
  readonly reject: (error: UdsError) => void;
}

type Queued = QueuedRequest | QueuedBroadcast;

/** Sends one request at a time, in the order of the calls. A fault of the ECU is a reply, never an exception. */
export class UdsClient implements UdsRequester {
  readonly #options: UdsClientOptions;
  readonly #config: ClientConfig;
  readonly #logger: Logger;
  readonly #answerLog: AnswerLog;
  #state: ClientState = initialClientState;
  readonly #queue: Queued[] = [];
  #current: Queued | undefined;
  #inputs: ClientInput[] = [];
  #running = false;
  #timer: Timer | undefined;
  #timerDueMs: number | undefined;
  #pause: Timer | undefined;
  #closed = false;

  constructor(options: UdsClientOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#answerLog = new AnswerLog(this.#logger);
    this.#config = {
      timing: options.timing,
      s3Ms: S3_CLIENT_MS,
    };
    options.connection.listen({
      onMessage: (message, atMs) => this.#feed({ kind: 'response', message, atMs }),
      onFirstFrame: (length, atMs) => this.#feed({ kind: 'first-frame', length, atMs }),
      onUnwanted: (start, length, atMs) => this.#feed({ kind: 'unwanted', start, length, atMs }),
      onReceiveError: (result, reason) => this.#feed({ kind: 'receive-error', result, reason }),
    });
    options.connection.screen?.(
      (start) => !this.#closed && isWanted(this.#state, start, options.clock.nowMs()),
    );
  }

  /** Answers to no request of this client since its creation: another tester talks to the same ECU. */
  get foreignAnswers(): number {
    return this.#answerLog.foreign;
  }

  /** Throws RangeError for an empty request. An aborted request ends as transport failure CLOSED, also when the client closes. */
  request(request: Uint8Array, options: RequestOptions = {}): Promise<UdsReply> {
    if (request.length === 0) throw new RangeError('a request has at least one byte');
    return new Promise((resolve) => {
      const { signal } = options;
      if (this.#closed || signal?.aborted) {
        return resolve(aborted(this.#closed ? 'the client is closed' : 'aborted by the caller'));
      }
      const onAbort = (): void => this.#abort(queued);
      const queued: QueuedRequest = {
        kind: 'request',
        request,
        options,
        resolve: (reply) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(reply);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#enqueue(queued);
    });
  }

  /**
   * Resolves when the request was sent. It waits for the requests before it, and the next one waits for P3client, so that
   * the slowest ECU has handled it. Rejects with UdsError TRANSPORT.
   */
  async broadcast(request: Uint8Array): Promise<void> {
    if (request.length === 0) throw new RangeError('a request has at least one byte');
    const message = withSuppressedPositive(request);
    const { functional: connection } = this.#options;
    if (connection === undefined) {
      const reply = await this.request(message);
      if (reply.kind === 'transport') throw transportError(reply.result, reply.reason);
      return;
    }
    if (this.#closed) throw transportError('CLOSED', 'the client is closed');
    await new Promise<void>((resolve, reject) => {
      this.#enqueue({ kind: 'broadcast', request: message, connection, resolve, reject });
    });
  }

  keepAlive(whom: KeepAlive): void {
    const isAlone = this.#options.functional === undefined;
    this.#feed({ kind: 'keep-alive', whom: whom === 'all-ecus' && isAlone ? 'this-ecu' : whom });
  }

  /** Ends all queued and open requests. The connections belong to the caller. */
  close(): void {
    if (this.#closed) return;
    this.#feed({ kind: 'keep-alive', whom: 'off' });
    const waiting = this.#queue.splice(0);
    this.#feed({ kind: 'abort', reason: 'the client was closed' });
    this.#closed = true;
    this.#answerLog.close();
    this.#pause?.cancel();
    this.#timer?.cancel();
    if (this.#current !== undefined) waiting.unshift(this.#current);
    this.#current = undefined;
    for (const queued of waiting) {
      if (queued.kind === 'request') queued.resolve(aborted('the client was closed'));
      else queued.reject(transportError('CLOSED', 'the client was closed'));
    }
  }

  #enqueue(queued: Queued): void {
    this.#queue.push(queued);
    this.#next();
  }

  #abort(queued: QueuedRequest): void {
    if (this.#current === queued) {
      this.#feed({ kind: 'abort', reason: 'aborted by the caller' });
      return;
    }
    const at = this.#queue.indexOf(queued);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    queued.resolve(aborted('aborted by the caller'));
  }

  #next(): void {
    if (this.#current !== undefined || this.#pause !== undefined) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#current = next;
    if (next.kind === 'request') {
      const pendingLimitMs = next.options.pendingLimitMs ?? this.#config.timing.pendingLimitMs;
      this.#feed({ kind: 'request', request: next.request, pendingLimitMs });
      return;
    }
    this.#send(next.connection, next.request, (result) => {
      if (this.#current !== next) return;
      this.#current = undefined;
      if (result.result === 'N_OK') next.resolve();
      else next.reject(transportError(result.result, result.reason));
      // ISO 14229-2 table 4: P3client_Func, for ECUs that must not answer.
      const pauseMs = Math.min(P3_CLIENT_FUNC_MS, this.#config.timing.p2Ms);
      const leftMs = result.atMs + pauseMs - this.#options.clock.nowMs();
      this.#pause = this.#options.clock.after('P3client_Func', Math.max(0, leftMs), () => {
        this.#pause = undefined;
        this.#next();
      });
    });
  }

  #feed(input: ClientInput): void {
    if (this.#closed) return;
    this.#inputs.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const nowMs = this.#options.clock.nowMs();
        const { state, effects } = stepClient(this.#state, next, nowMs, this.#config);
        this.#state = state;
        for (const effect of effects) this.#run(effect);
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  #run(effect: ClientEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(this.#options.connection, effect.message, (result) =>
          this.#feed({ kind: 'sent', id: effect.id, result }),
        );
        break;
      case 'settle': {
        const current = this.#current;
        this.#current = undefined;
        if (current?.kind === 'request') current.resolve(effect.reply);
        this.#next();
        break;
      }
      case 'tester-present':
        this.#send(
          (effect.whom === 'all-ecus' ? this.#options.functional : undefined) ??
            this.#options.connection,
          TESTER_PRESENT,
          (result) => {
            if (result.result === 'N_OK') return;
            this.#logger.warn({ result: result.result }, `tester present lost: ${result.reason}`);
          },
        );
        break;
      case 'discarded':
        this.#answerLog.note(effect, this.#options.clock.nowMs());
        break;
      default:
        assertNever(effect);
    }
  }

  /** Sends a message; if the connection refuses it, the request ends like one that could not be sent. */
  #send(
    connection: IsoTpConnection,
    message: Uint8Array,
    done: (result: SendResult) => void,
  ): void {
    try {
      connection.send(message, done);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const atMs = this.#options.clock.nowMs();
      done({ result: 'N_ERROR', atMs, reason: describeError(error) });
    }
  }

  #arm(): void {
    const due = this.#closed ? undefined : clientDue(this.#state);
    if (due?.dueMs === this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = due?.dueMs;
    if (due === undefined) return;
    const delayMs = Math.max(0, due.dueMs - this.#options.clock.nowMs());
    this.#timer = this.#options.clock.after(due.name, delayMs, () => {
      // Late: the process was blocked, and an answer may wait in its queue behind this timer.
      const lateMs = this.#options.clock.nowMs() - due.dueMs;
      if (lateMs <= LATE_MS) this.#tick();
      else this.#timer = this.#options.clock.after(due.name, GRACE_MS, () => this.#tick());
    });
  }

  #tick(): void {
    this.#timer = undefined;
    this.#timerDueMs = undefined;
    this.#feed({ kind: 'tick' });
  }
}

function aborted(reason: string): UdsReply {
  return { kind: 'transport', result: 'CLOSED', reason };
}

function transportError(result: SendResult['result'], reason: string): UdsError {
  return new UdsError('TRANSPORT', `sending to all ECUs failed with ${result}: ${reason}`, {
    result,
  });
}
