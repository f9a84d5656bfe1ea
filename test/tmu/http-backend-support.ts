// HTTP servers on loopback for tests.

import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { VehicleImageStore } from '../../src/tmu/image-store.ts';

export const VIN = '1CANXTABENCH00001';
export type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** Far more than any machine needs over loopback: only a server that never answers reaches it. */
export const PATIENT_MS = 120_000;

export async function serve(handler: Handler, requestMs = PATIENT_MS, clock: Clock = systemClock) {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    backend: new HttpBackend({ server: url, vin: VIN, clock, requestMs }),
  };
}

export const json = (value: unknown): Handler => {
  return (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('etag', '"e1"');
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  };
};

/** A refusal in the form of our server. */
export function problem(
  response: http.ServerResponse,
  status: number,
  code: string,
  detail = 'no',
): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/problem+json');
  response.end(JSON.stringify({ type: 'about:blank', title: 'No', status, detail, code }));
}

export const release = {
  ecu: 'EDT',
  version: '2.0.0',
  file: 'EDT-2.0.0-0123456789ab.bin',
  size: 100,
  sha256: 'a'.repeat(64),
  notes: 'n',
};

export async function store(): Promise<{ storage: DiskStorage; images: VehicleImageStore }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-tmu-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const storage = await DiskStorage.open(folder);
  return { storage, images: new VehicleImageStore(storage) };
}
