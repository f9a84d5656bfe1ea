// The UDS server of an ECU: the engine of server-engine.ts on a connection and a clock, with a table of handlers.

import { byteAt, toHex } from '../core/bytes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { assertNever, describeError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { IsoTpConnection } from '../isotp/connection.ts';
import { Nrc } from './nrc.ts';
import { withoutSuppressBit } from './request-form.ts';
import type { SecurityAccess } from './security.ts';
import { admit } from './server-dispatch.ts';
import {
  initialServerState,
  type Job,
  negativeResponse,
  type ServerEffect,
  type ServerInput,
  type ServerState,
  serverDueMs,
  stepServer,
} from './server-engine.ts';
import {
  type CommunicationState,
  communicationControlHandler,
  controlDtcSettingHandler,
  FULL_COMMUNICATION,
  sessionControlHandler,
  testerPresentHandler,
} from './server-handlers.ts';
import {
  DEFAULT_SERVER_TIMING,
  type Reply,
  type ServerTiming,
  type ServiceContext,
  type ServiceHandlers,
  type SessionReason,
} from './server-types.ts';
import { Sid, serviceOf } from './services/all.ts';
import { POSITIVE_RESPONSE_OFFSET, Session } from './sid.ts';

export type { CommunicationState } from './server-handlers.ts';
export type {
  Reply,
  ServerTiming,
  ServiceContext,
  ServiceHandler,
  ServiceHandlers,
  SessionReason,
} from './server-types.ts';

export interface UdsServerOptions {
  readonly physical: IsoTpConnection;
  /** Requests to all ECUs; their answers are sent on `physical`. */
  readonly functional?: IsoTpConnection;
  readonly clock: Clock;
  /** Handlers by service identifier. They replace the built-in ones of 10, 27, 28, 3E and 85. */
  readonly handlers?: ServiceHandlers;
  /** Sessions that service 10 accepts; default, programming and extended by default. */
  readonly sessions?: readonly number[];
  /** Returns an NRC against entering the session, undefined to allow it. */
  readonly mayEnterSession?: (session: number, context: ServiceContext) => Nrc | undefined;
  readonly security?: SecurityAccess;
  readonly timing?: Partial<ServerTiming>;
  readonly logger?: Logger;
  /** Called after every change, including re-entry of the same session. */
  readonly onSession?: (from: number, to: number, reason: SessionReason) => void;
  readonly onCommunication?: (state: CommunicationState) => void;
  readonly onDtcSetting?: (on: boolean) => void;
}

/** A timer that fires later than this shows that the process was blocked. */
const LATE_MS = 5;
/** Time for a blocked process to handle the messages that have arrived. */
const GRACE_MS = 50;

/** Answers one request at a time. No message of a peer makes it throw. */
export class UdsServer {
  readonly #options: UdsServerOptions;
  readonly #timing: ServerTiming;
  readonly #handlers: ServiceHandlers;
  readonly #logger: Logger;
  #state: ServerState = initialServerState;
  #inputs: ServerInput[] = [];
  #running = false;
  #timer: Timer | undefined;
  #timerDueMs: number | undefined;
  #afterSent: { readonly id: number; readonly run: () => void } | undefined;
  #communication = FULL_COMMUNICATION;
  #dtcSetting = true;
  #closed = false;

