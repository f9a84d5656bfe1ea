// What a device asks its backend: short sealed requests, repeated as long as that can help.

import type { z } from 'zod';
import {
  CHECK_PATH,
  type CheckAnswer,
  type CheckRequest,
  COMPLETE_PATH,
  checkAnswer,
  completeAnswer,
  STATUS_PATH,
  statusAnswer,
  VERIFY_PATH,
  type VerifyAnswer,
  type VerifyRequest,
  verifyAnswer,
} from '../contract/chunked/protocol.ts';
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
  /** With a slash at its end. */
  readonly base: URL;
  readonly sealed: SealedClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: DeviceEvent) => void;
}

/** An answer, or why there is none. */
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

  /** With nothing held of an image, nothing is encrypted under the key: it may change. */
  async check(request: CheckRequest, signal: AbortSignal): Promise<Answered<CheckAnswer>> {
    if (request.held === undefined) await this.#options.sealed.rotateWhenDue(signal);
    return this.#ask(CHECK_PATH, request, checkAnswer, signal);
  }

  verify(request: VerifyRequest, signal: AbortSignal): Promise<Answered<VerifyAnswer>> {
    return this.#ask(VERIFY_PATH, request, verifyAnswer, signal);
  }

  complete(report: DeviceReport, signal: AbortSignal): Promise<Answered<unknown>> {
    return this.#ask(COMPLETE_PATH, report, completeAnswer, signal);
  }

  /** Whether anything can be reached, and whether it is our backend. */
  async reach(signal: AbortSignal): Promise<Pick<Findings, 'network' | 'backend'>> {
    const { http, base, clock, random } = this.#options;
    const pinged = await retrying(
      async (inner) => {
        const url = new URL('healthz', base);
        const answer = await http.json(url, { expects: 'anything', signal: inner });
        return 'kind' in answer ? answer : { kind: 'reachable' as const };
      },
      { clock, random, signal, onRetry: this.#onRetry },
    );
    const asked = await this.#ask(STATUS_PATH, {}, statusAnswer, signal);
    return {
      network: pinged.kind === 'reachable' ? 'reachable' : { reason: reasonOf(pinged) },
      backend: asked.kind === 'value' ? 'reachable' : { reason: reasonOf(asked) },
    };
  }

  readonly #onRetry = (retry: Omit<Extract<DeviceEvent, { kind: 'retry' }>, 'kind'>): void => {
    this.#options.onEvent({ kind: 'retry', ...retry });
  };

  #ask<T>(
    path: string,
    value: unknown,
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<Answered<T>> {
    const { sealed, clock, random } = this.#options;
    return retrying(
      async (inner) => {
        const answer = await sealed.json(path, value, schema, inner);
        return 'kind' in answer ? answer : { kind: 'value' as const, value: answer.value };
      },
      { clock, random, signal, onRetry: this.#onRetry },
    );
  }
}

function reasonOf(answer: { readonly kind: string; readonly reason?: string }): string {
  return (answer.reason ?? answer.kind).slice(0, 150);
}
