// The requests of a device to its backend: short sealed requests, repeated while a repetition can help.

import type { z } from 'zod';
import type {
  CheckAnswer,
  CheckRequest,
  VerifyAnswer,
  VerifyRequest,
} from '../contract/chunked/protocol.ts';
import { urlOf, type WithAnswer } from '../contract/endpoint.ts';
import { health } from '../contract/endpoints/operations/health.ts';
import { otaCheck } from '../contract/endpoints/small-devices/check.ts';
import { otaComplete } from '../contract/endpoints/small-devices/complete.ts';
import { otaStatus } from '../contract/endpoints/small-devices/status.ts';
import { otaVerify } from '../contract/endpoints/small-devices/verify.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { HttpClient } from '../link/http-client.ts';
import { retrying } from '../link/retry.ts';
import type { SealedClient } from '../link/sealed-client.ts';
import type { DeviceEvent } from './device-event.ts';
import type { DeviceReport } from './device-state.ts';
import type { Findings } from './diagnostics.ts';

export interface DeviceBackendOptions {
  readonly http: HttpClient;
  /** Address of the backend, with a slash at the end. */
  readonly base: URL;
  readonly sealed: SealedClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: DeviceEvent) => void;
}

/** An answer, or the reason of a failure. */
export type Answered<T> =
  | { readonly kind: 'value'; readonly value: T }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly reason: string;
      readonly transient: boolean;
      /** See BackendFailure. */
      readonly sealed?: true;
    }
  | { readonly kind: 'interrupted' };

export class DeviceBackend {
  readonly #options: DeviceBackendOptions;

  constructor(options: DeviceBackendOptions) {
    this.#options = options;
  }

  /** Asks for an update. While the device holds no part of an image, no data depends on the key, so it may change. */
  async check(request: CheckRequest, signal: AbortSignal): Promise<Answered<CheckAnswer>> {
    if (request.held === undefined) await this.#options.sealed.rotateWhenDue(signal);
    return this.#ask(otaCheck, request, signal);
  }

  verify(request: VerifyRequest, signal: AbortSignal): Promise<Answered<VerifyAnswer>> {
    return this.#ask(otaVerify, request, signal);
  }

  complete(report: DeviceReport, signal: AbortSignal): Promise<Answered<unknown>> {
    return this.#ask(otaComplete, report, signal);
  }

  /** Checks whether a server can be reached, and whether it is our backend. */
  async reach(signal: AbortSignal): Promise<Pick<Findings, 'network' | 'backend'>> {
    const { http, base, clock, random } = this.#options;
    const pinged = await retrying(
      async (inner) => {
        const url = urlOf(base, health);
        const answer = await http.json(url, { expects: 'anything', signal: inner });
        return 'kind' in answer ? answer : { kind: 'reachable' as const };
      },
      { clock, random, signal, onRetry: this.#onRetry },
    );
    const asked = await this.#ask(otaStatus, {}, signal);
    return {
      network: pinged.kind === 'reachable' ? 'reachable' : { reason: reasonOf(pinged) },
      backend: asked.kind === 'value' ? 'reachable' : { reason: reasonOf(asked) },
    };
  }

  readonly #onRetry = (retry: Omit<Extract<DeviceEvent, { kind: 'retry' }>, 'kind'>): void => {
    this.#options.onEvent({ kind: 'retry', ...retry });
  };

  #ask<T extends z.ZodType>(
    endpoint: WithAnswer<T>,
    value: unknown,
    signal: AbortSignal,
  ): Promise<Answered<z.output<T>>> {
    const { sealed, clock, random } = this.#options;
    return retrying(
      async (inner) => {
        const answer = await sealed.json(endpoint, value, inner);
        return 'kind' in answer ? answer : { kind: 'value' as const, value: answer.value };
      },
      { clock, random, signal, onRetry: this.#onRetry },
    );
  }
}

function reasonOf(answer: { readonly kind: string; readonly reason?: string }): string {
  return (answer.reason ?? answer.kind).slice(0, 150);
}
