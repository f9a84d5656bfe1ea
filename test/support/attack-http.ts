// The backend of an attacked vehicle behind a real socket, and a clock that runs: for what only a real network can do.

import { createHash } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { systemClock, type Timer } from '../../src/core/clock.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { identity, VIN } from './attack-factory.ts';
import type { AttackedVehicle } from './attack-vehicle.ts';

/** The machine's clock, begun at another day. Pauses before another try are left out, and nothing else. */
export class RunningClock extends VirtualClock {
  readonly #startMs = systemClock.nowMs();
  readonly #startWallMs: number;
  #skippedMs = 0;

  constructor(startWallMs: number) {
    super(startWallMs);
    this.#startWallMs = startWallMs;
  }

  override nowMs(): number {
    return systemClock.nowMs() - this.#startMs + this.#skippedMs;
  }

  override wallMs(): number {
    return this.#startWallMs + this.nowMs();
  }

  override after(name: string, delayMs: number, fire: () => void): Timer {
    return systemClock.after(name, name === 'retry' ? 1 : delayMs, fire);
  }

  override async advance(ms: number): Promise<void> {
    this.#skippedMs += ms;
  }

  override within<T>(_limitMs: number, promise: Promise<T>): Promise<T> {
    return promise;
  }
}

/** True: the attacker has answered, or has something else in mind. */
export type Interference = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => boolean | Promise<boolean>;

export interface Listening {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  readonly backend: HttpBackend;
}

/** Serves what `w.backend` and `w.serving` hold. Closed when the test ends. */
export async function listen(
  w: AttackedVehicle,
  interfere: Interference = () => false,
  options: { readonly session?: boolean } = {},
): Promise<Listening> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url!);
    response.on('error', () => {});
    answer(w, interfere, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const { serial, hwId, deviceSecret } = identity;
  const device = { serial, hwId, deviceSecret: fromHex(deviceSecret) };
  const backend = new HttpBackend({
    server: url,
    vin: VIN,
    clock: w.clock,
    ...(options.session === true ? { identity: { device, random: seededRandom(77) } } : {}),
  });
  return { url, asked, backend };
}

async function answer(
  w: AttackedVehicle,
  interfere: Interference,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  if (await interfere(request, response)) return;
  const json = (value: unknown): void => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
  const { pathname } = new URL(request.url!, 'http://backend');
  const [first = '', ...rest] = pathname.slice(1).split('/');
  const file = decodeURIComponent(rest.at(-1) ?? '');
  switch (first) {
    case 'latest_version':
      return json({ releases: w.backend.releases });
    case 'get_nonce':
      return json({ nonce: toHex(seededRandom(w.clock.nowMs()).bytes(16)) });
    case 'ota_download':
      return void response.end(w.backend.images.get(file));
    case 'report_versions': {
      const digest = createHash('sha256')
        .update(await textOf(request))
        .digest('hex');
      response.statusCode = 204;
      response.setHeader('x-checksum-sha256', digest);
      return void response.end();
    }
    case 'vehicle': {
      const { nonces = [] } = JSON.parse(await textOf(request));
      return json({ time: w.backend.attest(w.clock.wallMs(), nonces) });
    }
    case 'director':
    case 'metadata': {
      const repository = first === 'director' ? 'director' : 'images';
      const wanted = { role: '', file, maxBytes: Number.MAX_SAFE_INTEGER, optional: true };
      const found = w.serving.answer(repository, wanted);
      if (found.kind === 'bytes') return void response.end(found.bytes);
    }
  }
  const words = { type: 'about:blank', title: 'Not Found', status: 404, detail: 'no' };
  response.statusCode = 404;
  response.setHeader('content-type', 'application/problem+json');
  response.end(JSON.stringify({ ...words, code: 'NOT_FOUND' }));
}

async function textOf(request: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** Bytes without an end, as fast as they are taken; the result says how many there were. */
export function pour(response: http.ServerResponse): { written: number } {
  const count = { written: 0 };
  const block = Buffer.alloc(16_384, ' ');
  const more = (): void => {
    while (!response.destroyed) {
      count.written += block.length;
      if (!response.write(block)) return;
    }
  };
  response.on('drain', more);
  more();
  return count;
}
