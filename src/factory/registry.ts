// The registry as the factory sees it: POST /provision and POST /provision/activate, repeated until they are answered.

import { activate } from '../contract/endpoints/registry/activate.ts';
import { deviceRow } from '../contract/endpoints/registry/device-row.ts';
import { provision } from '../contract/endpoints/registry/provision.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { describeError, InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { jitter, type Random } from '../core/random.ts';
import { parseJson } from '../link/foreign-answer.ts';
import { type JudgedAnswer, judgeAnswer } from '../link/judged-answer.ts';

/** What is told about a device; both calls may be repeated, what is left out stays as it is. */
export interface DeviceRegistration {
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
  /** `UNREACHABLE`, `FOREIGN_ANSWER`, `INTERRUPTED`, or the code of the registry (`DEVICE_TAKEN`). */
  readonly code: string;
  readonly reason: string;
}

export type RegistryAnswer = { readonly ok: true; readonly value: RegistryRow } | RegistryFailure;

export interface Registry {
  provision(facts: DeviceRegistration, signal?: AbortSignal): Promise<RegistryAnswer>;
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

const TIMEOUT_MS = 10_000;
const RETRIES = 3;
const FIRST_DELAY_MS = 500;
/** A registry that asks for more patience gets it from the next run. */
const LONGEST_WAIT_MS = 60_000;

interface Failed extends RegistryFailure {
  /** Undefined: asking again cannot help. */
  readonly againInMs?: number;
}

export class HttpRegistry implements Registry {
  readonly #options: HttpRegistryOptions;

  /** Throws InputError for an address that is none. */
  constructor(options: HttpRegistryOptions) {
    this.#options = options;
    target(options.server, provision.path);
  }

  provision(facts: DeviceRegistration, signal?: AbortSignal): Promise<RegistryAnswer> {
    return this.#post(
      provision.path,
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
    return this.#post(activate.path, { hw_id: hwId }, hwId, signal);
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
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const url = target(server, path);
    let judged: JudgedAnswer;
    let waitMs: number;
    try {
      const response = await send(url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'accept-encoding': 'identity',
          authorization: `Bearer ${token}`,
        },
        body: JSON.stringify(body),
        signal: both,
      });
      waitMs = retryAfterMs(response);
      judged = await judgeAnswer(response, { url, expects: 'order', signal: both });
    } catch (error) {
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : describeError(error);
      return failed('UNREACHABLE', `${server} cannot be reached for POST ${path}: ${why}`, 0);
    }
    switch (judged.kind) {
      case 'answer': {
        const parsed = parseJson(judged.body, deviceRow, url);
        if (!('value' in parsed)) return foreign(path, parsed.reason, 0);
        const { hw_id, serial, status } = parsed.value;
        if (hw_id === hwId) return { ok: true, value: { serial, status } };
        return foreign(path, 'it speaks of another chip', 0);
      }
      case 'refusal':
        return refusal(judged, path, waitMs);
      case 'foreign':
        return foreign(path, judged.why, waitMs);
      case 'cut':
        return failed('UNREACHABLE', `${server}, POST ${path}: ${judged.why}`, 0);
      default:
        return judged satisfies never;
    }
  }
}

function refusal(
  { status, code, detail }: Extract<JudgedAnswer, { kind: 'refusal' }>,
  path: string,
  waitMs: number,
): Failed {
  const reason = `the registry refused POST ${path} with ${status} ${code}: ${detail}`;
  const busy = status === 429 || status >= 500;
  return busy && waitMs <= LONGEST_WAIT_MS ? failed(code, reason, waitMs) : failed(code, reason);
}

/** The network answered in place of the registry, or a proxy whose server is away: asking again may help. */
function foreign(path: string, why: string, waitMs: number): Failed {
  const reason = `the answer to POST ${path} is not from a can-ota backend: ${why}`;
  return waitMs <= LONGEST_WAIT_MS
    ? failed('FOREIGN_ANSWER', reason, waitMs)
    : failed('FOREIGN_ANSWER', reason);
}

/** What a busy server or proxy asks for; 0 where it asks for nothing. */
function retryAfterMs({ status, headers }: Response): number {
  if (status !== 429 && status < 500) return 0;
  const seconds = Number(headers.get('retry-after') ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function target(server: string, path: string): URL {
  try {
    // A backend may stand below a path of its own.
    return new URL(path.slice(1), server.endsWith('/') ? server : `${server}/`);
  } catch (error) {
    throw new InputError('--server', `${server} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

function failed(code: string, reason: string, againInMs?: number): Failed {
  return { ok: false, code, reason, ...defined({ againInMs }) };
}

function interrupted(path: string): RegistryFailure {
  return { ok: false, code: 'INTERRUPTED', reason: `stopped before POST ${path} was answered` };
}
