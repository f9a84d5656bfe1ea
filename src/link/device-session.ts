// The token session of this vehicle: both sides prove that they know the device's key, then a token identifies it.

import { tokenSession } from '../contract/endpoints/registry/response.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { sameProof, sessionKeys } from '../trust/device-session.ts';
import { type DeviceIdentity, DeviceKeys } from './device-keys.ts';
import { shakeHands, unproven } from './handshake.ts';
import type { HttpClient } from './http-client.ts';

export interface DeviceSessionOptions {
  readonly device: DeviceIdentity;
  /** The device's keys; missing: always the key of the factory. */
  readonly keys?: (() => Promise<DeviceKeys>) | undefined;
  readonly random: Random;
  readonly clock: Clock;
  readonly client: HttpClient;
  /** The server's address, with a slash at the end. */
  readonly base: URL;
}

/** How long before its end a session is renewed, so that a request on its way is still accepted. */
const EARLY_MS = 30_000;
/** Least life of a session, so that a server clock far ahead does not cause a new session for every request. */
const LEAST_LIFE_MS = 60_000;

export type TokenAnswer = { readonly kind: 'token'; readonly token: string } | BackendFailure;

export class DeviceSession {
  readonly #options: DeviceSessionOptions;
  #current: { readonly token: string; readonly untilMs: number } | undefined;
  /** The exchange under way, which simultaneous requests share. */
  #opening: Promise<TokenAnswer> | undefined;

  constructor(options: DeviceSessionOptions) {
    this.#options = options;
  }

  /** A valid token; opens a session where there is none. */
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

  /** Drops a token that the server does not know. */
  drop(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #open(signal?: AbortSignal): Promise<TokenAnswer> {
    const { device, clock } = this.#options;
    const { serial, hwId } = device;
    const keys = (await this.#options.keys?.()) ?? DeviceKeys.fixed(device);
    const agreed = await shakeHands(
      { ...this.#options, serial, hwId, keys },
      tokenSession,
      undefined,
      signal,
    );
    if (agreed.kind === 'failed') return agreed;
    const { token, expiresAt } = agreed.answer;
    if (!sameProof(sessionKeys(agreed.key, agreed.exchanged).token, token)) {
      return unproven(this.#options, 'its token is not the one that both sides can derive');
    }
    const lifeMs = Date.parse(expiresAt) - clock.wallMs() - EARLY_MS;
    this.#current = { token, untilMs: clock.nowMs() + Math.max(LEAST_LIFE_MS, lifeMs) };
    return { kind: 'token', token };
  }
}
