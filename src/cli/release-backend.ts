// The backend as somebody who releases sees it: log in or show a token, upload images and signed metadata.

import { openAsBlob } from 'node:fs';
import { z } from 'zod';
import { type Clock, sleep } from '../core/clock.ts';
import { CanOtaError, describeError, InputError } from '../core/errors.ts';
import { fileFault } from './vehicle-file.ts';

/** The backend cannot be reached, or refuses for a reason that no option changes. */
export class BackendError extends CanOtaError {
  readonly code: 'UNREACHABLE' | 'REFUSED' | 'UNINTELLIGIBLE';

  constructor(code: BackendError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export type Credentials =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string };

export interface BackendOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly fetch?: typeof fetch;
}

export interface ImageUpload {
  readonly ecu: string;
  readonly version: string;
  readonly notes: string;
  /** Path on this machine, and the name that the image has from now on. */
  readonly path: string;
  readonly name: string;
}

export type MetadataAnswer =
  | { readonly taken: true }
  /** `code` is that of the backend: `NO_REPOSITORY`, `METADATA_REFUSED`. */
  | { readonly taken: false; readonly code: string | undefined; readonly error: CanOtaError };

export type CancelReply = Readonly<z.infer<typeof cancelOrder>>;

const cancelOrder = z.object({
  vin: z.string(),
  campaign: z.string(),
  order: z.string(),
  by: z.string(),
  reason: z.string(),
  state: z.enum(['open', 'accepted', 'refused']),
  answer: z
    .string()
    .nullish()
    .transform((answer) => answer ?? null),
});
const campaignAnswer = z.object({ orders: z.array(cancelOrder) });
const loginAnswer = z.object({ csrfToken: z.string().min(1) });
const uploadAnswer = z.object({ file: z.string(), created: z.boolean() });
const problem = z.object({ code: z.string().optional(), detail: z.string().optional() });

/** A backend that is busy says when to come back; nobody waits longer than this at a prompt. */
const LONGEST_WAIT_S = 60;
const TRIES = 3;
/** Answers are small; more is not ours. */
const MAX_ANSWER = 64 * 1024;

