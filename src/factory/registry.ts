// The factory's client of the registry: POST /provision and POST /provision/activate, repeated until they are answered.

import { activate } from '../contract/endpoints/registry/activate.ts';
import { deviceRow } from '../contract/endpoints/registry/device-row.ts';
import { provision } from '../contract/endpoints/registry/provision.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import type { Clock } from '../core/clock.ts';
import { describeError, InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import { parseJson } from '../link/foreign-answer.ts';
import { type JudgedAnswer, judgeAnswer } from '../link/judged-answer.ts';
import { readRetryAfter, retrying } from '../link/retry.ts';

/** The facts of a device. Both calls may be repeated; missing fields stay unchanged. */
export interface DeviceRegistration {
  /** Chip number, which no other device has. */
  readonly hwId: string;
  readonly vin?: string;
  readonly name?: string;
  readonly hardwareId?: string;
  readonly primary?: boolean;
  /** Keys and hash, hexadecimal. */
  readonly signingKey?: string;
  readonly encryptionKey?: string;
  readonly deviceSecretHash?: string;
}

export interface RegistryRow {
  readonly serial: string;
  readonly status: 'factory_only' | 'active' | 'revoked';
}

interface RegistryFailure {
  readonly ok: false;
  /** `UNREACHABLE`, `FOREIGN_ANSWER`, `INTERRUPTED`, or a code of the registry (`DEVICE_TAKEN`). */
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
  /** Time limit of one attempt. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
export class HttpRegistry implements Registry {
  readonly #options: HttpRegistryOptions;

  /** Throws InputError for an invalid address. */
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
    const sent = await retrying((inner) => this.#attempt(path, body, hwId, inner), {
      ...{ clock, random, signal: signal ?? new AbortController().signal },
    });
    switch (sent.kind) {
      case 'row':
        return { ok: true, value: sent.row };
      case 'interrupted':
        return {
          ok: false,
          code: 'INTERRUPTED',
          reason: `stopped before POST ${path} was answered`,
        };
      case 'failed':
        return { ok: false, code: sent.code, reason: sent.reason };
      default:
        return sent satisfies never;
    }
  }

  async #attempt(
    path: string,
    body: object,
    hwId: string,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'row'; readonly row: RegistryRow } | BackendFailure> {
    const { server, token, clock, fetch: send = fetch, timeoutMs = TIMEOUT_MS } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const both = AbortSignal.any([signal, timeout]);
    const url = target(server, path);
    let judged: JudgedAnswer;
    let waitMs: number | undefined;
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
      waitMs = readRetryAfter(response.headers.get('retry-after'), clock.wallMs());
      judged = await judgeAnswer(response, { url, expects: 'order', signal: both });
    } catch (error) {
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : describeError(error);
      return failed('UNREACHABLE', `${server} cannot be reached for POST ${path}: ${why}`);
    }
    switch (judged.kind) {
      case 'answer': {
        const parsed = parseJson(judged.body, deviceRow, url);
        if (!('value' in parsed)) return foreign(path, parsed.reason);
        const { hw_id, serial, status } = parsed.value;
        if (hw_id === hwId) return { kind: 'row', row: { serial, status } };
        return foreign(path, 'it is about another chip');
      }
      case 'refusal':
        return refusal(judged, path, waitMs);
      case 'foreign':
        return foreign(path, judged.why, waitMs);
      case 'cut':
        return failed('UNREACHABLE', `${server}, POST ${path}: ${judged.why}`);
      default:
        return judged satisfies never;
    }
  }
}

/** The failure for a refusal. A busy registry is asked again; any other refusal is final. */
function refusal(
  { status, code, detail }: Extract<JudgedAnswer, { kind: 'refusal' }>,
  path: string,
  waitMs: number | undefined,
): BackendFailure {
  const reason = `the registry refused POST ${path} with ${status} ${code}: ${detail}`;
  const isBusy = status === 429 || status >= 500;
  return isBusy ? failed(code, reason, waitMs) : { kind: 'failed', code, reason, transient: false };
}

/** The failure when the network or a proxy answered in place of the registry; a later try may help. */
function foreign(path: string, why: string, waitMs?: number): BackendFailure {
  const reason = `the answer to POST ${path} is not from a can-ota backend: ${why}`;
  return failed('FOREIGN_ANSWER', reason, waitMs);
}

function target(server: string, path: string): URL {
  try {
    // The address of a backend may have a path.
    return new URL(path.slice(1), server.endsWith('/') ? server : `${server}/`);
  } catch (error) {
    throw new InputError('--server', `${server} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

function failed(code: string, reason: string, retryAfterMs?: number): BackendFailure {
  return { kind: 'failed', code, reason, transient: true, ...defined({ retryAfterMs }) };
}
