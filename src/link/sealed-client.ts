// Sealed requests of a device: one at a time, with sequence numbers, in a session that is renewed automatically.

import type { z } from 'zod';
import type { WithAnswer } from '../contract/endpoint.ts';
import { sealedSession } from '../contract/endpoints/registry/response.ts';
import { rotate } from '../contract/endpoints/registry/rotate.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import { sameProof, sessionKeys } from '../trust/device-session.ts';
import { nextDeviceKey } from '../trust/key-agreement.ts';
import {
  openMessage,
  SEALED_TYPE,
  type SealedSession,
  SUITES,
  type Suite,
  sealMessage,
} from '../trust/sealed-session.ts';
import { openingProof } from '../trust/session-opening.ts';
import { generateX25519 } from '../trust/signing-key.ts';
import type { DeviceIdentity } from './device-keys.ts';
import { DeviceKeys } from './device-keys.ts';
import { type Expected, parseJson, readProblem } from './foreign-answer.ts';
import { type KeyPairCredential, shakeHands, unproven } from './handshake.ts';
import { type Answer, type HttpClient, header, withSignal } from './http-client.ts';
import type { HttpResponse } from './http-transport.ts';
import { SealedState } from './sealed-state.ts';

/** A request refused by the backend, or an answer refused by the device. */
export interface SealedRefusal {
  /**
   * MALFORMED, WRONG_SESSION or FORGED for an answer; otherwise the backend's code: MESSAGE_REPLAYED, SESSION_UNKNOWN.
   */
  readonly code: string;
  readonly path: string;
}

export interface SealedClientOptions {
  readonly client: HttpClient;
  /** The server's address, with a slash at the end. */
  readonly base: URL;
  readonly device: DeviceIdentity;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The device's keys, shared with other clients of this device. */
  readonly keys?: DeviceKeys;
  readonly pair?: KeyPairCredential;
  readonly suite?: Suite;
  readonly onRefused?: (refusal: SealedRefusal) => void;
}

export interface PostOptions {
  readonly signal?: AbortSignal | undefined;
  /** See HttpInit. */
  readonly ownPause?: boolean;
}

/** Codes for a session that the backend does not accept; a new session can help. */
const SESSION_CODES = ['SESSION_UNKNOWN', 'MESSAGE_REPLAYED', 'MESSAGE_FORGED'];
const TRIES = 2;
/** Age at which a device's key is changed. */
const ROTATE_AFTER_MS = 30 * 24 * 3_600_000;
/** Least life of a session, for clocks that disagree about its end. */
const LEAST_LIFE_MS = 60_000;

