// Sealed requests of a device: one at a time, each with a number of its own, in a session that is opened and renewed by itself.

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

/** An answer or a request that was refused, here or there. */
export interface SealedRefusal {
  /** MALFORMED, WRONG_SESSION or FORGED: an answer; otherwise the code of the backend: MESSAGE_REPLAYED, SESSION_UNKNOWN. */
  readonly code: string;
  readonly path: string;
}

export interface SealedClientOptions {
  readonly client: HttpClient;
  /** The server's address, with a slash at its end. */
  readonly base: URL;
  readonly device: DeviceIdentity;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Shared with whoever else proves this device. */
  readonly keys?: DeviceKeys;
  readonly pair?: KeyPairCredential;
  readonly suite?: Suite;
  readonly onRefused?: (refusal: SealedRefusal) => void;
}

export interface PostOptions {
  readonly signal?: AbortSignal | undefined;
  /** As in HttpInit. */
  readonly ownPause?: boolean;
}

/** What the backend says of a session that it does not take (any more): with another one it may. */
const SESSION_CODES = ['SESSION_UNKNOWN', 'MESSAGE_REPLAYED', 'MESSAGE_FORGED'];
const TRIES = 2;
/** How old a device's key becomes. */
const ROTATE_AFTER_MS = 30 * 24 * 3_600_000;
/** Where the clocks of both sides disagree about when it ends. */
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

  /** The keys of this device: of use to whoever derives others from them. */
  get keys(): DeviceKeys {
    return this.#keys;
  }

  /** A lost answer is a failure: the caller asks again, under a new number. */
  json<T extends z.ZodType>(
    endpoint: WithAnswer<T>,
    value: unknown,
    signal?: AbortSignal,
  ): Promise<{ readonly value: z.output<T> } | BackendFailure> {
    return this.ask(endpoint, new TextEncoder().encode(JSON.stringify(value)), signal);
  }

  /** As `json`, with a body that is made already. */
  async ask<T extends z.ZodType>(
    { path, response }: WithAnswer<T>,
    body: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly value: z.output<T> } | BackendFailure> {
    const answer = await this.post(path, body, { signal });
    if (answer.kind === 'failed') return answer;
    return parseJson(answer.body, response.body, this.#url(path));
  }

  /** A sealed refusal is a failure with the code `HTTP_<status>`. */
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

  /** For answers that are not sealed: the head, and the body as it comes. */
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
   * Changes the key of this device. Both keys open sessions until the backend has seen the next one, so nothing that is cut short
   * in between locks this device out.
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
      // The next session is what makes it the only one.
      const opened = await this.#begin(signal);
      return 'kind' in opened ? opened : { kind: 'rotated' as const };
    });
  }

  /**
   * Changes the key when it is old. Not in the middle of a download whose image is encrypted under it. That it fails is
   * on record, and tried again by the next call.
   */
  async rotateWhenDue(signal?: AbortSignal): Promise<void> {
    const { clock, logger, pair } = this.#options;
    // Nothing here rests on the shared key.
    if (pair !== undefined) return;
    // A clock that was set back must not keep a key for ever.
    const ageMs = Math.abs(clock.wallMs() - this.#keys.changedAtMs);
    if (!this.#keys.canChange || ageMs < ROTATE_AFTER_MS) return;
    const done = await this.rotate(signal);
    if (done.kind === 'failed') logger.warn({ reason: done.reason }, 'the key was not changed');
  }

  /** In the session that is there, or in a new one; once more when the backend does not know it. */
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
      // It is not authenticated: it may cost a new session, and never more.
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
      reason: `the answer of ${url.origin}${url.pathname} is not what our backend sent (${opened.code}): it is asked again`,
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
    // One of another suite is of an earlier start: what is asked for now holds from the first message on.
    const session = this.#state.session?.suite === this.#suite ? this.#state.session : undefined;
    if (session !== undefined && this.#options.clock.wallMs() < renewAtMs) return session;
    const next = await this.#begin(signal);
    // The old one is good for as long again: no gap when the backend is slow to open the next.
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

  /** Numbers must arrive in their order. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

/** Refused for its session. */
interface Unknown {
  readonly kind: 'unknown';
  readonly code: string;
  readonly failure: BackendFailure;
}

function isSealed(answer: Pick<Answer, 'headers'>): boolean {
  return (header(answer, 'content-type') ?? '').startsWith(SEALED_TYPE);
}
