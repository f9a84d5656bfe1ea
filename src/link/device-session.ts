// The session of this vehicle with its backend: both prove that they know the device's key, then a token does, for a while.

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
  /** Missing: the key of the factory, for good. */
  readonly keys?: (() => Promise<DeviceKeys>) | undefined;
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

export type TokenAnswer = { readonly kind: 'token'; readonly token: string } | BackendFailure;

export class DeviceSession {
  readonly #options: DeviceSessionOptions;
  #current: { readonly token: string; readonly untilMs: number } | undefined;
  /** Requests at the same time share one exchange. */
  #opening: Promise<TokenAnswer> | undefined;

  constructor(options: DeviceSessionOptions) {
    this.#options = options;
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