export class SealedClient {
  readonly #options: SealedClientOptions;
  readonly #state: SealedState;
  readonly #keys: DeviceKeys;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: SealedClientOptions, state: SealedState, keys: DeviceKeys) {
    this.#options = options;
    this.#state = state;
    this.#keys = keys;
  }

  static async open(options: SealedClientOptions): Promise<SealedClient> {
    const { device, storage, clock } = options;
    const keys = options.keys ?? (await DeviceKeys.open(device, storage, clock));
    return new SealedClient(options, await SealedState.open(device.serial, storage), keys);
  }

  get #suite(): Suite {
    return this.#options.suite ?? SUITES[0];
  }

  /** The keys of this device, for callers that derive other keys from them. */
  get keys(): DeviceKeys {
    return this.#keys;
  }

  /** Sends JSON. A lost answer is a failure; the caller asks again with a new number. */
  json<T extends z.ZodType>(
    endpoint: WithAnswer<T>,
    value: unknown,
    signal?: AbortSignal,
  ): Promise<{ readonly value: z.output<T> } | BackendFailure> {
    return this.ask(endpoint, new TextEncoder().encode(JSON.stringify(value)), signal);
  }

  /** Like `json`, with an encoded body. */
  async ask<T extends z.ZodType>(
    { path, response }: WithAnswer<T>,
    body: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly value: z.output<T> } | BackendFailure> {
    const answer = await this.post(path, body, { signal });
    if (answer.kind === 'failed') return answer;
    return parseJson(answer.body, response.body, this.#url(path));
  }

  /** Sends bytes. A sealed refusal is a failure with the code `HTTP_<status>`. */
  post(
    path: string,
    body: Uint8Array,
    options: PostOptions = {},
  ): Promise<
    { readonly kind: 'answer'; readonly status: number; readonly body: Uint8Array } | BackendFailure
  > {
    return this.#inTurn(() =>
      this.#send(path, body, options, (message, session, sequence) =>
        this.#whole(path, message, session, sequence, options.signal),
      ),
    );
  }

  /** Sends a request whose answer is not sealed: returns the head, and the body as a stream. */
  open(
    path: string,
    body: Uint8Array,
    options: PostOptions = {},
  ): Promise<
    | { readonly kind: 'open'; readonly response: HttpResponse; readonly session: SealedSession }
    | BackendFailure
  > {
    return this.#inTurn(() =>
      this.#send(path, body, options, async (message, session, sequence) => {
        const url = this.#url(path);
        const { client } = this.#options;
        const { ownPause = false } = options;
        const request = { ...this.#request(message, 'records', options.signal), ownPause };
        const response = await client.open(url, request);
        if ('kind' in response) return response;
        if (response.status === 200 && !isSealed(response)) {
          return { kind: 'open', response, session };
        }
        const answer = await client.whole(response, url, request);
        if ('kind' in answer) return answer;
        const opened = this.#unseal(path, answer, session, sequence);
        return opened.kind === 'answer' ? this.#refused(answer, opened.body, path) : opened;
      }),
    );
  }

  /**
   * Changes the key of this device. Both keys open sessions until the backend has seen the new one, so an interruption
   * cannot lock the device out.
   */
  async rotate(signal?: AbortSignal): Promise<{ readonly kind: 'rotated' } | BackendFailure> {
    const pair = generateX25519(this.#options.random);
    const clientKey = toHex(pair.publicKey);
    const body = new TextEncoder().encode(JSON.stringify({ clientKey }));
    return this.#inTurn(async () => {
      const answer = await this.#send(
        rotate.path,
        body,
        { signal },
        async (message, session, n) => {
          const whole = await this.#whole(rotate.path, message, session, n, signal);
          return whole.kind === 'answer' ? { ...whole, session } : whole;
        },
      );
      if (answer.kind === 'failed') return answer;
      const told = parseJson(answer.body, rotate.response.body, this.#url(rotate.path));
      if ('kind' in told) return told;
      const keys = { clientKey, serverKey: told.value.serverKey };
      const next = nextDeviceKey(answer.session, pair.privateKey, keys, 'client');
      if (next === undefined) return unproven(this.#options, 'its part of the next key is none');
      await this.#keys.propose(next);
      // The next session makes the new key the only one.
      const opened = await this.#begin(signal);
      return 'kind' in opened ? opened : { kind: 'rotated' as const };
    });
  }

  /**
   * Changes the key when it is old. It must not be called during a download whose image is encrypted with this key. A
   * failure is logged, and the next call tries again.
   */
  async rotateWhenDue(signal?: AbortSignal): Promise<void> {
    const { clock, logger, pair } = this.#options;
    // A device with a key pair does not use the shared key.
    if (pair !== undefined) return;
    // With the absolute value a clock that was set back cannot keep a key for ever.
    const ageMs = Math.abs(clock.wallMs() - this.#keys.changedAtMs);
    if (!this.#keys.canChange || ageMs < ROTATE_AFTER_MS) return;
    const done = await this.rotate(signal);
    if (done.kind === 'failed') logger.warn({ reason: done.reason }, 'the key was not changed');
  }

  /** Sends in the present session or a new one, and once more when the backend does not know the session. */
  async #send<T extends { readonly kind: string }>(
    path: string,
    body: Uint8Array,
    { signal }: PostOptions,
    exchange: (
      message: Uint8Array,
      session: SealedSession,
      sequence: number,
    ) => Promise<T | BackendFailure | Unknown>,
  ): Promise<T | BackendFailure> {
    for (let tries = 1; ; tries++) {
      const session = await this.#session(signal);
      if ('kind' in session) return session;
      const sequence = await this.#state.nextSequence();
      const context = { from: 'device', path, sequence, status: 0 } as const;
      const message = sealMessage(session, context, body);
      const answer = await exchange(message, session, sequence);
      if (answer.kind !== 'unknown') return answer as T | BackendFailure;
      this.#note((answer as Unknown).code, path);
      await this.#state.end(session.id);
      if (tries >= TRIES) return (answer as Unknown).failure;
    }
  }

  async #whole(
    path: string,
    message: Uint8Array,
    session: SealedSession,
    sequence: number,
    signal: AbortSignal | undefined,
  ) {
    const url = this.#url(path);
    const request = this.#request(message, 'sealed', signal);
    const answer = await this.#options.client.json(url, request);
    if ('kind' in answer) return answer;
    const opened = this.#unseal(path, answer, session, sequence);
    if (opened.kind !== 'answer' || opened.status < 400) return opened;
    return this.#refused(answer, opened.body, path);
  }

  #unseal(
    path: string,
    answer: Answer,
    session: SealedSession,
    sequence: number,
  ):
    | { readonly kind: 'answer'; readonly status: number; readonly body: Uint8Array }
    | BackendFailure
    | Unknown {
    const { status } = answer;
    const url = this.#url(path);
    if (!isSealed(answer)) {
      // The refusal is not authenticated, so it may only cause a new session.
      const failure = this.#options.client.refused(answer, url);
      const code = readProblem(status, answer.body).code;
      if (status === 401 && SESSION_CODES.includes(code)) return { kind: 'unknown', code, failure };
      return failure;
    }
    const context = { from: 'server', path, sequence, status } as const;
    const opened = openMessage(session, context, answer.body);
    if (opened.ok) return { kind: 'answer', status, body: opened.body };
    this.#note(opened.code, path);
    return {
      kind: 'failed',
      code: 'ANSWER_FORGED',
      reason: `the answer of ${url.origin}${url.pathname} is not authentic (${opened.code}): the request is sent again`,
      transient: true,
    };
  }

  #refused({ status, headers }: Answer, body: Uint8Array, path: string): BackendFailure {
    const refused = this.#options.client.refused({ status, headers, body }, this.#url(path));
    return { ...refused, sealed: true };
  }

  #note(code: string, path: string): void {
    this.#options.logger.warn({ code, path }, 'a message is refused');
    this.#options.onRefused?.({ code, path });
  }

  async #session(signal: AbortSignal | undefined): Promise<SealedSession | BackendFailure> {
    const { renewAtMs } = this.#state;
    // A session of another suite is from an earlier start; the present suite applies from the first message on.
    const session = this.#state.session?.suite === this.#suite ? this.#state.session : undefined;
    if (session !== undefined && this.#options.clock.wallMs() < renewAtMs) return session;
    const next = await this.#begin(signal);
    // The old session is valid for as long again, so there is no gap when the backend is slow.
    return 'kind' in next && next.transient && session !== undefined ? session : next;
  }

  async #begin(signal: AbortSignal | undefined): Promise<SealedSession | BackendFailure> {
    const { clock, device } = this.#options;
    const { serial, hwId } = device;
    const suite = this.#suite;
    const wish = { suite, counter: await this.#state.count() };
    const agreed = await shakeHands(
      { ...this.#options, serial, hwId, keys: this.#keys },
      sealedSession,
      wish,
      signal,
    );
    if (agreed.kind === 'failed') return agreed;
    const { id, secret } = sessionKeys(agreed.key, agreed.exchanged);
    const session: SealedSession = { id, secret, serial, suite };
    const { expiresAt, counter, proof } = agreed.answer;
    if (!sameProof(openingProof(session, expiresAt, counter), proof)) {
      return unproven(
        this.#options,
        'its word for the session is not the one that both sides can derive',
      );
    }
    const nowMs = clock.wallMs();
    const lifeMs = Math.max(LEAST_LIFE_MS, Date.parse(expiresAt) - nowMs);
    await this.#state.begin(session, nowMs + lifeMs / 2, counter);
    return session;
  }

  #request(message: Uint8Array, expects: Expected, signal: AbortSignal | undefined) {
    return {
      method: 'POST',
      expects,
      headers: { 'content-type': SEALED_TYPE },
      body: message,
      ...withSignal(signal),
    } as const;
  }

  #url(path: string): URL {
    return new URL(path.slice(1), this.#options.base);
  }

  /** Runs one request after the other, because sequence numbers must arrive in order. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** The backend does not accept the session of the request. */
interface Unknown {
  readonly kind: 'unknown';
  readonly code: string;
  readonly failure: BackendFailure;
}

function isSealed(answer: Pick<Answer, 'headers'>): boolean {
  return (header(answer, 'content-type') ?? '').startsWith(SEALED_TYPE);
}