  constructor(options: UdsServerOptions) {
    this.#options = options;
    this.#timing = { ...DEFAULT_SERVER_TIMING, ...options.timing };
    this.#logger = options.logger ?? silentLogger;
    const sessions = options.sessions ?? [Session.default, Session.programming, Session.extended];
    const notDefault = sessions.filter((session) => session !== Session.default);
    this.#handlers = {
      [Sid.diagnosticSessionControl]: sessionControlHandler({
        sessions,
        timing: this.#timing,
        mayEnter: (session, context) => options.mayEnterSession?.(session, context),
        enter: (session) => this.changeSession(session),
      }),
      [Sid.testerPresent]: testerPresentHandler(),
      [Sid.communicationControl]: communicationControlHandler({
        sessions: notDefault,
        state: () => this.#communication,
        change: (state) => this.#setCommunication(state),
      }),
      [Sid.controlDtcSetting]: controlDtcSettingHandler({
        sessions: notDefault,
        change: (on) => this.#setDtcSetting(on),
      }),
      ...(options.security && { [Sid.securityAccess]: options.security.handler(notDefault) }),
      ...options.handlers,
    };
    this.#listen(options.physical, false);
    if (options.functional !== undefined) this.#listen(options.functional, true);
  }

  get session(): number {
    return this.#state.session;
  }

  /** The unlocked level of SecurityAccess, 0 when locked. */
  get securityLevel(): number {
    return this.#options.security?.level ?? 0;
  }

  get communication(): CommunicationState {
    return this.#communication;
  }

  /** False: faults must not be stored (85 02). */
  get dtcSetting(): boolean {
    return this.#dtcSetting;
  }

  /** A handler is at work or its answer has not left yet. */
  get busy(): boolean {
    return this.#state.phase.kind !== 'idle';
  }

  /** For handlers of an ECU that replace service 10; they call it from `afterSent`. */
  changeSession(session: number): void {
    this.#feed({ kind: 'session', session, reason: 'request' });
  }

  /** Restores the state after power-on: default session, locked, no request. Answers of running handlers are dropped. */
  reset(): void {
    const from = this.#state.session;
    this.#state = { ...initialServerState, nextId: this.#state.nextId + 1 };
    this.#inputs = [];
    this.#afterSent = undefined;
    this.#options.security?.powerOn(this.#options.clock.nowMs());
    this.#enter(from, Session.default, 'reset');
    this.#arm();
  }

  /** Stops the timers and ignores further messages; the connections belong to the caller. */
  close(): void {
    this.#closed = true;
    this.#inputs = [];
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #listen(connection: IsoTpConnection, functional: boolean): void {
    connection.listen({
      onMessage: (message, atMs) =>
        this.#feed({ kind: 'request', request: { message, functional, atMs } }),
      onFirstFrame: () => this.#feed({ kind: 'first-frame' }),
      onReceiveError: (result, reason) => {
        this.#logger.debug({ result }, `request lost: ${reason}`);
        this.#feed({ kind: 'receive-error' });
      },
    });
  }

  /** Inputs that arrive while effects run are queued. */
  #feed(input: ServerInput): void {
    if (this.#closed) return;
    this.#inputs.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const { state, effects } = stepServer(
          this.#state,
          next,
          this.#options.clock.nowMs(),
          this.#timing,
        );
        this.#state = state;
        for (const effect of effects) this.#run(effect);
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  #run(effect: ServerEffect): void {
    switch (effect.kind) {
      case 'dispatch':
        this.#dispatch(effect.job);
        break;
      case 'handle':
        // A bus writes the frames of a turn in a microtask: the work starts in the next one.
        if (effect.announced) queueMicrotask(() => this.#handle(effect.job));
        else this.#handle(effect.job);
        break;
      case 'send':
        this.#send(effect.message, effect.final);
        break;
      case 'finished': {
        const after = this.#afterSent;
        this.#afterSent = undefined;
        if (after?.id === effect.id) this.#guard('afterSent', after.run);
        this.#inputs.push({ kind: 'resume' });
        break;
      }
      case 'session':
        this.#enter(effect.from, effect.to, effect.reason);
        break;
      case 'overdue':
        this.#logger.error(
          { request: toHex(effect.job.message.subarray(0, 16)) },
          `handler is busy for more than ${this.#timing.pendingLimitMs} ms, answered generalReject in its place`,
        );
        break;
      default:
        assertNever(effect);
    }
  }

  #dispatch(job: Job): void {
    const request = withoutSuppressBit(job.message);
    const admission = admit(this.#handlers, request, this.#contextOf(job));
    if (admission.kind === 'refuse') {
      this.#settle(job, { nrc: admission.nrc });
      return;
    }
    const costly = admission.handler.isCostly?.(request) === true;
    this.#feed({ kind: 'admitted', id: job.id, costly });
  }

  #handle(job: Job): void {
    const { phase } = this.#state;
    if (phase.kind !== 'handling' || phase.job.id !== job.id) return;
    const reply = this.#replyOf(job);
    if (reply instanceof Promise) {
      reply.then(
        (value) => this.#settle(job, value),
        (error: unknown) => this.#settle(job, this.#failure(job, error)),
      );
      // The process may have been late before or in the handler: no turn of the event loop is lost until the timer fires.
      this.#feed({ kind: 'tick' });
    } else {
      this.#settle(job, reply);
    }
  }

  #replyOf(job: Job): Reply | Promise<Reply> {
    try {
      const handler = this.#handlers[job.sid];
      if (handler === undefined) return { nrc: Nrc.serviceNotSupported };
      return handler.handle(withoutSuppressBit(job.message), this.#contextOf(job));
    } catch (error) {
      return this.#failure(job, error);
    }
  }

  #contextOf(job: Job): ServiceContext {
    return {
      session: this.#state.session,
      securityLevel: this.securityLevel,
      functional: job.functional,
      nowMs: job.atMs,
    };
  }

  #settle(job: Job, reply: Reply): void {
    // After a reset the job does not exist any more: its answer and its `afterSent` are dropped.
    const { phase } = this.#state;
    if (phase.kind === 'idle' || phase.job.id !== job.id) return;
    const checked = this.#checked(job, reply);
    if (checked.afterSent !== undefined) this.#afterSent = { id: job.id, run: checked.afterSent };
    this.#feed({ kind: 'settled', id: job.id, reply: checked });
  }

  /** A missing answer, or an answer to another service, is a mistake in the handler that must not reach the bus. */
  #checked(job: Job, reply: Reply | undefined): Reply {
    if (reply === undefined) return this.#failure(job, new Error('the handler gave no answer'));
    if ('nrc' in reply || reply.positive[0] === job.sid + POSITIVE_RESPONSE_OFFSET) return reply;
    return this.#failure(
      job,
      new Error(
        `the handler's answer ${toHex(reply.positive.subarray(0, 8))} belongs to another service`,
      ),
    );
  }

  #failure(job: Job, error: unknown): Reply {
    this.#logger.error(
      { request: toHex(job.message.subarray(0, 16)), error: describeError(error) },
      'handler failed',
    );
    return {
      nrc:
        serviceOf(job.sid)?.programs === true ? Nrc.generalProgrammingFailure : Nrc.generalReject,
    };
  }

  #send(message: Uint8Array, final: number | undefined): void {
    const done = final === undefined ? undefined : () => this.#feed({ kind: 'sent', id: final });
    try {
      this.#options.physical.send(message, (result) => {
        if (result.result !== 'N_OK') {
          this.#logger.warn({ result: result.result }, `answer lost: ${result.reason}`);
        }
        done?.();
      });
    } catch (error) {
      // Annex A.1: the answer is too long for the transport.
      if (error instanceof RangeError && message.length > 3) {
        this.#send(negativeResponse(byteAt(message, 0) & ~0x40, Nrc.responseTooLong), final);
        return;
      }
      this.#logger.error({ error: describeError(error) }, 'answer could not be sent');
      done?.();
    }
  }

  /** ISO 14229-1 10.2.1 table 23: effects of a change of session. */
  #enter(from: number, to: number, reason: SessionReason): void {
    this.#options.security?.lock();
    if (to === Session.default) {
      this.#setCommunication(FULL_COMMUNICATION);
      this.#setDtcSetting(true);
    }
    this.#guard('onSession', () => this.#options.onSession?.(from, to, reason));
  }

  #setCommunication(state: CommunicationState): void {
    if (state === this.#communication) return;
    this.#communication = state;
    this.#guard('onCommunication', () => this.#options.onCommunication?.(state));
  }

  #setDtcSetting(on: boolean): void {
    if (on === this.#dtcSetting) return;
    this.#dtcSetting = on;
    this.#guard('onDtcSetting', () => this.#options.onDtcSetting?.(on));
  }

  #guard(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#logger.error({ error: describeError(error) }, `${what} failed`);
    }
  }

  /** Sets one timer for the next deadline of the engine. */
  #arm(): void {
    const dueMs = this.#closed ? undefined : serverDueMs(this.#state);
    if (dueMs === this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = dueMs;
    if (dueMs === undefined) return;
    const handling = this.#state.phase.kind === 'handling';
    const name = handling ? 'P2server' : 'S3server';
    const delayMs = Math.max(0, dueMs - this.#options.clock.nowMs());
    this.#timer = this.#options.clock.after(name, delayMs, () => {
      // Late: the process was blocked, and a request that keeps the session may wait behind this timer.
      const lateMs = this.#options.clock.nowMs() - dueMs;
      if (handling || lateMs <= LATE_MS) this.#tick();
      else this.#timer = this.#options.clock.after(name, GRACE_MS, () => this.#tick());
    });
  }

  #tick(): void {
    this.#timer = undefined;
    this.#timerDueMs = undefined;
    this.#feed({ kind: 'tick' });
  }
}
