// The backend over HTTP: one method for each path of the server, with this vehicle's session where it has one.

import { sha256 } from '@noble/hashes/sha2.js';
import type {
  Backend,
  CampaignOrders,
  CampaignReport,
  CampaignStatusReport,
  Checkin,
  DownloadAnswer,
  LatestAnswer,
  MetadataBody,
} from '../campaign/ports.ts';
import { pathOf, urlOf } from '../contract/endpoint.ts';
import { campaignStatus } from '../contract/endpoints/campaigns/status.ts';
import { checkin as checkinEndpoint } from '../contract/endpoints/director/checkin.ts';
import { vehicleTime } from '../contract/endpoints/director/time.ts';
import { vehicleMetadata } from '../contract/endpoints/director/vehicle-metadata.ts';
import { imageMetadata } from '../contract/endpoints/releases/image-metadata.ts';
import { otaDownload } from '../contract/endpoints/vehicles/download.ts';
import { latestVersion } from '../contract/endpoints/vehicles/latest-version.ts';
import { getNonce } from '../contract/endpoints/vehicles/nonce.ts';
import { reportVersions } from '../contract/endpoints/vehicles/report-versions.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import type { DeviceIdentity, DeviceKeys } from '../link/device-keys.ts';
import { DeviceSession } from '../link/device-session.ts';
import { followRedirects, withoutSearch } from '../link/follow-redirects.ts';
import { foreignAnswer, isOctets, parseJson } from '../link/foreign-answer.ts';
import {
  type Answer,
  baseUrl,
  chunksOf,
  HttpClient,
  type HttpInit,
  header,
  lengthOf,
  withSignal,
} from '../link/http-client.ts';
import type { HttpResponse, HttpTransport } from '../link/http-transport.ts';
import type { RepositoryName } from '../trust/full-verification.ts';

export interface HttpBackendOptions {
  /** `https://host[:port][/prefix]` */
  readonly server: string;
  /** Address of the image repository where it is on another server. */
  readonly images?: string | undefined;
  readonly vin: string;
  readonly clock: Clock;
  /** Time limit of a request with a JSON answer, from the name look-up to the last byte. */
  readonly requestMs?: number;
  /** Identity that the vehicle proves before the first request; the server has to prove its own. */
  readonly identity?:
    | {
        readonly device: DeviceIdentity;
        readonly random: Random;
        /** Keys of a device that can change its key. */
        readonly keys?: () => Promise<DeviceKeys>;
      }
    | undefined;
  /** Missing: the real network. */
  readonly transport?: HttpTransport | undefined;
}

const ROOT = /^\d+\.root\.json$/;

export class HttpBackend implements Backend {
  readonly #base: URL;
  readonly #images: URL;
  readonly #vin: string;
  readonly #client: HttpClient;
  readonly #session: DeviceSession | undefined;

