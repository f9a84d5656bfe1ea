// `can-ota verify` for tests: repositories as folders and over HTTP, the run itself, and the command as a process.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { runVerification, type VerifyJob, type VerifyResult } from '../../src/cli/verify/run.ts';
import { repositorySource } from '../../src/cli/verify/source.ts';
import { DiskStorage } from '../../src/core/storage.ts';
import type { SourceOptions } from '../../src/link/metadata-source.ts';
import type { MockRepositories, RepositoryName } from '../support/mock-repositories.ts';
import { MOCK_NOW_MS, MOCK_VIN, mockRepositories } from '../support/mock-repositories.ts';

const root = path.resolve(import.meta.dirname, '../..');

export const SERIAL = 'CO-000002';
export const HARDWARE = 'EDT-HW-1';
export const ECU = ['--ecu', SERIAL, '--hardware', HARDWARE] as const;
/** The time of the mocks. */
export const TIME = ['--time', new Date(MOCK_NOW_MS).toISOString()] as const;

/** One release that the Director assigns to the ECU of these tests. */
export function mockWithOrder() {
  const mock = mockRepositories();
  const release = mock.release('EDT');
  mock.assign(SERIAL, release);
  return { mock, release };
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-verify-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function writeFiles(
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  for (const [name, bytes] of files) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
  }
}

/** The present files of both mocks, as `director/` and `images/` below one folder. */
export async function mockFolder(mock: MockRepositories, into?: string): Promise<string> {
  const folder = into ?? (await temporaryFolder());
  for (const name of ['director', 'images'] as const) {
    await rm(path.join(folder, name), { recursive: true, force: true });
    await writeFiles(path.join(folder, name), mock.files(name));
  }
  return folder;
}

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one line of `--json`. */
  readonly json: Record<string, unknown>;
}

/** The command as a user calls it. */
export function cli(...args: readonly string[]): Promise<Run> {
  const main = path.join(root, 'src/cli/main.ts');
  const env = { ...process.env, NO_COLOR: '1' };
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'verify', ...args], { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      const lines = stdout.trimEnd().split('\n');
      const json = stdout.startsWith('{') && lines.length === 1 ? JSON.parse(stdout) : {};
      resolve({ code, stdout, stderr, json });
    });
  });
}

type Handler = (file: string, response: http.ServerResponse) => void;

/** A server on this machine; the handler gets the path without its first slash. */
export async function serve(handler: Handler): Promise<string> {
  const server = http.createServer((request, response) => handler(request.url!.slice(1), response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Serves both mocks at `/director/...` and `/images/...`. */
export function serveMock(mock: MockRepositories): Promise<string> {
  return serve((url, response) => {
    const [name, file] = url.split('/') as [RepositoryName, string];
    const bytes = mock.files(name).get(file);
    if (bytes === undefined) response.writeHead(404).end();
    else response.end(bytes);
  });
}

export interface RunOptions extends Partial<VerifyJob> {
  readonly state: string;
  readonly source?: SourceOptions;
}

export interface InProcess extends VerifyResult {
  readonly warnings: readonly string[];
}

/** Runs the verification in this process. Anchors are the mocks' first Roots by default. */
export async function verifyPlace(
  place: { readonly director: string; readonly images: string },
  { state, source, ...options }: RunOptions,
): Promise<InProcess> {
  const dialect = options.dialect ?? 'strict';
  const warnings: string[] = [];
  const result = await runVerification({
    sources: {
      director: await repositorySource('director', place.director, dialect, source),
      images: await repositorySource('images', place.images, dialect, source),
    },
    storage: await DiskStorage.open(state),
    dialect,
    nowMs: MOCK_NOW_MS,
    vin: MOCK_VIN,
    ecus: [{ serial: SERIAL, hardwareId: HARDWARE }],
    primary: false,
    anchors: {},
    warn: (text) => void warnings.push(text),
    ...options,
  });
  return { ...result, warnings };
}

export function anchorsOf(mock: MockRepositories): VerifyJob['anchors'] {
  return { director: mock.director.anchor, images: mock.images.anchor };
}

/** The mocks as sources, without folders or a network. */
export function sourcesOf(mock: MockRepositories): VerifyJob['sources'] {
  return {
    director: { answer: async (request) => mock.director.answer(request) },
    images: { answer: async (request) => mock.images.answer(request) },
  };
}

export async function verifyMock(mock: MockRepositories, options: RunOptions): Promise<InProcess> {
  const place = { director: options.state, images: options.state };
  return verifyPlace(place, { anchors: anchorsOf(mock), sources: sourcesOf(mock), ...options });
}
