// The session of this vehicle with its backend: both prove that they know the device's key, then a token does, for a while.

import { z } from 'zod';
import type { BackendFailure } from '../campaign/ports.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import {
  clientProof,
  deviceKeyOf,
  type Exchanged,
  SESSION_NONCE_BYTES,
  sameProof,
  serverProof,
  sessionKeys,
} from '../trust/device-session.ts';
import { type HttpClient, parseJson, withSignal } from './http-client.ts';

export interface DeviceIdentity {
  readonly serial: string;
  /** 32 bytes; what the registry keeps is its SHA-256. */
  readonly deviceSecret: Uint8Array;
}

export interface DeviceSessionOptions {
  readonly device: DeviceIdentity;
  readonly random: Random;
  readonly clock: Clock;
  readonly client: HttpClient;
  /** The server's address, with a slash at its end. */
  readonly base: URL;
}

/** Before the server's word for its end: a request that is on its way shall still be welcome. */
const EARLY_MS = 30_000;
/** A server whose clock is far ahead must not make every request begin with a new session. */
const LEAST_LIFE_MS = 60_000;

const challengeSchema = z.object({
  challenge: z.string().min(1).max(1024),
  serverNonce: z.string().regex(/^[0-9a-f]{16,128}$/),
  serverProof: z.string().max(256),
});
const sessionSchema = z.object({
  token: z.string().max(256),
  expiresAt: z.iso.datetime({ offset: true }),
});

export type TokenAnswer = { readonly kind: 'token'; readonly token: string } | BackendFailure;

export class DeviceSession {
  readonly #options: DeviceSessionOptions;
  readonly #key: Uint8Array;
  #current: { readonly token: string; readonly untilMs: number } | undefined;
  /** Requests at the same time share one exchange. */
  #opening: Promise<TokenAnswer> | undefined;

  constructor(options: DeviceSessionOptions) {
    this.#options = options;
    this.#key = deviceKeyOf(options.device.deviceSecret);
  }

  /** A token that is good for now; opens a session where there is none. */
  async token(signal?: AbortSignal): Promise<TokenAnswer> {
    const current = this.#current;
    if (current !== undefined && this.#options.clock.nowMs() < current.untilMs) {
      return { kind: 'token', token: current.token };
    }
    this.#opening ??= this.#open(signal).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** The server does not know this token (any more). */
  drop(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #open(signal?: AbortSignal): Promise<TokenAnswer> {
    const { device, random, clock } = this.#options;
    const clientNonce = toHex(random.bytes(SESSION_NONCE_BYTES));
    const { serial } = device;
    const challenge = await this.#post(
      'auth/challenge',
      { serial, clientNonce },
      challengeSchema,
      signal,
    );
    if ('kind' in challenge) return challenge;
    const { serverNonce } = challenge.value;
    const exchanged: Exchanged = {
      serial,
      clientNonce,
      serverNonce,
      challenge: challenge.value.challenge,
    };
    const url = this.#url('auth/challenge');
    // Before anything of ours is told: our proof is for a server that knows this device.
    if (!sameProof(serverProof(this.#key, exchanged), challenge.value.serverProof)) {
      return this.#unproven(
        url,
        `it does not know the key of ${serial}: either it is not our backend, or this device is not in its registry ` +
          '(provision it with "can-ota provision")',
      );
    }
    const proof = clientProof(this.#key, exchanged);
    const body = { challenge: exchanged.challenge, clientProof: proof };
    const session = await this.#post('auth/response', body, sessionSchema, signal);
    if ('kind' in session) return session;
    const { token, expiresAt } = session.value;
    if (!sameProof(sessionKeys(this.#key, exchanged).token, token)) {
      return this.#unproven(url, 'its token is not the one that both sides can derive');
    }
    const lifeMs = Date.parse(expiresAt) - clock.wallMs() - EARLY_MS;
    this.#current = { token, untilMs: clock.nowMs() + Math.max(LEAST_LIFE_MS, lifeMs) };
    return { kind: 'token', token };
  }

  #unproven(url: URL, what: string): BackendFailure {
    return {
      kind: 'failed',
      code: 'SERVER_NOT_AUTHENTIC',
      reason: `${url.origin} has not proven itself: ${what}`,
      transient: false,
    };
  }

  async #post<T>(
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<{ readonly value: T } | BackendFailure> {
    const { client } = this.#options;
    const url = this.#url(path);
    const answer = await client.json(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...withSignal(signal),
    });
    if ('kind' in answer) return answer;
    if (answer.status !== 200) return client.refused(answer, url);
    return parseJson(answer.body, schema, url);
  }

  #url(path: string): URL {
    return new URL(path, this.#options.base);
  }
}
