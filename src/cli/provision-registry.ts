// The registry as the factory sees it: POST /provision and POST /provision/activate, repeated until they are answered.

import { z } from 'zod';
import { type Clock, sleep } from '../core/clock.ts';
import { describeError, InputError } from '../core/errors.ts';
import { jitter, type Random } from '../core/random.ts';
import { answerAdvice } from '../link/link-error.ts';

/** What is told about a device; both calls may be repeated, what is left out stays as it is. */
export interface DeviceFacts {
  /** The chip's own number, never given to another device. */
  readonly hwId: string;
  readonly vin?: string;
  readonly name?: string;
  readonly hardwareId?: string;
  readonly primary?: boolean;
  /** Hexadecimal, as the next two. */
  readonly signingKey?: string;
  readonly encryptionKey?: string;
  readonly deviceSecretHash?: string;
}

export interface RegistryRow {
  readonly serial: string;
  readonly status: 'factory_only' | 'active' | 'revoked';
}

export interface RegistryFailure {
  readonly ok: false;
  /** `UNREACHABLE`, `UNINTELLIGIBLE`, `INTERRUPTED`, or the code of the registry (`DEVICE_TAKEN`). */
  readonly code: string;
  readonly reason: string;
}

export type RegistryAnswer = { readonly ok: true; readonly value: RegistryRow } | RegistryFailure;

export interface Registry {
  provision(facts: DeviceFacts, signal?: AbortSignal): Promise<RegistryAnswer>;
  activate(hwId: string, signal?: AbortSignal): Promise<RegistryAnswer>;
}

export interface HttpRegistryOptions {
  readonly server: string;
  readonly token: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch?: typeof fetch;
  /** Of one attempt. */
  readonly timeoutMs?: number;
}

const rowSchema = z.object({
  hw_id: z.string(),
  serial: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,31}$/),
  status: z.enum(['factory_only', 'active', 'revoked']),
});
const problemSchema = z.object({ code: z.string().max(64), detail: z.string().max(2000) });

const TIMEOUT_MS = 10_000;
const RETRIES = 3;
const FIRST_DELAY_MS = 500;
/** A registry that asks for more patience gets it from the next run. */
const LONGEST_WAIT_MS = 60_000;
/** Answers are small; more is not ours. */
const MAX_ANSWER_BYTES = 64 * 1024;

interface Failed extends RegistryFailure {
  /** Undefined: asking again cannot help. */
  readonly againInMs?: number;
}

export class HttpRegistry implements Registry {
  readonly #options: HttpRegistryOptions;

  /** Throws InputError for an address that is none. */
  constructor(options: HttpRegistryOptions) {
    this.#options = options;
    target(options.server, 'provision');
  }

  provision(facts: DeviceFacts, signal?: AbortSignal): Promise<RegistryAnswer> {
    return this.#post(
      'provision',
      {
        hw_id: facts.hwId,
        vin: facts.vin,
        name: facts.name,
        hardware_id: facts.hardwareId,
        primary: facts.primary,
        signing_key: facts.signingKey,
        encryption_key: facts.encryptionKey,
        device_secret_hash: facts.deviceSecretHash,
      },
      facts.hwId,
      signal,
    );
  }

  activate(hwId: string, signal?: AbortSignal): Promise<RegistryAnswer> {
    return this.#post('provision/activate', { hw_id: hwId }, hwId, signal);
  }

  async #post(
    path: string,
    body: object,
    hwId: string,
    signal: AbortSignal | undefined,
  ): Promise<RegistryAnswer> {
    const { clock, random } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#attempt(path, body, hwId, signal);
      if (answer.ok) return answer;
      if (signal?.aborted) return interrupted(path);
      if (answer.againInMs === undefined || attempt === RETRIES) return answer;
      const delayMs = Math.max(
        answer.againInMs,
        jitter(random, FIRST_DELAY_MS * 2 ** attempt, 0.3),
      );
      if ((await sleep(clock, 'registry-retry', delayMs, signal)) === 'aborted') {
        return interrupted(path);
      }
    }
  }

  async #attempt(
    path: string,
    body: object,
    hwId: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly ok: true; readonly value: RegistryRow } | Failed> {
    const { server, token, fetch: send = fetch, timeoutMs = TIMEOUT_MS } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await send(target(server, path), {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          authorization: `Bearer ${token}`,
        },
        body: JSON.stringify(body),
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      text = await limitedText(response);
    } catch (error) {
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : describeError(error);
      return failed('UNREACHABLE', `${server} cannot be reached for POST /${path}: ${why}`, 0);
    }
    if (!response.ok) return refusal(response, text, path, target(server, path));
    const row = rowSchema.safeParse(jsonOf(text));
    if (!row.success || row.data.hw_id !== hwId) {
      const reason = `the answer of ${server} to POST /${path} is not that of a can-ota registry`;
      return failed('UNINTELLIGIBLE', reason);
    }
    const { serial, status } = row.data;
    return { ok: true, value: { serial, status } };
  }
}

function refusal(response: Response, text: string, path: string, url: URL): Failed {
  const problem = problemSchema.safeParse(jsonOf(text));
  const code = problem.success ? problem.data.code : `HTTP_${response.status}`;
  const location = response.headers.get('location');
  const why = problem.success
    ? problem.data.detail
    : (answerAdvice(response.status, location, text, url) ?? text.slice(0, 200));
  const reason = `the registry refused POST /${path} with ${response.status} ${code}: ${why}`;
  const busy = response.status === 429 || response.status >= 500;
  if (!busy) return failed(code, reason);
  const seconds = Number(response.headers.get('retry-after') ?? 0);
  const waitMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
  return waitMs > LONGEST_WAIT_MS ? failed(code, reason) : failed(code, reason, waitMs);
}

/** Throws for an answer that is longer than any of ours. */
async function limitedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('the answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function target(server: string, path: string): URL {
  try {
    // A backend may stand below a path of its own.
    return new URL(path, server.endsWith('/') ? server : `${server}/`);
  } catch (error) {
    throw new InputError('--server', `${server} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

function failed(code: string, reason: string, againInMs?: number): Failed {
  return { ok: false, code, reason, ...(againInMs === undefined ? {} : { againInMs }) };
}

function interrupted(path: string): RegistryFailure {
  return { ok: false, code: 'INTERRUPTED', reason: `stopped before POST /${path} was answered` };
}