export class ReleaseBackend {
  readonly #options: BackendOptions;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(options: BackendOptions, headers: Readonly<Record<string, string>>) {
    this.#options = options;
    this.#headers = headers;
  }

  /** Throws InputError for a wrong name, password or address, BackendError. */
  static async logIn(options: BackendOptions, credentials: Credentials): Promise<ReleaseBackend> {
    if (credentials.kind === 'token') {
      return new ReleaseBackend(options, { authorization: `Bearer ${credentials.token}` });
    }
    const guest = new ReleaseBackend(options, {});
    const { user: name, password } = credentials;
    const response = await guest.#send('log-in', '/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password }),
    });
    const cookie = response.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const { csrfToken } = await answer(response, loginAnswer, 'log-in');
    return new ReleaseBackend(options, { cookie, 'x-csrf-token': csrfToken });
  }

  /** False when the backend had these bytes under this ECU and version already. */
  async uploadImage(image: ImageUpload): Promise<boolean> {
    const form = new FormData();
    form.set('ecu', image.ecu);
    form.set('version', image.version);
    form.set('notes', image.notes);
    form.set('file', await imageBlob(image.path), image.name);
    const doing = `upload of ${image.path}`;
    // As bytes: a body that fetch is still reading from a form, when the signal comes, takes the whole process down
    // (undici puts the next piece into a stream that is closed already).
    const encoded = new Response(form);
    const init = {
      method: 'POST',
      headers: { 'content-type': encoded.headers.get('content-type')! },
      body: await encoded.arrayBuffer(),
    };
    const response = await this.#send(doing, '/upload', init);
    const { file, created } = await answer(response, uploadAnswer, doing);
    if (file !== image.name) {
      throw new BackendError(
        'UNINTELLIGIBLE',
        `the backend calls the image ${file}, the signature is for ${image.name}: nothing was released`,
      );
    }
    return created;
  }

  /** `path` below the backend: `/metadata/targets`. What it does not take comes back, for the caller to judge. */
  async uploadMetadata(path: string, bytes: Uint8Array): Promise<MetadataAnswer> {
    const doing = `metadata ${path}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Uint8Array.from(bytes),
    };
    const response = await this.#send(doing, path, init, [409, 422]);
    if (!response.ok) return { taken: false, ...(await refusal(response, doing)) };
    await response.body?.cancel();
    return { taken: true };
  }

  /** Orders the end of the campaign of a vehicle. The same order again where there is one. */
  async cancelCampaign(
    vin: string,
    reason: string,
  ): Promise<
    | { readonly kind: 'ordered'; readonly order: CancelReply }
    | { readonly kind: 'no-campaign'; readonly reason: string }
  > {
    const doing = `order to ${vin}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason }),
    };
    const path = `/vehicles/${encodeURIComponent(vin)}/cancel`;
    const response = await this.#send(doing, path, init, [409]);
    if (response.ok) {
      return { kind: 'ordered', order: await answer(response, cancelOrder, doing) };
    }
    const { code, why, error } = await refusal(response, doing);
    if (code !== 'NO_CAMPAIGN') throw error;
    return { kind: 'no-campaign', reason: why };
  }

  /** The newest first. */
  async cancelOrders(vin: string): Promise<readonly CancelReply[]> {
    const doing = `look at the campaign of ${vin}`;
    const path = `/vehicles/${encodeURIComponent(vin)}/campaign`;
    return (await answer(await this.#send(doing, path, { method: 'GET' }), campaignAnswer, doing))
      .orders;
  }

  /** A public file; undefined when the backend has none. */
  async read(path: string): Promise<Uint8Array | undefined> {
    const response = await this.#send(path, path, { method: 'GET' }, [404]);
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    return new Uint8Array(await response.arrayBuffer());
  }

  async #send(
    doing: string,
    path: string,
    init: RequestInit,
    allowed: readonly number[] = [],
  ): Promise<Response> {
    const { url, clock, signal, fetch: send = fetch } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let response: Response;
      try {
        response = await send(target(url, path), {
          ...init,
          redirect: 'manual',
          signal,
          headers: { accept: 'application/json', ...this.#headers, ...init.headers },
        });
      } catch (error) {
        if (error instanceof InputError || signal.aborted) throw error;
        throw new BackendError(
          'UNREACHABLE',
          `${url} cannot be reached for the ${doing}: ${describeError(error)}`,
          error,
        );
      }
      if (response.ok || allowed.includes(response.status)) return response;
      const waitS = Number(response.headers.get('retry-after') ?? Number.NaN);
      if (
        response.status !== 429 ||
        attempt === TRIES ||
        !(waitS >= 0 && waitS <= LONGEST_WAIT_S)
      ) {
        throw (await refusal(response, doing)).error;
      }
      await response.body?.cancel();
      if ((await sleep(clock, 'retry-after', waitS * 1000, signal)) === 'aborted') {
        throw signal.reason;
      }
    }
  }
}

function target(url: string, path: string): URL {
  try {
    // A backend may stand below a path of its own.
    return new URL(path.slice(1), url.endsWith('/') ? url : `${url}/`);
  } catch (error) {
    throw new InputError('--server', `${url} is no address: expected http://HOST:PORT`, {
      cause: error,
    });
  }
}

async function answer<T>(response: Response, schema: z.ZodType<T>, doing: string): Promise<T> {
  const text = await response.text();
  try {
    if (text.length > MAX_ANSWER) throw new Error('the answer is too long');
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new BackendError(
      'UNINTELLIGIBLE',
      `the answer to the ${doing} is not that of a can-ota backend`,
      error,
    );
  }
}

async function refusal(
  response: Response,
  doing: string,
): Promise<{
  readonly code: string | undefined;
  /** In the words of the backend. */
  readonly why: string;
  readonly error: CanOtaError;
}> {
  const text = (await response.text().catch(() => '')).slice(0, MAX_ANSWER);
  const { status } = response;
  let why = text.slice(0, 300);
  let code: string | undefined;
  let detail: string | undefined;
  try {
    const told = problem.parse(JSON.parse(text));
    ({ code, detail } = told);
    why = [code, detail].filter((part) => part !== undefined).join(': ') || why;
  } catch {
    // Some proxy answered; its own words are the best there is.
  }
  const message = `the backend refused the ${doing} with ${status}: ${why}`;
  if (status === 401 || status === 403) {
    return { code, why: detail ?? why, error: new InputError('--user or --token-file', message) };
  }
  // A conflict is with what is there already: another version, other keys.
  if (status === 409)
    return { code, why: detail ?? why, error: new InputError('--server', message) };
  return { code, why: detail ?? why, error: new BackendError('REFUSED', message) };
}

/** Throws InputError. `openAsBlob` throws at once, before there is a promise. */
async function imageBlob(file: string): Promise<Blob> {
  try {
    return await openAsBlob(file);
  } catch (error) {
    throw new InputError(file, fileFault(file, error), { cause: error });
  }
}