  /** Throws InputError when `server` is not an HTTP address. */
  constructor(options: HttpBackendOptions) {
    const { identity, clock, vin } = options;
    this.#base = baseUrl(options.server, 'server');
    this.#images = options.images === undefined ? this.#base : baseUrl(options.images, 'images');
    this.#vin = vin;
    this.#client = new HttpClient({
      clock,
      headers: { 'x-vehicle-vin': vin },
      requestMs: options.requestMs,
      transport: options.transport,
    });
    this.#session =
      identity === undefined
        ? undefined
        : new DeviceSession({ ...identity, clock, client: this.#client, base: this.#base });
  }

  async latest(
    ecus: readonly string[],
    etag: string | undefined,
    signal?: AbortSignal,
  ): Promise<LatestAnswer> {
    const url = urlOf(this.#base, latestVersion);
    url.searchParams.set('vin', this.#vin);
    for (const ecu of ecus) url.searchParams.append('ecu', ecu);
    const answer = await this.#json(url, {
      headers: defined({ 'if-none-match': etag }),
      ...withSignal(signal),
    });
    if ('kind' in answer) return answer;
    if (answer.status === 304) return { kind: 'not-modified' };
    if (answer.status !== 200) return this.#client.refused(answer, url);
    const parsed = parseJson(answer.body, latestVersion.response.body, url);
    if ('kind' in parsed) return parsed;
    return {
      kind: 'releases',
      etag: header(answer, 'etag'),
      releases: parsed.value.releases.map(({ url: _, ...release }) => release),
    };
  }

  async nonce(
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'nonce'; readonly nonce: string } | BackendFailure> {
    const url = urlOf(this.#base, getNonce);
    url.searchParams.set('vin', this.#vin);
    const answer = await this.#json(url, withSignal(signal));
    if ('kind' in answer) return answer;
    if (answer.status !== 200) return this.#client.refused(answer, url);
    const parsed = parseJson(answer.body, getNonce.response.body, url);
    return 'kind' in parsed ? parsed : { kind: 'nonce', nonce: parsed.value.nonce };
  }

  async download(
    release: { readonly file: string; readonly size: number },
    nonce: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<DownloadAnswer> {
    const url = urlOf(this.#base, otaDownload, { file: release.file });
    url.searchParams.set('nonce', nonce);
    const shown = withoutSearch(url);
    const init = {
      expects: 'image',
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      ...withSignal(signal),
    } as const;
    const first = await this.#open(url, init, shown);
    if ('kind' in first) return first;
    const opened = await followRedirects(first, url, (next) =>
      next.origin === this.#base.origin
        ? this.#open(next, init, withoutSearch(next))
        : this.#client.open(next, { ...init, stranger: true }, withoutSearch(next)),
    );
    if ('kind' in opened) return opened;
    const { status, headers } = opened;
    if (status === 200) {
      const total = lengthOf(headers['content-length']);
      if (total !== undefined && total !== release.size && !isOctets(headers)) {
        opened.destroy();
        const what = `${total} bytes of no type, the image has ${release.size}`;
        return foreignAnswer(shown, what, status);
      }
      return { kind: 'body', offset: 0, total, chunks: chunksOf(opened) };
    }
    if (status === 206) {
      const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(
        String(headers['content-range'] ?? ''),
      );
      if (range !== null) {
        return {
          kind: 'body',
          offset: Number(range[1]),
          total: range[3] === '*' ? undefined : Number(range[3]),
          chunks: chunksOf(opened),
        };
      }
      opened.destroy();
      const what = `Content-Range ${JSON.stringify(headers['content-range'])}`;
      return foreignAnswer(shown, what, status);
    }
    const failure = await this.#refusedBody(opened, shown);
    // A nonce can be used up or too old: the next attempt gets a new one.
    return status === 403 || status === 416 ? { ...failure, transient: true } : failure;
  }

  async report(
    report: CampaignReport,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'accepted' } | BackendFailure> {
    const url = urlOf(this.#base, reportVersions);
    const answer = await this.#post(url, report, signal, 'nothing');
    if ('kind' in answer) return answer;
    if (answer.status !== 204) return this.#client.refused(answer, url);
    // Only this header proves that the backend has received the report: the answer has no body, and
    // an accepted report is removed here.
    const received = header(answer, 'x-checksum-sha256');
    if (received === digestOf(JSON.stringify(report))) return { kind: 'accepted' };
    return foreignAnswer(url, 'it does not say what it has received', answer.status);
  }

  async campaign(
    status: CampaignStatusReport,
    signal?: AbortSignal,
  ): Promise<CampaignOrders | BackendFailure> {
    const url = urlOf(this.#base, campaignStatus);
    const answer = await this.#post(url, status, signal);
    if ('kind' in answer) return answer;
    if (answer.status !== 200) return this.#client.refused(answer, url);
    const parsed = parseJson(answer.body, campaignStatus.response.body, url);
    return 'kind' in parsed ? parsed : { kind: 'orders', ...parsed.value };
  }

  async checkin(
    checkin: Checkin,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'checked-in'; readonly time: unknown } | BackendFailure> {
    const time = await this.#timed(checkinEndpoint, checkin, signal);
    return 'kind' in time ? time : { kind: 'checked-in', ...time };
  }

  async time(
    nonces: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'time'; readonly time: unknown } | BackendFailure> {
    const time = await this.#timed(vehicleTime, { nonces }, signal);
    return 'kind' in time ? time : { kind: 'time', ...time };
  }

  async metadata(
    repository: RepositoryName,
    file: string,
    signal?: AbortSignal,
  ): Promise<MetadataBody> {
    // Names of metadata files are percent-encoded already.
    const url =
      repository === 'director'
        ? metadataUrl(this.#base, pathOf(vehicleMetadata, { vin: this.#vin, file: '' }), file)
        : metadataUrl(this.#images, pathOf(imageMetadata, { file: '' }), file);
    // A plain web server answers a missing file with its own page. The next Root is usually missing.
    const isOptional = url.origin !== this.#base.origin && ROOT.test(file);
    const expects = isOptional ? 'optional-metadata' : 'metadata';
    const opened = await this.#open(url, { expects, ...withSignal(signal) });
    if ('kind' in opened) return opened;
    const { status, headers } = opened;
    if (status === 200) {
      const total = lengthOf(headers['content-length']);
      return { kind: 'body', total, chunks: chunksOf(opened) };
    }
    const refused = await this.#refusedBody(opened, url);
    return refused.code === 'HTTP_404' ? { kind: 'missing' } : refused;
  }

  /** A request whose answer carries a time attestation. */
  async #timed(
    endpoint: typeof checkinEndpoint | typeof vehicleTime,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly time: unknown } | BackendFailure> {
    const url = urlOf(this.#base, endpoint);
    const answer = await this.#post(url, body, signal);
    if ('kind' in answer) return answer;
    if (answer.status !== 200) return this.#client.refused(answer, url);
    const parsed = parseJson(answer.body, endpoint.response.body, url);
    return 'kind' in parsed ? parsed : { time: parsed.value.time ?? null };
  }

  #post(
    url: URL,
    body: unknown,
    signal: AbortSignal | undefined,
    expects: 'json' | 'nothing' = 'json',
  ): Promise<Answer | BackendFailure> {
    return this.#json(url, {
      method: 'POST',
      expects,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...withSignal(signal),
    });
  }

  #json(url: URL, init: HttpInit): Promise<Answer | BackendFailure> {
    return this.#authorised(url, init, (authorised) => this.#client.json(url, authorised));
  }

  #open(url: URL, init: HttpInit, shown = url): Promise<HttpResponse | BackendFailure> {
    return this.#authorised(url, init, (each) => this.#client.open(url, each, shown));
  }

  /** Sends with the token of the session; a token that the server does not know (any more) is renewed once. */
  async #authorised<T extends { readonly status: number } | BackendFailure>(
    url: URL,
    init: HttpInit,
    send: (init: HttpInit) => Promise<T>,
  ): Promise<T | BackendFailure> {
    const session = this.#session;
    // The token is for our own server only.
    if (session === undefined || url.origin !== this.#base.origin) return send(init);
    const signal = init.signal ?? undefined;
    for (let tries = 1; ; tries++) {
      const token = await session.token(signal);
      if (token.kind === 'failed') return token;
      const authorization = `Bearer ${token.token}`;
      const answer = await send({ ...init, headers: { ...init.headers, authorization } });
      if ('kind' in answer || answer.status !== 401 || tries > 1) return answer;
      if ('destroy' in answer) (answer as HttpResponse).destroy();
      session.drop(token.token);
    }
  }

  async #refusedBody(opened: HttpResponse, url: URL): Promise<BackendFailure> {
    const whole = await this.#client.whole(opened, url, {});
    return 'kind' in whole ? whole : this.#client.refused(whole, url);
  }
}

/** `folder`: a path that ends with a slash. */
function metadataUrl(base: URL, folder: string, file: string): URL {
  return new URL(folder.slice(1) + file, base);
}

function digestOf(text: string): string {
  return toHex(sha256(new TextEncoder().encode(text)));
}
